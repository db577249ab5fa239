"""`setwise demo`: the whole path on real photos, with the real commands."""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from shutil import copyfile, rmtree
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from setwise import Client
    from setwise._demo.collages import Question

__all__ = ["HELP", "configure", "run"]

HELP = "index, serve and search real photos, and see what set matching does"


LEGEND = """Every question is ranked in four ways:
         semantic  each patch matched to its best place, one to one: what Setwise ranks by
  spatio-semantic  each patch against the one at its own position
           pooled  the mean patch: what most image search ranks by
           MaxSim  each patch of the query with its best one, shared ones allowed
F1@5 compares the photos that query and hit show, over the first five hits. Where two ways agree the tables say so: for
whole photos moved about, the mean is as good. What it cannot say is which patch is which: see matches.png.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("setwise-demo"),
        metavar="DIR",
        help="where to write (default: %(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """Index the photos and what is composed of them, serve them, ask with other compositions, draw the answers."""
    import setwise
    from setwise._demo.collages import write_insets, write_rearranged

    out: Path = args.out
    pictures, queries = _fresh(out / "pictures"), _fresh(out / "queries")
    photos = _copy_photos(pictures)
    rearranged = write_rearranged(photos, _fresh(pictures / "collages"), queries)
    insets = write_insets(photos, _fresh(pictures / "insets"), queries)
    collection = out / "demo.setwise"
    rmtree(collection, ignore_errors=True)
    print(f"{len(photos)} photos, and pictures composed of several of them, are in {pictures}/\n")
    print(LEGEND)

    _command("index", str(pictures), "--into", str(collection))
    with _serving(collection) as target, setwise.connect(target) as client:
        _report(client, "rearranged: the four photos of a collage, each at another place", rearranged)
        _report(client, "moved: two photos, each at another place, on another photo", insets)
        _draw(client, rearranged[0].query, out)
    print("Searches that you may want to try next:")
    print(f"$ setwise search {collection} {insets[0].query} --out hits.png")
    print("$ setwise index YOUR_FOLDER --into yours.setwise && setwise search yours.setwise YOUR_PHOTO --out hits.png")
    return 0


def _report(client: Client, title: str, questions: Sequence[Question]) -> None:
    """Ask every question for the scores of the whole collection, and print what each way of ranking makes of them."""
    from setwise._demo.table import score_table, tally

    total = client.collections()[0].images
    answers = [
        (client.search(question.query, k=total, candidates=total, scores=True), question) for question in questions
    ]
    print(f"{title} ({len(questions)} queries among {total} images)")
    print("\n".join(tally(answers)))
    hits, question = answers[0]
    print(f"for example {question.query.name}:")
    print("\n".join(score_table(hits, question.answer)) + "\n")


def _draw(client: Client, query: Path, out: Path) -> None:
    hits = client.search(query, k=5, matches=True, thumbnails=True)
    hits.save(out / "answer.png")
    hits[0].draw_matches().save(out / "matches.png")
    print(f"wrote {out / 'answer.png'}: {query.name} and its hits")
    print(f"wrote {out / 'matches.png'}: which of its patches matched which of the first hit\n")


def _copy_photos(into: Path) -> list[Path]:
    """Copy the shipped photos out of the package."""
    copies = []
    for photo in sorted((resources.files("setwise") / "_demo" / "photos").iterdir(), key=lambda entry: entry.name):
        if photo.name.endswith(".jpg"):
            with resources.as_file(photo) as path:
                copies.append(Path(copyfile(path, into / photo.name)))
    return copies


def _fresh(folder: Path) -> Path:
    rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _command(*words: str) -> None:
    """Run one of our own commands as a person would, and show it."""
    print(f"$ setwise {shlex.join(words)}", flush=True)
    code = subprocess.run([sys.executable, "-m", "setwise", *words], check=False).returncode
    if code:
        raise OSError(f"`setwise {words[0]}` ended with exit code {code}; its message above says why")
    print()


@contextmanager
def _serving(collection: Path) -> Iterator[str]:
    """Run `setwise serve` on a free port for as long as the block lasts; gives host:port."""
    words = ["serve", str(collection), "--port", "0"]
    print(f"$ setwise {shlex.join(words)}", flush=True)
    server = subprocess.Popen([sys.executable, "-m", "setwise", *words], stdout=subprocess.PIPE, text=True)
    try:
        yield _address(server)
    finally:
        server.terminate()
        server.communicate(timeout=30)


def _address(server: subprocess.Popen[str]) -> str:
    for line in server.stdout or ():
        print(line)
        if found := re.search(r"on (\S+:\d+)", line):
            return found.group(1)
    raise OSError("`setwise serve` ended before it was ready; its message above says why")
