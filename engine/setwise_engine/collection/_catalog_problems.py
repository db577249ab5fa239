"""Where the catalog contradicts itself."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from setwise_engine.collection._schema import read_format

__all__ = ["catalog_problems"]

_LIVE = "(SELECT id FROM segments WHERE state = 'live')"

# A question that counts what must not be, and how to say it.
_SINCE_1 = (
    (
        f"SELECT count(*) FROM images WHERE key >> 32 NOT IN {_LIVE}",
        "{} images of the catalog name a segment that does not exist",
    ),
    (
        f"SELECT count(*) FROM dead WHERE key >> 32 NOT IN {_LIVE}",
        "{} dead rows of the catalog name a segment that does not exist",
    ),
    ("SELECT count(*) FROM images JOIN dead USING (key)", "{} images are both live and dead in the catalog"),
)
_SINCE_2 = (
    (
        "SELECT count(*) FROM entries WHERE NOT EXISTS (SELECT 1 FROM images WHERE images.birth = entries.birth)",
        "{} entries of the catalog's filter table are of images that do not exist",
    ),
    (
        "SELECT count(*) FROM entries WHERE field NOT IN (SELECT field FROM fields)",
        "{} entries of the catalog's filter table are of fields that do not exist",
    ),
)
_ROWS = (
    "SELECT s.file, s.rows, (SELECT count(*) FROM images WHERE key >= s.id << 32 AND key < s.id + 1 << 32)"
    " + (SELECT count(*) FROM dead WHERE key >= s.id << 32 AND key < s.id + 1 << 32) AS n"
    " FROM segments s WHERE s.state = 'live' AND n != s.rows"
)


def catalog_problems(connection: sqlite3.Connection) -> Iterator[str]:
    """What is wrong with the catalog by itself, one sentence each. Raises sqlite3.DatabaseError when it is no more."""
    for (line,) in connection.execute("PRAGMA integrity_check"):
        if line != "ok":
            yield f"the catalog is damaged: {line}"
    questions = _SINCE_1 + (_SINCE_2 if read_format(connection) > 1 else ())
    for question, sentence in questions:
        if count := connection.execute(question).fetchone()[0]:
            yield sentence.format(count)
    for file, rows, found in connection.execute(_ROWS):
        yield f"segment {file} has {rows} rows, the catalog knows {found} of them"
