"""Progress is one line on a terminal, and a line now and then in a file."""

from __future__ import annotations

from io import StringIO

from setwise import Progress
from setwise._progress import ProgressLine


class Terminal(StringIO):
    """A stream that people look at."""

    def isatty(self) -> bool:
        """It is one."""
        return True


def test_a_terminal_shows_one_line_that_is_written_over() -> None:
    stream = Terminal()
    line = ProgressLine(stream)
    line(Progress(10, 0, 200, 5_000_000, 0.5))
    line(Progress(11, 0, 200, 5_100_000, 0.5))  # too soon
    line(Progress(198, 2, 200, 100_000_000, 10.0))
    assert stream.getvalue() == (
        "\r\x1b[K10 of 200 images, 5.0 MB, 10.0 MB/s\r\x1b[K200 of 200 images, 2 failed, 100.0 MB, 10.0 MB/s\n"
    )


def test_a_file_gets_the_last_line() -> None:
    stream = StringIO()
    line = ProgressLine(stream)
    line(Progress(10, 0, 20, 1_000_000, 0.5))
    line(Progress(20, 0, 20, 2_000_000, 1.0))
    assert stream.getvalue() == "20 of 20 images, 2.0 MB, 2.0 MB/s\n"


def test_a_download_is_told_in_bytes() -> None:
    stream = StringIO()
    line = ProgressLine(stream)
    line(Progress(0, 0, 4_000_000, 2_000_000, 0.5))
    line(Progress(0, 0, 4_000_000, 4_000_000, 1.0))
    assert stream.getvalue() == "4.0 MB of 4.0 MB, 4.0 MB/s\n"
