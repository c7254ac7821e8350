"""What tests replaced to watch a program: its output, its input, `print` and `input`. The candidate's side follows."""

import builtins
import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

STREAMS = ("stdout", "stderr")
FUNCTIONS = ("print", "input")


class Originals:
    """What was there before the tests ran: what is not the same later, they replaced."""

    def __init__(self) -> None:
        self._streams = {name: getattr(sys, name) for name in STREAMS}
        self._functions = {name: getattr(builtins, name) for name in FUNCTIONS}

    def replaced(self, encode: Callable[[Any], Any]) -> dict[str, Any]:
        """By name: a function that the other side may call, the text left to read, or True for an output."""
        found: dict[str, Any] = {
            name: True for name, stream in self._streams.items() if getattr(sys, name) is not stream
        }
        for name, function in self._functions.items():
            if getattr(builtins, name) is not function:
                found[name] = encode(getattr(builtins, name))
        if isinstance(sys.stdin, io.StringIO):
            place = sys.stdin.tell()
            found["stdin"] = sys.stdin.read()
            sys.stdin.seek(place)
        return found


@contextmanager
def redirected(wanted: dict[str, Any], decode: Callable[[Any], Any]) -> Iterator[dict[str, Any]]:
    """While it holds, outputs are kept; at its end the yielded dict has them, and how much of the input was read."""
    seen: dict[str, Any] = {}
    if not wanted:
        yield seen
        return
    before = {name: getattr(sys, name) for name in (*STREAMS, "stdin")}
    functions = {name: getattr(builtins, name) for name in FUNCTIONS}
    streams = {name: io.StringIO() for name in STREAMS if name in wanted}
    if "stdin" in wanted:
        streams["stdin"] = io.StringIO(wanted["stdin"])
    for name, stream in streams.items():
        setattr(sys, name, stream)
    for name in FUNCTIONS:
        if name in wanted:
            setattr(builtins, name, decode(wanted[name]))
    try:
        yield seen
    finally:
        for name, stream in streams.items():
            seen[name] = stream.tell() if name == "stdin" else stream.getvalue()
            setattr(sys, name, before[name])
        for name in FUNCTIONS:
            if name in wanted:
                setattr(builtins, name, functions[name])


def replay(seen: dict[str, Any]) -> None:
    """Write what the other side printed, and read on where it stopped. Raises TypeError for what is no text."""
    for name in STREAMS:
        if name in seen:
            getattr(sys, name).write(str(seen[name]))
    if "stdin" in seen and isinstance(sys.stdin, io.StringIO):
        sys.stdin.seek(sys.stdin.tell() + int(seen["stdin"]))
