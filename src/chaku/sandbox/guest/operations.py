"""The operations that one process may ask of an object of the other process: their names, and what the owner does.

An operator has the name of its special method; the owner applies the operator itself.
"""

import copy
import math
import operator
from collections.abc import Callable
from typing import Any

ARITHMETIC = (
    "add",
    "sub",
    "mul",
    "matmul",
    "truediv",
    "floordiv",
    "mod",
    "pow",
    "lshift",
    "rshift",
    "and",
    "or",
    "xor",
)
ORDER = ("__lt__", "__le__", "__gt__", "__ge__")


def _arithmetic() -> dict[str, Callable[..., Any]]:
    found: dict[str, Callable[..., Any]] = {
        "__divmod__": divmod,
        "__rdivmod__": lambda thing, value: divmod(value, thing),
    }
    for name in ARITHMETIC:
        function = getattr(operator, f"__{name}__")
        found[f"__{name}__"] = function
        found[f"__r{name}__"] = lambda thing, value, function=function: function(value, thing)
        found[f"__i{name}__"] = getattr(operator, f"__i{name}__")
    return found


# With the tests' own data as the other operand, a candidate could make up the answer to these from that data.
WITH_DATA: dict[str, Callable[..., Any]] = {**_arithmetic(), **{name: getattr(operator, name) for name in ORDER}}
SPECIAL: dict[str, Callable[..., Any]] = {
    **WITH_DATA,
    "__call__": lambda thing, *arguments, **named: thing(*arguments, **named),
    "__eq__": operator.eq,
    "__ne__": operator.ne,
    "__hash__": hash,
    "__bool__": bool,
    "__len__": len,
    "__contains__": operator.contains,
    "__getitem__": operator.getitem,
    "__setitem__": operator.setitem,
    "__delitem__": operator.delitem,
    "__iter__": iter,
    "__next__": next,
    "__reversed__": reversed,
    "__neg__": operator.neg,
    "__pos__": operator.pos,
    "__abs__": abs,
    "__invert__": operator.invert,
    "__int__": int,
    "__float__": float,
    "__complex__": complex,
    "__index__": operator.index,
    "__round__": round,
    "__trunc__": math.trunc,
    "__floor__": math.floor,
    "__ceil__": math.ceil,
    "__bytes__": bytes,
    "__fspath__": lambda thing: thing.__fspath__(),
    "__enter__": lambda thing: type(thing).__enter__(thing),
    "__exit__": lambda thing, *error: type(thing).__exit__(thing, *error),
}
# Operations whose results are awaited.
AWAITED: dict[str, Callable[..., Any]] = {
    "__await__": lambda thing: thing,
    "__anext__": lambda thing: type(thing).__anext__(thing),
    "__aenter__": lambda thing: type(thing).__aenter__(thing),
    "__aexit__": lambda thing, *error: type(thing).__aexit__(thing, *error),
}
OPERATIONS: dict[str, Callable[..., Any]] = {
    **SPECIAL,
    "__aiter__": lambda thing: type(thing).__aiter__(thing),
    "__str__": str,
    "__repr__": repr,
    "__format__": format,
    "get": getattr,
    "set": setattr,
    "delete": delattr,
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "send": lambda generator, value: generator.send(value),
    "throw": lambda generator, error: generator.throw(error),
}


def special_methods(kind: type) -> list[str]:
    """The special methods that a class or one of its bases, except `object`, defines."""
    found: dict[str, Any] = {}
    for base in reversed(kind.__mro__[:-1]):
        found |= vars(base)
    return [name for name in (*SPECIAL, *AWAITED, "__aiter__") if found.get(name) is not None]
