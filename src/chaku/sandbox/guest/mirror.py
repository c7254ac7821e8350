"""Mirrors: local stand-ins for objects and classes of the other process.

A mirror class has the name, the bases and the special methods of the class that it mirrors, but none of its code: it
asks the owning process to do every operation. `isinstance` and `except` work through the mirrors' bases.

For the judge, a candidate's object is never equal to plain data, whatever its `__eq__` returns. An operator between a
candidate's object and the tests' own data is asked only of classes that the tests name, except the class under test.
"""

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from chaku.sandbox.guest.operations import AWAITED, SPECIAL, WITH_DATA

if TYPE_CHECKING:
    from chaku.sandbox.guest.wire import Peer

# The special attributes that mirrors ask their owner for.
SHOWN = ("__name__", "__qualname__", "__wrapped__", "__annotations__", "__match_args__")


class Mirror(type):
    """The metaclass of mirrors. Its owner does the operations on a class: calling it, getting a member of an enum."""

    _home: tuple["Peer", int]
    _believed: bool

    def __new__(cls, name: str, bases: tuple[type, ...], names: dict[str, Any]) -> "Mirror":
        if "_home" not in names:
            raise TypeError(f"{name} derives from a class of the other process, which cannot be done here")
        return super().__new__(cls, name, bases, names)

    def __call__(cls, *arguments: Any, **named: Any) -> Any:
        return ask(cls, "__call__", *arguments, **named)

    def __getattr__(cls, name: str) -> Any:
        return _get(cls, name)

    def __setattr__(cls, name: str, value: Any) -> None:
        if name.startswith("__"):
            type.__setattr__(cls, name, value)
        else:
            ask(cls, "set", name, value)

    def __getitem__(cls, key: Any) -> Any:
        return ask(cls, "__getitem__", key)

    def __iter__(cls) -> Any:
        return ask(cls, "__iter__")

    def __len__(cls) -> Any:
        return ask(cls, "__len__")

    def __bool__(cls) -> bool:
        return True


