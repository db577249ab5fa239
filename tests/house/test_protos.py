"""The wire contract explains itself: every service, rpc, message, field, enum and enum value has a comment."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PROTOS = sorted((Path(__file__).resolve().parents[2] / "proto" / "setwise_proto").rglob("*.proto"))
DECLARATION = re.compile(
    r"(?:service|message|enum|rpc|oneof)\s+(\w+)"  # what holds others, and calls
    r"|(?:optional |repeated )?(?:map<[^>]+>|[\w.]+)\s+(\w+)\s*=\s*\d+"  # fields
    r"|([A-Z][A-Z0-9_]+)\s*=\s*\d+"  # values of enums
)
COMMENT = re.compile(r"//\s*\w")


def uncommented(text: str) -> list[str]:
    """Names declared without a comment on the line before."""
    lines = [line.strip() for line in text.splitlines()]
    return [
        next(name for name in found.groups() if name)
        for before, line in zip(["", *lines], lines, strict=False)
        if (found := DECLARATION.match(line)) and not COMMENT.match(before)
    ]


@pytest.mark.parametrize("path", PROTOS, ids=lambda path: path.name)
def test_everything_has_a_comment(path: Path) -> None:
    assert uncommented(path.read_text(encoding="utf-8")) == []


def test_the_check_sees_every_kind_of_declaration() -> None:
    bare = """
service A {
rpc B(C) returns (D);
message C {
optional uint32 e = 1;
map<string, Value> f = 2;
repeated setwise.v1.Hit g = 3;
oneof h {
enum I {
J_UNSPECIFIED = 0;
"""
    assert uncommented(bare) == ["A", "B", "C", "e", "f", "g", "h", "I", "J_UNSPECIFIED"]
    assert uncommented(re.sub(r"^(?=\w)", "// why\n", bare, flags=re.MULTILINE)) == []
