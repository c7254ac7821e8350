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

from chaku.sandbox.guest.mirror import Remote
from chaku.sandbox.guest.wire import Broken, Gone, Peer

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
        NotImplemented,
        ...,
        {"a": 1}.keys(),
        {"a": 1}.items(),
    ):
        back = there.decode(here.encode(value))
        assert back == value
        assert type(back) is type(value)
    assert list(there.decode(here.encode({"a": 1}.values()))) == [1]
    error = there.decode(here.encode(KeyError("a", 2)))
    assert (type(error), error.args) == (KeyError, ("a", 2))


@contextlib.contextmanager
def answering(peer: Peer) -> Iterator[None]:
    """The other end, which answers as long as this one asks."""

    def serve() -> None:
        with contextlib.suppress(Gone):
            while True:
                peer.answer(peer.receive())

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        peer.channel.shutdown(socket.SHUT_RDWR)
        thread.join()


class Named:
    def __init__(self, name: str):
        self.name = name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Named) and other.name == self.name

    __hash__ = None  # type: ignore[assignment]


def test_objects_stay_at_home_and_come_back_as_themselves() -> None:
    first, second = socket.socketpair()
    with first, second:
        here, there = Peer(first), Peer(second)
        thing, like_it = Named("a"), Named("a")
        with answering(there):
            remote, other = here.decode(there.encode(thing)), here.decode(there.encode(like_it))
            assert isinstance(remote, Remote)
            assert type(remote).__name__ == "Named"
            assert remote.name == "a"
            assert remote == other
            assert remote is not other
            assert remote is here.decode(there.encode(thing))
            with pytest.raises(TypeError, match="unhashable"):
                hash(remote)
            back = here.encode(remote)
        assert there.decode(back) is thing


@given(data=st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_garbage_is_never_more_than_garbage(data: bytes) -> None:
    first, second = socket.socketpair()
    with first, second:
        second.sendall(struct.pack("I", len(data)) + data)
        second.shutdown(socket.SHUT_WR)
        peer = Peer(first)
        with contextlib.suppress(Gone):
            peer.ask("__call__", 0, (1,), {})
            raise AssertionError("garbage was taken for an answer")


@pytest.mark.parametrize(
    "reply",
    [
        b"[]",
        b"5",
        b'["done"]',
        b'["done",{"x":1},[],{}]',
        b'["done",{"back":7},[],{}]',
        b'["done",1,[[9,1]],{}]',
        b'["done",1,[],7]',
        b'["done",{"type":"__import__"},[],{}]',
        b'["done",{"t":["Decimal","x"]},[],{}]',
        b'["done",{"array":["|V8",[1],""]},[],{}]',
        b'["done",{"held":[[],1]},[],{}]',
        b'["raise"]',
        b'["raise",[{"type":"int"},0,"",[]],[],{}]',
        b"[" * 5000,
    ],
)
def test_a_malformed_answer_is_an_error(reply: bytes) -> None:
    first, second = socket.socketpair()
    with first, second:
        second.sendall(struct.pack("I", len(reply)) + reply)
        second.shutdown(socket.SHUT_WR)
        with pytest.raises((Broken, TypeError, ArithmeticError)):
            Peer(first).ask("__call__", 0, (1,), {})


def test_calls_go_both_ways() -> None:
    first, second = socket.socketpair()
    with first, second:
        here, there = Peer(first), Peer(second)
        there.number_of({"apply": lambda function, values: [function(value) for value in values]})
        with answering(there):
            apply = here.ask("__getitem__", 0, ("apply",), {})
            assert apply(lambda value: value * 2, [1, 2]) == [2, 4]
            with pytest.raises(ZeroDivisionError, match="division"):
                apply(lambda value: 1 / value, [0])
            with pytest.raises(KeyError):
                here.ask("__getitem__", 0, ("missing",), {})
