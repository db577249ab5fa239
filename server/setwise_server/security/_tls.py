"""TLS and mutual TLS, with certificates that are read again when their files change."""

from __future__ import annotations

import ssl
from pathlib import Path

import grpc

from setwise_engine.errors import InvalidInput
from setwise_server.security._watched import Watched
from setwise_server.settings import Security

__all__ = ["server_credentials"]


def server_credentials(security: Security) -> grpc.ServerCredentials | None:
    """What the port is secured with; None for clear text.

    With client_ca, only callers who show a certificate of those authorities get through the handshake. Every handshake
    looks at the files: new ones serve from then on, and connections that stand go on. Raises InvalidInput for files
    that cannot be used.
    """
    cert, key, authorities = security.tls_cert, security.tls_key, security.client_ca
    if cert is None or key is None:
        _check_all_missing(security)
        return None
    paths = [path for path in (cert, key, authorities) if path is not None]
    watched = Watched(paths, lambda: _read(cert, key, authorities))

    def newest() -> grpc.ServerCertificateConfiguration | None:
        return watched.value if watched.refresh() else None

    return grpc.dynamic_ssl_server_credentials(
        watched.value,
        newest,  # type: ignore[arg-type]  # the stub forgets that None stands for no change
        require_client_authentication=authorities is not None,
    )


def _check_all_missing(security: Security) -> None:
    files = {"--tls-cert": security.tls_cert, "--tls-key": security.tls_key, "--client-ca": security.client_ca}
    given = [flag for flag, path in files.items() if path is not None]
    if given:
        missing = "--tls-key" if security.tls_cert is not None else "--tls-cert"
        raise InvalidInput(f"{given[0]} is given without {missing}; TLS needs a certificate and its key", field=missing)


def _read(cert: Path, key: Path, authorities: Path | None) -> grpc.ServerCertificateConfiguration:
    """Raises InvalidInput for files that OpenSSL would not serve from: gRPC itself would only refuse every caller."""
    chain, private = _bytes(cert, "--tls-cert"), _bytes(key, "--tls-key")
    trusted = None if authorities is None else _bytes(authorities, "--client-ca")
    _check_pair(cert, key)
    if authorities is not None:
        _check_authorities(authorities)
    return grpc.ssl_server_certificate_configuration([(private, chain)], trusted)


def _check_pair(cert: Path, key: Path) -> None:
    try:
        # Without a password of our own, OpenSSL would ask for one at the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, password=lambda: "")
    except (ssl.SSLError, ValueError) as error:
        message = (
            f"{cert} and {key} cannot be served with ({_why(error)}); --tls-cert is a PEM file of the certificate and "
            "those above it, --tls-key one of its key without a password"
        )
        raise InvalidInput(message, field="--tls-cert") from error


def _check_authorities(path: Path) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(path)
    except ssl.SSLError as error:
        message = f"--client-ca {path} is no PEM file of certificates ({_why(error)})"
        raise InvalidInput(message, field="--client-ca") from error


def _bytes(path: Path, field: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"{field} {path} cannot be read: {error.strerror}", field=field) from error


def _why(error: Exception) -> str:
    return getattr(error, "reason", None) or str(error) or type(error).__name__
