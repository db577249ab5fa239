"""Reads what strace saw of a program's file operations as a record that `crash` can play.

Nothing is assumed here about who writes: SQLite's own writes, checkpoints and fsyncs are in it as the kernel got them.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from crash import Kind, Operation

__all__ = ["MARKS", "Trace", "trace"]

MARKS = "marks"
"""Name of the file into which the traced program writes "begin N" and "done N"."""

_CALLS = (
    "openat,open,creat,close,write,pwrite64,writev,pwritev,pwritev2,fsync,fdatasync,sync_file_range,rename,renameat,"
    "renameat2,unlink,unlinkat,ftruncate,truncate,fallocate,lseek,sendfile,copy_file_range,link,linkat"
)
_LINE = re.compile(r"^(\d+) +(\w+)\((.*)\)\s+= (-?\d+)", re.DOTALL)
_UNFINISHED = re.compile(r"^(\d+) +(.*) <unfinished \.\.\.>$", re.DOTALL)
_RESUMED = re.compile(r"^(\d+) +<\.\.\. \w+ resumed>(.*)$", re.DOTALL)
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')
_FORBIDDEN = {"writev", "pwritev", "pwritev2", "fallocate", "sync_file_range", "sendfile", "copy_file_range"}


def trace(command: Sequence[str], output: Path) -> None:
    """Runs a command under strace. Raises CalledProcessError when it fails."""
    options = ["-f", "-qq", "-xx", "-s", str(1 << 28), "-e", f"trace={_CALLS}", "-e", "signal=none", "-o", str(output)]
    subprocess.run(["strace", *options, *command], check=True)


@dataclass
class _Open:
    file: int
    path: str
    at: int = 0


@dataclass
class Trace:
    """Turns lines of strace into operations on the files below `root`; numbers files as they are made."""

    root: Path
    files: dict[str, int] = field(default_factory=dict)  # those of `Disk.of` before it began, if any
    descriptors: dict[int, _Open] = field(default_factory=dict)
    marks: bytes = b""
    last: int = 0

    def operations(self, lines: Iterator[str]) -> Iterator[Operation]:
        """All operations, in the order in which they ended."""
        for _, call, arguments, result in _calls(lines):
            if result < 0:
                continue
            yield from self._one(call, arguments, result)

    def _one(self, call: str, arguments: str, result: int) -> Iterator[Operation]:
        texts = [bytes.fromhex(text.replace("\\x", "")) for text, _ in _TEXT.findall(arguments)]
        number = int(match.group()) if (match := re.match(r"\d+", arguments)) else -1
        opened = self.descriptors.get(number)
        if call in {"openat", "open", "creat"}:
            yield from self._opened(self._path(texts[0]), arguments, result)
        elif call in {"rename", "renameat", "renameat2"}:
            yield from self._renamed(self._path(texts[0]), self._path(texts[1]))
        elif call in {"unlink", "unlinkat"}:
            if (path := self._path(texts[0])) is not None:
                self.files.pop(path, None)
                yield Operation(Kind.REMOVE, path)
        elif opened is None:
            return
        elif call == "close":
            del self.descriptors[number]
        elif call == "write":
            yield from self._written(opened, opened.at, texts[0][:result])
            opened.at += result
        elif call == "pwrite64":
            yield from self._written(opened, int(arguments.rsplit(",", 1)[1]), texts[0][:result])
        elif call == "lseek":
            opened.at = result
        elif call == "ftruncate":
            yield Operation(Kind.TRUNCATE, opened.path, opened.file, int(arguments.rsplit(",", 1)[1]))
        elif call in {"fsync", "fdatasync"}:
            kind = Kind.FSYNC_FOLDER if opened.file == -1 else Kind.FSYNC
            yield Operation(kind, opened.path, opened.file)
        elif call in _FORBIDDEN:
            raise ValueError(f"{call} on {opened.path} is not understood here")

    def _opened(self, path: str | None, flags: str, descriptor: int) -> Iterator[Operation]:
        self.descriptors.pop(descriptor, None)
        if path is None:
            return
        new = path not in self.files and "O_CREAT" in flags
        if new or ("O_TRUNC" in flags and path in self.files):
            self.last += 1
            self.files[path] = self.last
            yield Operation(Kind.CREATE, path, self.last)
        self.descriptors[descriptor] = _Open(self.files.get(path, -1), path)

    def _renamed(self, source: str | None, target: str | None) -> Iterator[Operation]:
        if source is None or target is None:
            return
        for path in [path for path in self.files if path == source or path.startswith(f"{source}/")]:
            self.files[target + path.removeprefix(source)] = self.files.pop(path)
        for opened in self.descriptors.values():
            if opened.path == source or opened.path.startswith(f"{source}/"):
                opened.path = target + opened.path.removeprefix(source)
        yield Operation(Kind.RENAME, source, to=target)

    def _written(self, opened: _Open, offset: int, data: bytes) -> Iterator[Operation]:
        if opened.path != MARKS:
            yield Operation(Kind.WRITE, opened.path, opened.file, offset, data)
            return
        kind, version = data.split()
        yield Operation(Kind(kind.decode()), offset=int(version))

    def _path(self, text: bytes) -> str | None:
        path = Path(text.decode())
        if not path.is_relative_to(self.root) or path.name.endswith("-shm"):
            return None
        return str(path.relative_to(self.root))


def _calls(lines: Iterator[str]) -> Iterator[tuple[int, str, str, int]]:
    """Thread, call, arguments and result; calls that another thread interrupted are put together again."""
    begun: dict[str, str] = {}
    for line in lines:
        text = line.rstrip("\n")
        if match := _UNFINISHED.match(text):
            begun[match[1]] = text.removesuffix(" <unfinished ...>")
            continue
        if match := _RESUMED.match(text):
            text = begun.pop(match[1]) + match[2]
        if match := _LINE.match(text):
            yield int(match[1]), match[2], match[3], int(match[4])
