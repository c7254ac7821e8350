"""Copies of lists, dicts and sets that are attributes of an object in the other process.

A copy has the elements from the time when the attribute was read. Changes of the copy are also made in the original.
"""

from typing import Any

from chaku.sandbox.guest.mirror import AtHome, ask

CHANGES: dict[type, tuple[str, ...]] = {
    list: (
        *("append", "extend", "insert", "remove", "pop", "clear", "sort", "reverse"),
        *("__setitem__", "__delitem__", "__iadd__", "__imul__"),
    ),
    dict: (
        *("update", "pop", "popitem", "clear", "setdefault"),
        *("__setitem__", "__delitem__", "__ior__"),
    ),
    set: (
        *("add", "remove", "discard", "clear", "update"),
        *("difference_update", "intersection_update", "symmetric_difference_update"),
        *("__ior__", "__iand__", "__isub__", "__ixor__"),
    ),
}


def change(thing: Any, name: str, *arguments: Any, **named: Any) -> None:
    """Change the owner's original. Raises TypeError for any method except those in CHANGES."""
    if name not in CHANGES.get(type(thing), ()):
        raise TypeError(name)
    getattr(thing, name)(*arguments, **named)


def _method(base: type, name: str) -> Any:
    def method(self: Any, *arguments: Any, **named: Any) -> Any:
        result = getattr(base, name)(self, *arguments, **named)
        ask(self, "change", name, *arguments, **named)
        return result

    return method


def _pop(self: Any) -> Any:
    """A set's `pop`, which removes the same element in both processes."""
    result = set.pop(self)
    ask(self, "change", "discard", result)
    return result


SHARED: dict[type, Any] = {
    base: type(
        base.__name__,
        (AtHome, base),
        {name: _method(base, name) for name in names} | ({"pop": _pop, "__hash__": None} if base is set else {}),
    )
    for base, names in CHANGES.items()
}
