"""What a result came from: versions, and SHA-256 of files and folders."""

from __future__ import annotations

import hashlib
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from setwise_engine.errors import NotFound

__all__ = ["sha256_of", "versions"]

_PACKAGES = ("setwise", "numpy", "scipy", "torch", "torchvision", "timm", "matplotlib", "Pillow")


def versions() -> dict[str, str]:
    """Versions of what computes and draws, and the path on which the kernel computes."""
    from setwise_engine.matching import kernel_name

    found = {"python": platform.python_version(), "kernel": kernel_name()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes; for a folder, of the lines "SHA-256  name" of all files in it, ordered by name.

    Raises NotFound when nothing is there.
    """
    if path.is_dir():
        names = sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
        lines = "".join(f"{sha256_of(path / name)}  {name}\n" for name in names)
        return hashlib.sha256(lines.encode()).hexdigest()
    if not path.is_file():
        raise NotFound(f"{path} is not there; give a file or a folder", field=str(path))
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
