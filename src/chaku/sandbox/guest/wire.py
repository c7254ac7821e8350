"""The protocol between judge and candidate: questions and answers in plain data, of bounded size, over a socket.

Plain data crosses by value (`values.py`). Other objects stay in their process and cross as a number; the other process
makes a mirror (`mirror.py`), which sends its operations over the wire.
"""

import builtins
import json
import os
import select
import socket
import struct
import sys
import types
from _thread import RLock
from collections.abc import Awaitable
from typing import Any

from chaku.sandbox.guest import mirror, shared, values
from chaku.sandbox.guest.operations import AWAITED, OPERATIONS, special_methods
from chaku.sandbox.guest.redirection import Originals, redirected, replay

MAX_MESSAGE = 64 * 2**20
MAX_OBJECTS = 1_000_000
MAX_TEXT = 500  # characters of an exception's message
LOOK_SECONDS = 0.25  # between checks whether a silent candidate still runs
ENDS_LOOPS = ("__next__", "send", "throw")  # which may raise StopIteration


class Gone(BaseException):
    """The other process no longer answers."""


class Broken(Gone):
    """The other process sent an invalid message."""


class Peer:
    """One end of the wire. `other_process`: the candidate's process id at the judge's end; None at the other end.

    The judge's end shows only the public attributes of its objects, and raises Gone as soon as the candidate's process
    has ended or stopped, even if another process still holds the wire. `doubt`: why a comparison counted as false.
    """

    def __init__(self, channel: socket.socket, other_process: int | None = None):
        self.channel = channel
        self.other_process = other_process
        self.objects: list[Any] = []
        self.numbers: dict[int, int] = {}
        self.gone = False
        self.doubt = ""
        self._remotes: dict[int, Any] = {}
        self._mirrors: dict[int, Any] = {}
        self._stand_ins: dict[int, tuple[Any, int]] = {}  # for the other process's coroutines and generators
        self._originals = Originals() if other_process is not None else None
        self._loop: Any = None
        self._asking = RLock()

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
        """Raises Gone when the other process has ended or stopped."""
        assert self.other_process is not None
        flags = os.WEXITED | os.WSTOPPED | os.WNOWAIT | os.WNOHANG
        if os.waitid(os.P_PID, self.other_process, flags) is not None:
            self.gone = True
            raise Gone

    # --- asking and answering

    def ask(self, operation: str, number: int, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Ask the other process to do an operation, and answer its questions meanwhile. One thread asks at a time."""
        with self._asking:
            return self._ask(operation, number, arguments, named)

    def _ask(self, operation: str, number: int, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        if self.gone:
            raise Gone
        sent = [self.encode(argument) for argument in arguments]
        replaced = self._originals.replaced(self.encode) if self._originals else {}
        keywords = {name: self.encode(item) for name, item in named.items()}
        self.send(["ask", operation, number, sent, keywords, replaced])
        while (message := self._message())[0] == "ask":
            self.answer(message)
        try:
            kind, result, changed, seen = message
            replay(seen)
            if kind == "raise":
                raised = self._decode_error(*result)
            else:
                for place, value in changed:
                    values.replace(named[place] if isinstance(place, str) else arguments[place], self.decode(value))
                return self.decode(result)
        except (IndexError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            self.gone = True
            raise Broken from error
        if isinstance(raised, StopIteration) and operation not in ENDS_LOOPS:  # it would end the tests' own loops
            raise RuntimeError("the candidate raised StopIteration") from raised
        raise raised

    def _message(self) -> list[Any]:
        message = self.receive()
        if isinstance(message, list) and message:
            return message
        self.gone = True
        raise Broken

    def answer(self, message: Any) -> None:
        """Do the operation of a message from the other process, and send back the result or the exception."""
        seen: dict[str, Any] = {}
        try:
            _, operation, number, arguments, named, replaced = message
            positional = [self.decode(argument) for argument in arguments]
            if self.other_process is not None and operation in ("get", "set", "delete"):
                _check_public(self.objects[number], positional[0])
            keywords = {name: self.decode(item) for name, item in named.items()}
            thing = self.objects[number]
            with redirected(replaced, self.decode) as seen:
                result = self._do(operation, thing, positional, keywords)
            changed = []
            if operation == "__call__":
                given = [*enumerate(positional), *keywords.items()]
                for (place, value), before in zip(given, [*arguments, *named.values()], strict=True):
                    if values.is_container(value) and (now := self.encode(value)) != before:
                        changed.append([place, now])
            sent = self.encode(result)
            if operation == "get" and type(result) in shared.SHARED:
                sent = {"shared": [sent, self.number_of(result)]}
            reply = ["done", sent, changed, seen]
        except Gone:
            raise
        except BaseException as error:
            reply = ["raise", self._encode_error(error), [], seen]
        try:
            self.send(reply)
        except (ValueError, TypeError, RecursionError) as error:
            self.send(["raise", self._encode_error(error), [], {}])

    def _do(self, operation: str, thing: Any, positional: list[Any], keywords: dict[str, Any]) -> Any:
        if operation == "describe":
            return self._describe(thing)
        if operation == "inside":
            try:
                return True, values.inside(thing)
            except TypeError:
                return False, None
        if operation == "change":
            return shared.change(thing, *positional, **keywords)
        if operation in AWAITED:
            return self._finish(AWAITED[operation](thing, *positional))
        return OPERATIONS[operation](thing, *positional, **keywords)

    def _finish(self, awaitable: Awaitable[Any]) -> Any:
        """Run an awaitable to its end now. Nested calls get their own event loop; all others share one."""
        import asyncio

        around = asyncio._get_running_loop()
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
        within = self._loop.is_running()
        loop = asyncio.new_event_loop() if within else self._loop
        asyncio._set_running_loop(None)
        try:
            return loop.run_until_complete(awaitable)
        finally:
            if within:
                loop.close()
            asyncio._set_running_loop(around)

    # --- values and objects

    def encode(self, value: Any) -> Any:
        """The JSON of a value. Raises ValueError for a value that cannot be handed over."""
        return values.encode(value, self._refer)

    def decode(self, value: Any) -> Any:
        """The value of `encode`'s JSON. Raises ValueError, TypeError or LookupError for any other JSON."""
        return values.decode(value, self._resolve)

    def number_of(self, thing: Any) -> int:
        """The number by which the other process refers to an object. Raises ValueError above MAX_OBJECTS."""
        number = self.numbers.get(id(thing))
        if number is None:
            if len(self.objects) >= MAX_OBJECTS:
                raise ValueError("too many objects to hand over")
            number = self.numbers[id(thing)] = len(self.objects)
            self.objects.append(thing)
        return number

    def _refer(self, value: Any) -> Any:
        home, kind = mirror.home_of(value), type(value)
        if home is not None and home[0] is self:
            return {"back": home[1]}
        if id(value) in self._stand_ins:
            return {"back": self._stand_ins[id(value)][1]}
        if isinstance(value, type):
            is_builtin = vars(builtins).get(value.__name__) is value
            return {"type": value.__name__} if is_builtin else {"class": self.number_of(value)}
        if isinstance(value, BaseException):
            return {"error": self._encode_error(value)}
        if kind is types.CoroutineType or kind is types.GeneratorType:
            return {kind.__name__: self.number_of(value)}
        if not (id(kind) in self.numbers and _is_own(kind)):  # a class that the other process does not know
            for base, how in values.BASES:
                if isinstance(value, base):
                    plain = self.encode(how(value))
                    room = base in mirror.HELD and len(self.objects) < MAX_OBJECTS
                    return {"held": [plain, self.number_of(value)]} if room else plain
        return {"at": [self.number_of(value), self.number_of(kind)]}

    def _resolve(self, tag: str, content: Any) -> Any:
        if tag == "back":
            return self.objects[content]
        if tag == "type":
            kind = getattr(builtins, content)
            if not isinstance(kind, type):
                raise ValueError(content)
            return kind
        if tag == "class":
            return self.class_of(content)
        if tag == "error":
            return self._decode_error(*content)
        if tag == "at":
            number, kind = content
            if number not in self._remotes:
                made = self._mirror(kind)
                self._remotes[number] = mirror.place(made.__new__(made), (self, int(number)))
            return self._remotes[number]
        if tag == "held":
            plain, number = self.decode(content[0]), int(content[1])
            return mirror.place(mirror.HELD[type(plain)](plain), (self, number))
        if tag == "shared":
            elements, number = self.decode(content[0]), int(content[1])
            return mirror.place(shared.SHARED[type(elements)](elements), (self, number))
        if tag in ("coroutine", "generator"):
            made = (mirror.coroutine if tag == "coroutine" else mirror.generator)(self, int(content))
            self._stand_ins[id(made)] = made, content
            return made
        raise ValueError(tag)

    # --- classes

    def class_of(self, number: int) -> Any:
        """The class of that number: our own class for an exception of Python's library, else a mirror."""
        name, module, *_ = self._about(number)
        if module.partition(".")[0] in sys.stdlib_module_names:
            kind = getattr(sys.modules.get(module), name, None)
            if _is_exception(kind):
                return kind
        return self._mirror(number)

    def _mirror(self, number: int) -> Any:
        if number not in self._mirrors:
            name, module, bases, special, hashable = self._about(number)
            decoded = [self.decode(base) for base in bases]
            self._mirrors[number] = mirror.make_mirror((self, int(number)), name, module, decoded, special, hashable)
        return self._mirrors[number]

    def _about(self, number: int) -> Any:
        name, module, bases, special, hashable = self.ask("describe", int(number), (), {})
        return str(name), str(module), bases, special, hashable

    def _describe(self, kind: type) -> Any:
        bases = [self.encode(base) for base in kind.__bases__]
        return kind.__name__, kind.__module__, bases, special_methods(kind), kind.__hash__ is not None

    # --- exceptions

    def _encode_error(self, error: BaseException) -> list[Any]:
        """[class, object number (None for a builtin class), message, arguments (empty unless all are plain)]."""
        kind = type(error)
        _, text, arguments = describe(error)
        try:
            if (home := mirror.home_of(error)) and home[0] is self:
                return [{"back": home[1]}, None, text, []]
            builtin = kind.__module__ == "builtins"
            return [self.encode(kind), None if builtin else self.number_of(error), text, arguments]
        except Exception:
            return [{"type": "Exception"}, None, text, []]

    def _decode_error(self, kind: Any, number: int | None, text: str, arguments: list[Any]) -> BaseException:
        """The exception that `_encode_error` of the other process encoded."""
        made: Any = self.decode(kind)
        if isinstance(made, BaseException):  # an exception of this process
            return made
        if not _is_exception(made):
            raise ValueError(kind)
        given = [self.decode(argument) for argument in arguments]
        if type(made) is mirror.Mirror and number is not None:
            error = mirror.place(made.__new__(made), (self, int(number)))  # type: ignore[arg-type, call-arg]
            object.__setattr__(error, "_text", str(text))
        else:
            try:
                error = made(*given)
            except Exception:
                error = made.__new__(made)
        object.__setattr__(error, "args", error.args or tuple(given) or ((str(text),) if text else ()))
        return error


def _is_own(kind: type) -> bool:
    """Whether a class is the program's own, and not of Python's library."""
    return str(kind.__module__).partition(".")[0] not in sys.stdlib_module_names


def describe(error: BaseException) -> tuple[list[str], str, list[Any]]:
    """(names, message, arguments). Names: its class, then its built-in classes, the most specific first.

    The arguments are empty unless all are plain.
    """
    kinds = type(error).__mro__
    names = [kinds[0].__name__, *(kind.__name__ for kind in kinds if kind.__module__ == "builtins")]
    try:
        text = str(error)[:MAX_TEXT]
    except BaseException:
        text = ""
    plain = [arg[:MAX_TEXT] if type(arg) is str else arg for arg in error.args if type(arg) in values.PLAIN]
    safe = [kind for kind in plain if not (type(kind) is int and not -values.BIG < kind < values.BIG)]
    return names, text, safe if len(safe) == len(error.args) else []


def in_words(error: BaseException) -> str:
    """`ValueError: message`, whatever the exception's own methods do."""
    names, text, _ = describe(error)
    return f"{names[0]}: {text}".rstrip(": ")


def _is_exception(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseException)


def _check_public(thing: Any, name: object) -> None:
    """Raises AttributeError unless a public attribute of an object of a Python class is asked for.

    Frames and functions of the tests would lead to the expected values.
    """
    written_in_python = type(thing).__flags__ & (1 << 9)  # Py_TPFLAGS_HEAPTYPE
    if not written_in_python or str(name).startswith("_"):
        raise AttributeError(name)
