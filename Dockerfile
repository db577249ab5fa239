# syntax=docker/dockerfile:1
# A server for every collection in /collections. What was tried of this file, and what was not: docs/container.md.

FROM python:3.13-slim-trixie AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++=4:14.2.* \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
# A wheel for any machine is one without the native kernel: say so here, before torch is downloaded.
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels . \
    && if ls /wheels/*-none-any.whl 2>/dev/null; then echo "the native kernel did not compile" >&2; exit 1; fi

FROM python:3.13-slim-trixie
# Where to take torch and torchvision from: empty for the default index, or one with builds for your hardware.
ARG TORCH_INDEX_URL=""
COPY --from=build /wheels /wheels
# hadolint ignore=DL3013 # pyproject.toml says which versions
RUN if [ -n "$TORCH_INDEX_URL" ]; then \
        pip install --no-cache-dir --index-url "$TORCH_INDEX_URL" torch torchvision; \
    fi \
    && pip install --no-cache-dir "$(echo /wheels/*.whl)[tracing]" \
    && rm -rf /wheels \
    && SETWISE_KERNEL=native python -c "from setwise_engine.matching import kernel_name; print(kernel_name())"
COPY scripts/health /usr/local/bin/setwise-health
RUN useradd --uid 10001 --create-home setwise \
    && install --directory --owner=10001 --group=setwise /collections
USER 10001
WORKDIR /collections
VOLUME /collections
# Variables, so that flags can be added to the command without repeating these. They win over a file of settings.
# Whoever reaches the port must show a key, unless SETWISE_SECURITY_ANONYMOUS says otherwise: docs/security.md.
ENV SETWISE_ROOT=/collections SETWISE_HOST=0.0.0.0
# glibc keeps what each of its heaps has freed, and makes eight of them a core unless it is told.
ENV MALLOC_ARENA_MAX=2
# gRPC's core would write lines of its own into the log, one for each handshake that fails. Read when Python starts.
ENV GRPC_VERBOSITY=NONE
EXPOSE 50051
HEALTHCHECK --interval=10s --timeout=10s --start-period=120s --retries=3 CMD ["setwise-health"]
CMD ["setwise", "serve"]
