"""A text ends before a line with less indentation, or at a line's end after some time."""

import time

import pytest

from chaku.serve import early_end
from chaku.serve.early_end import EarlyEnd


def written(text, indent, size):
    """What is left of a text that comes in pieces of some size."""
    end, found = EarlyEnd(indent), []
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    for number, piece in enumerate(pieces):
        found.append(end.take(piece, last=number == len(pieces) - 1))
        if end.done:
            break
    return "".join(found), end.done


@pytest.mark.parametrize("size", [1, 2, 3, 100])
@pytest.mark.parametrize(
    ("text", "indent", "kept", "done"),
    [
        ("x = 1\n    y = 2\nz = 3\n", 4, "x = 1\n    y = 2", True),
        ("x = 1\n\n    y = 2\n  \n  z", 4, "x = 1\n\n    y = 2", True),
        ("x = 1\r\n\r\n    y = 2\r\nz", 4, "x = 1\r\n\r\n    y = 2", True),
        ("x\n\ty\n\t\tz\n", 1, "x\n\ty\n\t\tz\n", False),
        ("    x\n    \n", 4, "    x\n    \n", False),  # the first line's own indentation, and white space at the end
        ("x\ny\n", 0, "x\ny\n", False),
        ("\n\nx", 2, "", True),
    ],
)
def test_indentation(text, indent, kept, done, size):
    assert written(text, indent, size) == (kept, done)


def test_time(monkeypatch):
    now = [10.0]
    monkeypatch.setattr(early_end.time, "monotonic", lambda: now[0])
    end = EarlyEnd(seconds=0.25)
    assert end.take("a\n") == "a\n"
    now[0] += 1
    assert end.take("b") == "b"
    assert not end.done
    assert end.take(" c\n") == " c\n"
    assert end.done


def test_a_model_that_writes_line_breaks_alone_costs_little_time():
    end, begun = EarlyEnd(4), time.process_time()
    assert end.take("x") == "x"
    assert "".join(end.take("\n") for _ in range(2000)) == ""
    assert end.take("y") == ""
    assert end.done
    assert time.process_time() - begun < 2  # minutes, were every line break the beginning of a search
