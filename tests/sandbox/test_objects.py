"""Objects across the wire: tests that need a candidate's objects are judged; no object passes by its own word."""

import pytest

from chaku.sandbox.verdict import Job
from chaku.sandbox.worker import Worker

# (candidate, test)
RIGHT = {
    "a data class is equal by its fields": (
        r"""
from dataclasses import dataclass
@dataclass
class P:
    x: int
    y: int = 0
def f(x):
    return P(x)
""",
        r"""
assert f(1) == P(1)
assert f(1) != P(2)
assert P(1) in [f(1)]
assert f(1).x == 1
assert repr(P(1)) == 'P(x=1, y=0)'
assert str(P(2, 3)) == 'P(x=2, y=3)'
assert isinstance(f(1), P) and type(f(1)) is P and type(f(1)).__name__ == 'P' and not isinstance(3, P)
assert f(1) != 5 and not (f(1) == (1, 0))
""",
    ),
    "operators": (
        r"""
class V:
    def __init__(s, *a): s.a = a
    def __eq__(s, o): return isinstance(o, V) and s.a == o.a
    def __add__(s, o): return V(*[p + q for p, q in zip(s.a, o.a)])
    def __mul__(s, k): return V(*[p * k for p in s.a])
    __rmul__ = __mul__
    def __lt__(s, o): return s.a < o.a
    def __hash__(s): return hash(s.a)
    def __abs__(s): return sum(p * p for p in s.a) ** .5
    def __float__(s): return abs(s)
    def __len__(s): return len(s.a)
    def __getitem__(s, i): return s.a[i]
    def __iter__(s): return iter(s.a)
    def __neg__(s): return V(*[-p for p in s.a])
    def __matmul__(s, o): return sum(p * q for p, q in zip(s.a, o.a))
    def __iadd__(s, o): s.a = (s + o).a; return s
    def __format__(s, how): return 'V' + how
""",
        r"""
assert V(1, 2) + V(3, 4) == V(4, 6)
assert V(1, 2) * 3 == V(3, 6) and 2 * V(1, 1) == V(2, 2)
assert sorted([V(2), V(1)]) == [V(1), V(2)] and max(V(1), V(5)) == V(5)
assert abs(V(3, 4)) == 5
assert float(V(3, 4)) == 5.0
assert len(V(1, 2)) == 2
assert V(7, 8)[1] == 8
assert list(V(1, 2)) == [1, 2]
assert {V(1), V(1)} == {V(1)} and {V(1): 2}[V(1)] == 2
assert -V(1) == V(-1) and V(1, 2) @ V(3, 4) == 11 and f'{V(1):x}' == 'Vx'
v = w = V(1)
v += V(2)
assert v is w and w == V(3) and 3 in v and 4 not in v
try:
    V(1) + 5
except AttributeError as e:
    assert 'int' in str(e)
else:
    assert False
try:
    V(1) - V(2)
except TypeError:
    pass
else:
    assert False
""",
    ),
    "with": (
        r"""
class C:
    def __init__(s): s.log = []
    def __enter__(s): s.log.append('in'); return s
    def __exit__(s, kind, error, tb): s.log.append(kind.__name__ if kind else 'out'); return True
from contextlib import contextmanager
@contextmanager
def g(x):
    yield x + 1
""",
        r"""
c = C()
with c as d:
    assert c is d and c.log == ['in']
assert c.log == ['in', 'out']
with c:
    raise KeyError(3)
assert c.log[-1] == 'KeyError'
with g(1) as x:
    assert x == 2
""",
    ),
    "except": (
        r"""
class Base(Exception):
    pass
class E(Base, ValueError):
    def __init__(s, m, code): super().__init__(m); s.code = code
def f(x):
    if x: raise E('no', x)
    import json
    json.loads('{')
""",
        r"""
try:
    f(3)
except E as e:
    assert e.code == 3 and str(e) == 'no' and e.args == ('no',) and isinstance(e, Base) and isinstance(e, ValueError)
else: assert 0
for kind in (Base, ValueError, Exception, (KeyError, E)):
    try: f(2)
    except kind: pass
    else: assert 0
import json
try: f(0)
except json.JSONDecodeError: pass
else: assert 0
try: f(1)
except KeyError: assert 0
except Base: pass
assert issubclass(E, Base) and issubclass(E, ValueError)
import unittest
with unittest.TestCase().assertRaises(E) as caught: f(4)
assert caught.exception.code == 4
try: raise E('a', 7)
except Base as e: assert e.code == 7
""",
    ),
    "coroutines": (
        r"""
import asyncio
async def f(x):
    await asyncio.sleep(0.01)
    if x < 0: raise ValueError('neg')
    return x + 1
async def g(n):
    for i in range(n):
        yield i
class A:
    async def __aenter__(s): return 5
    async def __aexit__(s, *e): return True
async def h(fn, x): return await fn(x)
""",
        r"""
import asyncio
assert asyncio.run(f(1)) == 2
async def main():
    assert await f(2) == 3
    assert await asyncio.gather(f(1), f(2)) == [2, 3]
    assert [i async for i in g(3)] == [0, 1, 2]
    async with A() as a: assert a == 5
    async with A(): raise ValueError
    async def own(x): return await f(x) * 2
    assert await h(own, 4) == 10
    try: await f(-1)
    except ValueError as e: assert str(e) == 'neg'
    else: assert 0
asyncio.run(main())
import inspect
assert inspect.iscoroutinefunction(f) or True
""",
    ),
    "numpy's arrays": (
        r"""
import numpy as np
def f(x):
    assert isinstance(x, np.ndarray), type(x)
    return x * 2
def g(x):
    x += 1
""",
        r"""
a = np.array([[1, 2], [3, 4]])
assert (f(a) == a * 2).all() and f(a).shape == (2, 2) and np.allclose(f(a * .5), a)
np.testing.assert_array_equal(f(a), a + a)
g(a)
assert a[0, 0] == 2
assert f(np.array(['a'], dtype=object))[0] == 'aa'
""",
    ),
    "views of a dict": (
        r"""
def f(d):
    return d.keys(), d.items(), list(d.values())
""",
        r"""
k, i, v = f({'a': 1})
assert k == {'a'} and i == {('a', 1)} and v == [1] and set(k) == {'a'} and 'a' in k
assert f({1: 2})[0] == {1: 3}.keys()
""",
    ),
    "generators": (
        r"""
def f(n):
    while True:
        got = yield n
        n = got if got is not None else n + 1
def take(it, n): return [next(it) for _ in range(n)]
def h(n):
    yield from range(n)
    return 9
""",
        r"""
import types, itertools
g = f(1)
assert isinstance(g, types.GeneratorType) and next(g) == 1 and g.send(5) == 5 and next(g) == 6
assert take(f(3), 3) == [3, 4, 5]
assert list(itertools.islice(f(0), 2)) == [0, 1]
assert take((x * x for x in range(5)), 3) == [0, 1, 4]
assert list(h(3)) == [0, 1, 2]
assert take(iter([1, 2]), 2) == [1, 2]
""",
    ),
    "captured output and input": (
        r"""
import sys
def f(x):
    print('hi', x)
    print('err', file=sys.stderr)
    return x
def ask(): return input('name? ') + input()
""",
        r"""
import io, sys, contextlib
from unittest.mock import patch
out = io.StringIO()
with contextlib.redirect_stdout(out): assert f(3) == 3
assert out.getvalue() == 'hi 3\n'
with patch('sys.stdout', new_callable=io.StringIO) as o: f(1)
assert o.getvalue() == 'hi 1\n'
with patch('builtins.print') as p: f(2)
assert p.call_args_list[0].args == ('hi', 2)
with patch('builtins.input', side_effect=['a', 'b']): assert ask() == 'ab'
sys.stdin = io.StringIO('x\ny\nz\n')
out = io.StringIO()
with contextlib.redirect_stdout(out): assert ask() == 'xy'
assert sys.stdin.readline() == 'z\n' and out.getvalue() == 'name? '
f(5)
assert out.getvalue() == 'name? '
""",
    ),
    "enumerations": (
        r"""
from enum import Enum, IntEnum
class Color(Enum):
    RED = 1
    BLUE = 2
class N(IntEnum):
    ONE = 1
def f(x):
    return Color(x)
def g(): return N.ONE
""",
        r"""
assert f(1) is Color.RED
assert f(2) == Color.BLUE
assert f(1).name == 'RED'
assert f(1).value == 1
assert [c.name for c in Color] == ['RED', 'BLUE']
assert len(Color) == 2
assert Color['RED'] is f(1)
assert f(1) != Color.BLUE
assert {Color.RED: 3}[f(1)] == 3
assert str(f(1)) == 'Color.RED'
assert isinstance(f(1), Color)
assert g() == 1 and g().name == 'ONE'
try: f(9)
except ValueError: pass
else: assert 0
""",
    ),
    "named tuples": (
        r"""
from collections import namedtuple
Point = namedtuple('Point', 'x y')
def f(a):
    return Point(a, 2)
def g(p): return p.x
""",
        r"""
assert f(1) == (1, 2) and f(1).x == 1 and f(1)._asdict if 0 else f(1).x == 1
assert g(f(4)) == 4 and isinstance(f(1), tuple)
""",
    ),
    "a named tuple that the tests name": (
        r"""
from collections import namedtuple
Point = namedtuple('Point', 'x y')
def f(a):
    return Point(a, 2)
""",
        r"""
assert f(1) == Point(1, 2) and f(1) == (1, 2) and f(1)[0] == 1 and (1, 2) == f(1) and f(1) != (1, 3)
""",
    ),
    "containers and class attributes": (
        r"""
class Stack(list):
    def push(s, x): s.append(x)
    def peek(s): return s[-1]
class Tree:
    def __init__(s): s.items = set()
    def add(s, x): s.items.add(x)
    def __contains__(s, x): return x in s.items
    count = 0
    @classmethod
    def make(cls): cls.count += 1; return cls()
    @staticmethod
    def two(): return 2
    @property
    def size(s): return len(s.items)
""",
        r"""
s = Stack()
s.push(1)
s.push(2)
assert len(s) == 2 and s.peek() == 2 and s == [1, 2] and list(s) == [1, 2] and s.pop() == 2 and 1 in s and s
t = Tree()
t.add('a')
assert 'a' in t
assert 'b' not in t
assert t.size == 1
assert Tree.two() == 2
assert isinstance(Tree.make(), Tree)
assert Tree.count == 1
assert vars(t) == {'items': {'a'}}
assert hasattr(t, 'add')
assert not hasattr(t, 'zzz')
assert not hasattr(t, '__len__')
assert not callable(t)
import copy
u = copy.deepcopy(t)
u.add('b')
assert 'b' not in t and 'b' in u
""",
    ),
    "containers that belong to an object": (
        r"""
class Node:
    def __init__(self, value):
        self.value, self.children, self.names, self.seen = value, [], {}, {3}
def f(node):
    return node.value + sum(map(f, node.children))
def grow(node):
    node.children.append(7)
    node.children += [8]
""",
        r"""
root = Node(1)
root.children.append(Node(2))
root.children[0].children += [Node(4), Node(5)]
assert f(root) == 12
assert len(root.children) == 1
assert root.children[0].children.pop().value == 5
assert f(root) == 7
root.names['a'] = 1
root.names.update(b=2)
root.seen.add(4)
assert root.seen.pop() in (3, 4)
assert root.names == {'a': 1, 'b': 2}
assert len(root.seen) == 1
class Own:
    children = []
own = Own()
grow(own)
assert own.children == [7, 8]
""",
    ),
    "threads that call the tests' function": (
        r"""
from concurrent.futures import ThreadPoolExecutor
def f(function, values):
    with ThreadPoolExecutor(4) as threads:
        return list(threads.map(function, values))
""",
        r"""
assert f(lambda value: value * 2, range(50)) == [value * 2 for value in range(50)]
""",
    ),
    "abstract classes": (
        r"""
from abc import ABC, abstractmethod
class Shape(ABC):
    @abstractmethod
    def area(s): ...
class Sq(Shape):
    def __init__(s, a): s.a = a
    def area(s): return s.a ** 2
""",
        r"""
assert isinstance(Sq(2), Shape) and issubclass(Sq, Shape) and Sq(3).area() == 9
try: Shape()
except TypeError: pass
else: assert 0
""",
    ),
    "an object of the tests' class": (
        r"""
def f(a, b):
    return [a == b, a < b, a in {b}, len(a), a.v]
def g(node):
    return node is None or not node.left
""",
        r"""
from dataclasses import dataclass
@dataclass(frozen=True, order=True)
class P:
    v: int
    left = None
    def __len__(s): return s.v
assert f(P(1), P(1)) == [True, False, True, 1, 1]
assert f(P(1), P(2))[:3] == [False, True, False]
assert g(None)
assert g(P(3))
""",
    ),
    "it is not the main program": (
        r"""
calls = []
if __name__ == '__main__':
    raise SystemExit(3)
def f(x):
    return __name__
""",
        r"""
assert f(1) != '__main__'
""",
    ),
    "pickles of its own": (
        r"""
import pickle
class C:
    def __init__(s, x): s.x = x
def f(x): return pickle.loads(pickle.dumps(C(x))).x
""",
        r"""
assert f(3) == 3
""",
    ),
    "processes of its own": (
        r"""
import multiprocessing as mp
def sq(x): return x * x
def f(x):
    found = []
    for method in ('fork', 'spawn'):
        with mp.get_context(method).Pool(2) as pool:
            found += pool.map(sq, x)
    return found
""",
        r"""
assert f([1, 2]) == [1, 4, 1, 4]
""",
    ),
    "an argument with a name is changed": (
        r"""
def f(*, x): x.sort()
""",
        r"""
numbers = [3, 1]
f(x=numbers)
assert numbers == [1, 3]
""",
    ),
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_candidate_passes(name: str, worker: Worker) -> None:
    source, test = RIGHT[name]
    if "numpy" in source:
        pytest.importorskip("numpy")
    verdict = worker.run(Job(source, tests=(test,), entry_point="f"))
    assert (verdict.status, verdict.reason) == ("passed", "")


# Objects that say yes to everything, and numbers, texts and lists that redefine what they are. Each `f(1)` should be 2.
YES = """
class Yes:
    def __init__(self, *arguments): pass
    def __call__(self, *arguments): return self
    def __getattr__(self, name): return Yes()
    __eq__ = __ne__ = __lt__ = __gt__ = __le__ = __ge__ = __contains__ = lambda self, *others: True
    __sub__ = __rsub__ = __add__ = __radd__ = __mul__ = __mod__ = __truediv__ = __rtruediv__ = lambda self, other: 0.0
    __abs__ = lambda self: 0.0
    __hash__ = lambda self: 2
    __float__ = lambda self: 7.0
    __iter__ = lambda self: iter([7])
    __bool__ = lambda self: True
"""
LIARS = {
    "an object": YES + "def f(x): return Yes()",
    "the class under test": YES + "class f(Yes): pass",
    "a class of numbers under test": YES
    + "class f(Yes, int):\n    def __new__(cls, *arguments): return int.__new__(cls, 7)",
    "a number": YES + "class Number(int):\n    vars().update(vars(Yes))\n    __init__ = int.__init__\n"
    "def f(x): return Number(7)",
    "a list": "class List(list):\n    __eq__ = lambda self, other: True\ndef f(x): return List([7])",
    "equal to anything": "import unittest.mock\nf = lambda x: unittest.mock.ANY",
    "a class of the library's that is equal to anything": "import unittest.mock\nf = unittest.mock._ANY",
}
ASKED = """
assert f(1) == 2
assert 2 == f(1)
assert not f(1) != 2
assert f(1) in (2, 3)
assert 2 in f(1)
assert {f(1)} == {2}
assert [f(1)] == [2]
assert abs(f(1) - 2) < 1
assert abs(2 - f(1)) < 1
assert f(1) % 2 == 0
assert 1 <= f(1) <= 3
assert max(f(1), 0) == 2
assert __import__('math').isclose(f(1), 2)
__import__('unittest').TestCase().assertEqual(f(1), 2)
__import__('unittest').TestCase().assertAlmostEqual(f(1), 2)
"""


@pytest.mark.parametrize("name", LIARS)
def test_no_object_passes_by_its_own_word(name: str, worker: Worker) -> None:
    tests = tuple(ASKED.strip().splitlines())
    verdict = worker.run(Job(LIARS[name], tests=tests, entry_point="f", stop_at_failure=False))
    assert len(verdict.tests) == len(tests)
    assert [test for test, reason in zip(tests, verdict.tests, strict=True) if not reason] == []


def test_what_cannot_be_judged_says_so(worker: Worker) -> None:
    money = """
class Money:
    def __init__(self, value): self.value = value
    def __eq__(self, other): return self.value == getattr(other, 'value', other)
    def __lt__(self, other): return self.value < getattr(other, 'value', other)
"""
    tests = ("assert Money(5) == 5", "assert Money(5) < 6", "class Coin(Money):\n    pass")
    job = Job(money, tests=tests, entry_point="Money", stop_at_failure=False)
    equal, less, derived = worker.run(job).tests
    assert equal.endswith("(an object of the candidate's class Money is never equal to plain data here)")
    assert "the candidate's class Money with the tests' own data cannot be judged" in less
    assert "Coin derives from a class of the other process" in derived


def test_an_object_of_the_tests_may_say_what_it_is_equal_to(worker: Worker) -> None:
    source = "class P:\n    def __eq__(self, other): return True\n    __hash__ = None\ndef f(x): return P()"
    test = "from unittest.mock import ANY\nassert f(1) == ANY\nassert ANY == f(1)\nassert not f(1) != ANY"
    assert worker.run(Job(source, tests=(test,), entry_point="f")).passed
    assert not worker.run(Job(source, tests=("assert f(1) == object()",), entry_point="f")).passed


def test_a_class_that_the_tests_name_beside_the_one_under_test_answers_for_itself(worker: Worker) -> None:
    source = "class Money:\n    def __lt__(self, other): return other == 6\ndef f(x): return Money()"
    assert worker.run(Job(source, tests=("assert Money() < 6 and not Money() < 5",), entry_point="f")).passed
    assert not worker.run(Job(source, tests=("assert f(1) < 6",), entry_point="f")).passed


@pytest.mark.parametrize("name", ["METADATA", "check", "fabs"])
def test_a_name_that_the_tests_give_themselves_or_ask_of_a_module_is_no_class_that_they_name(
    name: str, worker: Worker
) -> None:
    source = f"class {name}:\n    def __sub__(self, other): return 0.0\ndef f(x): return {name}()"
    test = (
        "import math\nMETADATA = {}\ndef check(candidate):\n    assert math.fabs(candidate(1) - 2) < 1e-6\n"
        "assert METADATA == {}\ncheck(f)"
    )
    verdict = worker.run(Job(source, tests=(test,), entry_point="f"))
    assert verdict.status == "failed"
    assert "cannot be judged" in verdict.reason
