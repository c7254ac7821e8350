"""How the judge and the candidate talk: calls and answers in plain data, of bounded size, over a socket.

Plain data crosses by value, rebuilt from JSON: the receiver runs nothing of the sender's. Anything else stays where it
is and crosses as a number; the other side has a `Remote`, whose operations are asked for over the wire. So an object of
the candidate's that claims to be equal to everything is, for the judge, a `Remote` that is equal to nothing but itself.
"""

import builtins
import json
import os
import select
import socket
import struct
from collections import Counter, OrderedDict, deque
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

MAX_MESSAGE = 64 * 2**20
MAX_OBJECTS = 100_000
MAX_TEXT = 500  # characters of an exception's message
PLAIN = frozenset((str, int, float, bool, type(None)))
LOOK_SECONDS = 0.25  # how often a silent candidate is looked after
BIG = 2**63  # JSON's digits of larger whole numbers would be slow to read, and are limited


class Gone(BaseException):
    """The other side does not answer any more."""


class Broken(Gone):
    """The other side sent what is not a message."""


class Remote:
    """An object of the other side. Equal only to itself; everything else is asked of its owner."""

    __slots__ = ("_number", "_peer")

    def __init__(self, peer: "Peer", number: int):
        object.__setattr__(self, "_peer", peer)
        object.__setattr__(self, "_number", number)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return _ask(self, "call", *arguments, **named)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name not in ("__name__", "__doc__"):
            raise AttributeError(name)
        return _ask(self, "get", name)

    def __setattr__(self, name: str, value: Any) -> None:
        _ask(self, "set", name, value)

    def __getitem__(self, key: Any) -> Any:
        return _ask(self, "item", key)

    def __setitem__(self, key: Any, value: Any) -> None:
        _ask(self, "set item", key, value)

    def __len__(self) -> Any:
        return _ask(self, "len")

    def __iter__(self) -> Any:
        return _ask(self, "iter")

    def __next__(self) -> Any:
        return _ask(self, "next")

    def __contains__(self, value: Any) -> Any:
        if object.__getattribute__(self, "_peer").other_process is not None:
            return any(each == value for each in self)  # the judge compares; the candidate would only say so
        return _ask(self, "contains", value)

    def __str__(self) -> Any:
        return _ask(self, "str")

    def __repr__(self) -> Any:
        return _ask(self, "repr")

    def __bool__(self) -> Any:
        return _ask(self, "bool")


def _ask(remote: Remote, operation: str, *arguments: Any, **named: Any) -> Any:
    peer = object.__getattribute__(remote, "_peer")
    return peer.ask(operation, object.__getattribute__(remote, "_number"), arguments, named)


OPERATIONS: dict[str, Any] = {
    "call": lambda thing, *arguments, **named: thing(*arguments, **named),
    "get": getattr,
    "set": setattr,
    "item": lambda thing, key: thing[key],
    "set item": lambda thing, key, value: thing.__setitem__(key, value),
    "len": len,
    "iter": iter,
    "next": next,
    "contains": lambda thing, value: value in thing,
    "str": lambda thing: str(thing),
    "repr": repr,
    "bool": bool,
}


