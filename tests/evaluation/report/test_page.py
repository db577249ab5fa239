"""report.html: one page of all experiments that stands alone and can be read without seeing."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest

from setwise_evaluation.report import Output, find_experiments, made_by, style, write_page

VOID = {"meta", "img", "br", "link", "hr"}


class Page(HTMLParser):
    """A page taken apart: that every element is closed in order is asserted on the way."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("out")
    for name in ("matchers", "translation", "zebra"):
        with (
            made_by(["setwise", "evaluate", name, "--out", "DIR"]),
            Output(
                folder / name, experiment=name, title=f"About {name} <&>", settings={"image_size": None, "k": [1, 5]}
            ) as output,
        ):
            output.text(f"Plain words about {name} & <others>.")
            output.points(["One thing.", "Another."])
            figure, axes = style.new_figure(2, 1)
            axes[0, 0].plot([1, 2], [1, 2], label="semantic")
            axes[0, 0].set(xlabel="overlap", ylabel="accuracy", title="cosine")
            axes[0, 1].set(title="RBF")
            output.figure("one", figure, caption=f'The "first" figure of {name}.')
            rows = [["semantic", 0.51234], ["pooled", 0.4]]
            output.table("scores", header=["similarity", "F1@1"], rows=rows, caption="The scores.")
            output.table("long", header=["n"], rows=[[n] for n in range(60)], caption="Very many.")
            output.input("labels.jsonl", sha256="cd" * 32)
    return folder


@pytest.fixture(scope="module")
def page(out: Path) -> Page:
    return Page((out / "report.html").read_text(encoding="utf-8"))


def test_experiments_come_in_the_fixed_order(out: Path, page: Page) -> None:
    assert [run.folder.name for run in find_experiments(out)] == ["translation", "matchers", "zebra"]
    places = [page.text.index(f"Plain words about {name} & <others>.") for name in ("translation", "matchers", "zebra")]
    assert places == sorted(places)


def test_it_needs_no_other_file_and_runs_no_script(page: Page) -> None:
    assert not page.all("script")
    assert not page.all("link")
    assert all(str(image["src"]).startswith("data:image/") for image in page.all("img"))


def test_links_lead_to_files_of_the_experiments_or_on_the_page(out: Path, page: Page) -> None:
    ids = {str(attributes["id"]) for _, attributes in page.elements if "id" in attributes}
    for link in page.all("a"):
        target = str(link["href"])
        assert target[1:] in ids if target.startswith("#") else (out / target).is_file()


def test_it_can_be_read_without_seeing(page: Page) -> None:
    assert page.all("html")[0]["lang"] == "en"
    assert len(page.all("title")) == len(page.all("h1")) == len(page.all("main")) == 1
    assert len(page.all("img")) == 3
    for image in page.all("img"):
        assert image["alt"] == "Figure of 2 panels. cosine; across: overlap; upwards: accuracy; shown: semantic. RBF."
    assert all("scope" in cell for cell in page.all("th"))
    assert len(page.all("caption")) == len(page.all("table"))


def test_it_tells_settings_inputs_and_how_to_repeat(page: Page) -> None:
    assert "image size not set" in page.text
    assert "k 1, 5" in page.text
    assert "labels.jsonl SHA-256 cdcdcdcdcdcdcdcd…" in page.text
    assert "setwise evaluate translation --out DIR" in page.text


def test_statements_stand_in_a_list(page: Page) -> None:
    assert len(page.all("ul")) == 3
    assert "One thing. Another." in page.text


def test_long_tables_are_folded(page: Page) -> None:
    assert "Very many. (60 rows)" in page.text


def test_it_is_made_anew_with_the_same_bytes(out: Path) -> None:
    before = (out / "report.html").read_bytes()
    write_page(out)
    assert (out / "report.html").read_bytes() == before
    assert str(out).encode() not in before


def test_an_empty_folder_gives_an_empty_report(tmp_path: Path) -> None:
    assert "No experiment has been run yet." in Page(write_page(tmp_path).read_text(encoding="utf-8")).text
