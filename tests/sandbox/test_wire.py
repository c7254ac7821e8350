"""Plain data over the wire: every value comes back as it was, whatever is sent nothing else can happen."""

import contextlib
import socket
import struct
import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaku.sandbox.inside.wire import Broken, Gone, Peer, Remote

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters())
    | st.binary(max_size=20)
    | st.complex_numbers(allow_nan=False)
    | st.fractions()
    | st.decimals(allow_nan=False)
    | st.dates()
    | st.datetimes()
    | st.timedeltas()
)
HASHABLE = st.integers() | st.text() | st.tuples(st.integers(), st.text())
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(HASHABLE, inner)
        | st.sets(HASHABLE)
        | st.frozensets(HASHABLE)
        | st.lists(inner).map(deque)
    ),
    max_leaves=20,
)


@pytest.fixture(scope="module")
def ends() -> Iterator[tuple[Peer, Peer]]:
    first, second = socket.socketpair()
    with first, second:
        yield Peer(first), Peer(second)


@given(value=VALUES)
@settings(max_examples=300, deadline=None)
def test_every_plain_value_comes_back(value: object, ends: tuple[Peer, Peer]) -> None:
    here, there = ends
    back = there.decode(here.encode(value))
    assert back == value
    assert type(back) is type(value)


def test_special_types_come_back(ends: tuple[Peer, Peer]) -> None:
    here, there = ends
    for value in (
        Counter("abca"),
        OrderedDict([("b", 1), ("a", 2)]),
        range(1, 9, 2),
        bytearray(b"x"),
        Fraction(1, 3),
        Decimal("1e400"),
        date(2023, 8, 24),
        datetime(2023, 8, 24, 1, 2, 3, 4),
        timedelta(days=-1, microseconds=7),
        10**5000,
        -(2**63),
        int,
        ValueError,
    ):
        assert there.decode(here.encode(value)) == value


def test_objects_stay_at_home_and_come_back_as_themselves(ends: tuple[Peer, Peer]) -> None:
    here, there = ends
    thing = object()
    remote = there.decode(here.encode(thing))
    assert isinstance(remote, Remote)
    assert remote != 5
    assert remote == there.decode(here.encode(thing))
    assert here.decode(there.encode(remote)) is thing


@given(data=st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_garbage_is_never_more_than_garbage(data: bytes) -> None:
    first, second = socket.socketpair()
    with first, second:
        second.sendall(struct.pack("I", len(data)) + data)
        second.shutdown(socket.SHUT_WR)
        peer = Peer(first)
        with contextlib.suppress(Gone):
            peer.ask("call", 0, (1,), {})
            raise AssertionError("garbage was taken for an answer")


@pytest.mark.parametrize(
    "reply",
    [b"[]", b"5", b'["done"]', b'["done",{"x":1},[]]', b'["done",{"back":7},[]]', b'["done",1,[[9,1]]]', b'["raise"]',
     b'["done",{"type":"__import__"},[]]', b'["done",{"t":["Decimal","x"]},[]]', b"[" * 5000],
)  # fmt: skip
def test_a_malformed_answer_is_an_error(reply: bytes) -> None:
    first, second = socket.socketpair()
    with first, second:
        second.sendall(struct.pack("I", len(reply)) + reply)
        second.shutdown(socket.SHUT_WR)
        with pytest.raises((Broken, TypeError, ArithmeticError)):
            Peer(first).ask("call", 0, (1,), {})


def test_calls_go_both_ways() -> None:
    first, second = socket.socketpair()
    with first, second:
        here, there = Peer(first), Peer(second)
        there.number_of({"apply": lambda function, values: [function(value) for value in values]})

        def serve() -> None:
            with contextlib.suppress(Gone):
                while True:
                    there.answer(there.receive())

        thread = threading.Thread(target=serve)
        thread.start()
        assert Remote(here, 0)["apply"](lambda value: value * 2, [1, 2]) == [2, 4]
        with pytest.raises(ZeroDivisionError, match="division"):
            Remote(here, 0)["apply"](lambda value: 1 / value, [0])
        with pytest.raises(KeyError):
            Remote(here, 0)["missing"]
        first.shutdown(socket.SHUT_RDWR)
        thread.join()