class Remote:
    """The base of all mirrors: an object of the other process. `_home`: (the peer, the object's number there)."""

    def __getattr__(self, name: str) -> Any:
        return _get(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("__"):  # Python sets these on exceptions
            object.__setattr__(self, name, value)
        else:
            ask(self, "set", name, value)

    def __delattr__(self, name: str) -> None:
        ask(self, "delete", name)

    @property
    def __dict__(self) -> Any:  # type: ignore[override]
        return ask(self, "get", "__dict__")

    def __str__(self) -> Any:
        return ask(self, "__str__")

    def __repr__(self) -> Any:
        return ask(self, "__repr__")

    def __format__(self, how: str) -> Any:
        return ask(self, "__format__", how)

    def __copy__(self) -> Any:
        return ask(self, "copy")

    def __deepcopy__(self, memo: Any) -> Any:
        return ask(self, "deepcopy")

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError("an object of the other process cannot be pickled")


class AtHome:
    """An object with a value here and a home in the other process."""


class Held(AtHome):
    """An instance of a subclass of str, int, float or tuple: its value is here, its attributes are at the owner."""

    def __getattr__(self, name: str) -> Any:
        return _get(self, name)

    def __str__(self) -> Any:
        return ask(self, "__str__")

    def __repr__(self) -> Any:
        return ask(self, "__repr__")

    def __format__(self, how: str) -> Any:
        return ask(self, "__format__", how)


HELD: dict[type, Any] = {base: type(base.__name__, (Held, base), {}) for base in (str, int, float, tuple)}


def home_of(thing: Any) -> tuple["Peer", int] | None:
    """The peer that owns an object, and the object's number there; None for an object of this process."""
    if type(thing) is Mirror:
        return thing._home
    if type(type(thing)) is Mirror or isinstance(thing, AtHome):
        home: tuple[Peer, int] = object.__getattribute__(thing, "_home")
        return home
    return None


def ask(thing: Any, operation: str, *arguments: Any, **named: Any) -> Any:
    """Ask the owner of an object to do an operation on it."""
    home = home_of(thing)
    assert home is not None
    return home[0].ask(operation, home[1], arguments, named)


def place(thing: Any, home: tuple["Peer", int]) -> Any:
    """Set the home of a new object."""
    object.__setattr__(thing, "_home", home)
    return thing


def make_mirror(
    home: tuple["Peer", int], name: str, module: str, bases: list[type], special: list[str], hashable: bool
) -> Mirror:
    """The mirror of a class. Keeps only the `bases` that are mirrors or exceptions."""
    kept: list[Any] = [base for base in bases if type(base) is Mirror or issubclass(base, BaseException)]
    if not any(type(base) is Mirror for base in kept):
        kept.insert(0, Remote)
    names: dict[str, Any] = {"_home": home, "__module__": module}
    names |= {method: _METHODS[method] for method in special if method in _METHODS}
    if not hashable:
        names["__hash__"] = None
    elif "__hash__" not in names and "__eq__" in names:
        names["__hash__"] = object.__hash__
    if any(issubclass(base, BaseException) for base in kept):
        names["__str__"] = lambda error: object.__getattribute__(error, "_text")
    return Mirror(name.replace("\0", ""), tuple(kept), names)


def believe(mirror: Mirror) -> None:
    """Let a class and its subclasses answer operators with the tests' own data."""
    type.__setattr__(mirror, "_believed", True)


def _get(thing: Any, name: str) -> Any:
    if (name.startswith("__") and name not in SHOWN) or name == "_home":
        raise AttributeError(name)
    return ask(thing, "get", name)


def _doubted(thing: Any, values: tuple[Any, ...]) -> bool:
    """Whether the judge's question holds the tests' own data, so that the candidate could just repeat them."""
    home = home_of(thing)
    assert home is not None
    believed = type.__getattribute__(type(thing), "__mro__")
    if home[0].other_process is None or any(vars(method).get("_believed") for method in believed):
        return False
    return any(home_of(value) is None for value in values)


def _method(name: str) -> Any:
    def method(self: Any, *arguments: Any, **named: Any) -> Any:
        if name in WITH_DATA and _doubted(self, arguments):
            words = f"{name} of an object of the candidate's class {type(self).__name__} with the tests' own data"
            raise TypeError(f"{words} cannot be judged: only the candidate could say what it gives")
        return ask(self, name, *arguments, **named)

    return method


def _equal(self: Any, other: Any) -> Any:
    home = home_of(self)
    assert home is not None
    peer = home[0]
    if peer.other_process is None or home_of(other) is not None:
        return ask(self, "__eq__", other)
    # The candidate must not see the expected value.
    is_plain, value = ask(self, "inside")
    if is_plain:
        return value == other
    peer.doubt = f"an object of the candidate's class {type(self).__name__} is never equal to plain data here"
    return NotImplemented  # Python then asks the tests' own object


def _unequal(self: Any, other: Any) -> Any:
    home = home_of(self)
    assert home is not None
    if home[0].other_process is None or home_of(other) is not None:
        return ask(self, "__ne__", other)
    equal = _equal(self, other)
    return equal if equal is NotImplemented else not equal


def _contains(self: Any, value: Any) -> Any:
    if _doubted(self, (value,)):  # the judge compares
        return any(item == value for item in self)
    return ask(self, "__contains__", value)


def _awaited(name: str) -> Any:
    async def method(self: Any, *arguments: Any) -> Any:
        return ask(self, name, *arguments)

    return method


def _await(self: Any) -> Any:
    async def wait() -> Any:
        return ask(self, "__await__")

    return wait().__await__()


def coroutine(peer: "Peer", number: int) -> Any:
    """A stand-in for a coroutine of the other process. Awaiting it runs the other coroutine to its end."""

    async def wait() -> Any:
        return peer.ask("__await__", number, (), {})

    return wait()


def generator(peer: "Peer", number: int) -> Generator[Any, Any, Any]:
    """A stand-in for a generator of the other process."""
    step, given = "send", None
    while True:
        try:
            value = peer.ask(step, number, (given,), {})
        except StopIteration as end:
            return end.value
        try:
            step, given = "send", (yield value)
        except GeneratorExit:  # not forwarded: the garbage collector may raise it amid another question
            raise
        except BaseException as error:
            step, given = "throw", error


_METHODS: dict[str, Any] = {
    **{name: _method(name) for name in (*SPECIAL, "__aiter__")},
    **{name: _awaited(name) for name in AWAITED},
    "__await__": _await,
    "__eq__": _equal,
    "__ne__": _unequal,
    "__contains__": _contains,
}