class Peer:
    """One end of the wire. `other_process`: the candidate's, at the judge's end.

    There, objects show only their public attributes, and the other side is gone as soon as its process has ended or
    stopped, whoever else may hold the wire.
    """

    def __init__(self, channel: socket.socket, other_process: int | None = None):
        self.channel = channel
        self.other_process = other_process
        self.objects: list[Any] = []
        self.numbers: dict[int, int] = {}
        self.gone = False
        self.remotes: dict[int, Remote] = {}

    # --- messages

    def send(self, message: list[Any]) -> None:
        data = json.dumps(message, separators=(",", ":")).encode()
        if len(data) > MAX_MESSAGE:
            raise ValueError(f"a value of {len(data) // 2**20} MB is too large to hand over")
        try:
            self.channel.sendall(struct.pack("I", len(data)) + data)
        except OSError as error:
            self.gone = True
            raise Gone from error

    def receive(self) -> Any:
        (size,) = struct.unpack("I", self._exactly(4))
        if size > MAX_MESSAGE:
            self.gone = True
            raise Broken
        data = self._exactly(size)
        try:
            return json.loads(data)
        except (ValueError, RecursionError) as error:
            self.gone = True
            raise Broken from error

    def _exactly(self, size: int) -> bytearray:
        data = bytearray()
        while len(data) < size:
            if self.other_process is not None and not select.select([self.channel], [], [], LOOK_SECONDS)[0]:
                self._look()
                continue
            try:
                part = self.channel.recv(min(size - len(data), 1 << 20))
            except OSError:
                part = b""
            if not part:
                self.gone = True
                raise Gone
            data += part
        return data

    def _look(self) -> None:
        """Raises Gone when the other side's process has ended, or has stopped itself."""
        assert self.other_process is not None
        flags = os.WEXITED | os.WSTOPPED | os.WNOWAIT | os.WNOHANG
        if os.waitid(os.P_PID, self.other_process, flags) is not None:
            self.gone = True
            raise Gone

    # --- asking and answering

    def ask(self, operation: str, number: int, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Have the other side do something, answering its own questions meanwhile."""
        if self.gone:
            raise Gone
        sent = [self.encode(each) for each in arguments]
        self.send(["ask", operation, number, sent, {name: self.encode(each) for name, each in named.items()}])
        while True:
            message, kind = self.receive(), None
            try:
                kind = message[0]
                if kind == "ask":
                    self.answer(message)
                    continue
                if kind == "raise":
                    raised = self._exception(*message[1:])
                    if isinstance(raised, StopIteration) and operation != "next":  # it would end the tests' own loops
                        raise RuntimeError("the candidate raised StopIteration") from raised
                    raise raised
                _, result, changed = message
                for place, value in changed:
                    _replace(arguments[place], self.decode(value))
                return self.decode(result)
            except (IndexError, KeyError, TypeError, ValueError) as error:
                if kind == "raise":
                    raise
                self.gone = True
                raise Broken from error

    def answer(self, message: Any) -> None:
        """Do what the other side asks, and send the result, or the exception, back."""
        _, operation, number, arguments, named = message
        try:
            values = [self.decode(each) for each in arguments]
            if self.other_process is not None and operation in ("get", "set"):
                _check_public(self.objects[number], values[0])
            keywords = {name: self.decode(each) for name, each in named.items()}
            result = OPERATIONS[operation](self.objects[number], *values, **keywords)
            changed = []
            if operation == "call":
                for place, value in enumerate(values):
                    if type(value) in _REPLACERS and (now := self.encode(value)) != arguments[place]:
                        changed.append([place, now])
            reply = ["done", self.encode(result), changed]
        except Gone:
            raise
        except BaseException as error:
            reply = ["raise", *describe(error)]
        try:
            self.send(reply)
        except (ValueError, TypeError, RecursionError) as error:
            self.send(["raise", *describe(error)])

    def _exception(self, names: list[str], text: str, arguments: list[Any]) -> BaseException:
        """The exception that the other side told of: the built-in type that is nearest, under its own name."""
        base: Any = next((each for name in names if _is_exception(each := getattr(builtins, name, None))), Exception)
        kind: Any = base if base.__name__ == names[0] else type(str(names[0]).replace("\0", ""), (base,), {})
        try:
            error = kind(*[self.decode(each) for each in arguments])
        except Exception:
            error = kind.__new__(kind)
        error.args = error.args or ((str(text),) if text else ())
        return error

    # --- values

    def encode(self, value: Any) -> Any:
        """JSON for a value. Raises ValueError for one that is nested too deeply, or holds itself."""
        try:
            return self._encode(value)
        except RecursionError:
            raise ValueError("a value is nested too deeply to hand over, or holds itself") from None

    def _encode(self, value: Any) -> Any:
        kind: Any = type(value)
        if kind in PLAIN:
            return {"i": hex(value)} if kind is int and not -BIG < value < BIG else value
        if kind in (list, tuple, set, frozenset, deque):
            return {_SEQUENCES[kind]: _plain_list(value) or [self._encode(each) for each in value]}
        if kind in (dict, Counter, OrderedDict):
            return {_MAPPINGS[kind]: [[self._encode(key), self._encode(each)] for key, each in value.items()]}
        if kind in _BY_TEXT:
            return {"t": [kind.__name__, _BY_TEXT[kind][0](value)]}
        if isinstance(value, Remote) and object.__getattribute__(value, "_peer") is self:
            return {"back": object.__getattribute__(value, "_number")}
        if kind is type and vars(builtins).get(name := value.__name__) is value:
            return {"type": name}
        if kind.__module__ == "numpy" and not getattr(value, "shape", True):  # a number of numpy's
            return self._encode(value.item())
        for base, how in _BASES:
            if isinstance(value, base):
                return self._encode(how(value))
        return {"at": self.number_of(value)}

    def number_of(self, thing: Any) -> int:
        """The number under which the other side may name an object."""
        number = self.numbers.get(id(thing))
        if number is None:
            if len(self.objects) >= MAX_OBJECTS:
                raise ValueError("too many objects to hand over")
            number = self.numbers[id(thing)] = len(self.objects)
            self.objects.append(thing)
        return number

    def decode(self, value: Any) -> Any:
        """The value of a JSON. Raises ValueError, TypeError or LookupError for what `encode` does not write."""
        if type(value) in PLAIN:
            return value
        [(tag, content)] = value.items()
        if tag in _SEQUENCE_OF:
            simple = all(type(each) in PLAIN for each in content)
            return _SEQUENCE_OF[tag](content if simple else [self.decode(each) for each in content])
        if tag in _MAPPING_OF:
            pairs = [(self.decode(key), self.decode(each)) for key, each in content]
            return _MAPPING_OF[tag](dict(pairs))
        if tag == "i":
            return int(content, 16)
        if tag == "t":
            return _TEXT_TYPES[content[0]](content[1])
        if tag == "back":
            return self.objects[content]
        if tag == "type":
            kind = getattr(builtins, content)
            if not isinstance(kind, type):
                raise ValueError(content)
            return kind
        if tag == "at":
            if not isinstance(content, int):
                raise TypeError(content)
            return self.remotes.setdefault(content, Remote(self, content))
        raise ValueError(tag)


def _check_public(thing: Any, name: object) -> None:
    """Only public attributes of objects of the tests' own classes: frames and functions lead to expected values."""
    written_in_python = type(thing).__flags__ & (1 << 9)  # Py_TPFLAGS_HEAPTYPE
    if not written_in_python or str(name).startswith("_"):
        raise AttributeError(name)


def describe(error: BaseException) -> tuple[list[str], str, list[Any]]:
    """(built-in types that it is, most special first, after its own name; its message; its arguments if plain)."""
    kinds = type(error).__mro__
    names = [kinds[0].__name__, *(each.__name__ for each in kinds if each.__module__ == "builtins")]
    try:
        text = str(error)[:MAX_TEXT]
    except BaseException:
        text = ""
    plain = [each[:MAX_TEXT] if type(each) is str else each for each in error.args if type(each) in PLAIN]
    safe = [each for each in plain if not (type(each) is int and not -BIG < each < BIG)]
    return names, text, safe if len(safe) == len(error.args) else []


def in_words(error: BaseException) -> str:
    """`ValueError: message`, whatever the exception's own methods do."""
    names, text, _ = describe(error)
    return f"{names[0]}: {text}".rstrip(": ")


def _is_exception(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseException)


def _plain_list(value: Any) -> list[Any] | None:
    """The elements as a list when all are plain and small; None where each needs a look."""
    kinds = set(map(type, value))
    if kinds <= PLAIN and (int not in kinds or all(type(each) is not int or -BIG < each < BIG for each in value)):
        return list(value)
    return None


_SEQUENCES: dict[Any, str] = {list: "l", tuple: "u", set: "s", frozenset: "f", deque: "q"}
_SEQUENCE_OF = {tag: kind for kind, tag in _SEQUENCES.items()}
_MAPPINGS: dict[Any, str] = {dict: "d", Counter: "c", OrderedDict: "o"}
_MAPPING_OF = {tag: kind for kind, tag in _MAPPINGS.items()}
# Types that a text stands for: how to write it, how to read it.
_BY_TEXT: dict[Any, Any] = {
    bytes: (bytes.hex, bytes.fromhex),
    bytearray: (bytearray.hex, bytearray.fromhex),
    complex: (lambda value: [value.real, value.imag], lambda parts: complex(float(parts[0]), float(parts[1]))),
    range: (lambda value: [value.start, value.stop, value.step], lambda parts: range(*parts)),
    Decimal: (str, Decimal),
    Fraction: (lambda value: [value.numerator, value.denominator], lambda parts: Fraction(*parts)),
    datetime: (datetime.isoformat, datetime.fromisoformat),
    date: (date.isoformat, date.fromisoformat),
    time: (time.isoformat, time.fromisoformat),
    timedelta: (
        lambda value: [value.days, value.seconds, value.microseconds],
        lambda parts: timedelta(days=parts[0], seconds=parts[1], microseconds=parts[2]),
    ),
}
_TEXT_TYPES = {kind.__name__: read for kind, (_, read) in _BY_TEXT.items()}
# Subclasses cross as the plain value inside them, whatever methods they redefine.
_BASES: tuple[tuple[type, Any], ...] = (
    (str, lambda value: str.__str__(value)),
    (int, lambda value: int.__add__(value, 0)),
    (float, lambda value: float.__add__(value, 0.0)),
    (tuple, lambda value: tuple(tuple.__iter__(value))),
    (list, lambda value: list(list.__iter__(value))),
    (dict, lambda value: dict(dict.items(value))),
    (set, lambda value: set(set.__iter__(value))),
    (frozenset, lambda value: frozenset(frozenset.__iter__(value))),
)


def _replace(place: Any, value: Any) -> None:
    """Give a container the contents that the other side left it with."""
    if type(place) is not type(value) or type(value) not in _REPLACERS:
        raise TypeError("not a container")
    _REPLACERS[type(value)](place, value)


def _refill(place: Any, value: Any) -> None:
    place.clear()
    place.update(value)


def _rewrite(place: Any, value: Any) -> None:
    place.clear()
    place.extend(value)


_REPLACERS: dict[Any, Any] = {
    **dict.fromkeys((list, bytearray, deque), _rewrite),
    **dict.fromkeys((dict, set, Counter, OrderedDict), _refill),
}
