"""Repeats in the candidate's process what the tests redirected: standard streams, `print` and `input`."""

import builtins
import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

STREAMS = ("stdout", "stderr")
FUNCTIONS = ("print", "input")


class Originals:
    """The streams and functions before the tests ran; a later difference shows what the tests replaced."""

    def __init__(self) -> None:
        self._streams = {name: getattr(sys, name) for name in STREAMS}
        self._functions = {name: getattr(builtins, name) for name in FUNCTIONS}

    def replaced(self, encode: Callable[[Any], Any]) -> dict[str, Any]:
        """Name -> a function that the candidate may call, the unread text of stdin, or True for an output stream."""
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
    """A context that captures outputs. At its end, the yielded dict has the outputs and the read length of stdin."""
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
    """Write the candidate's output to our streams, and advance stdin by the length that it read.

    Raises TypeError when stdin's entry is not a number.
    """
    for name in STREAMS:
        if name in seen:
            getattr(sys, name).write(str(seen[name]))
    if "stdin" in seen and isinstance(sys.stdin, io.StringIO):
        sys.stdin.seek(sys.stdin.tell() + int(seen["stdin"]))
