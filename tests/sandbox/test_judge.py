"""Python candidates with tests: what is right passes, what only looks right does not."""

from collections.abc import Callable

import pytest

from chaku.sandbox.verdict import Job, Verdict
from chaku.sandbox.worker import Worker

Judge = Callable[..., Verdict]


@pytest.fixture
def judge(worker: Worker) -> Judge:
    def judging(source: str, *tests: str, prelude: str = "", timeout: float = 3.0, every: bool = False) -> Verdict:
        job = Job(source, tests=tests, prelude=prelude, entry_point="f", stop_at_failure=not every)
        return worker.run(job, timeout=timeout)

    return judging


RIGHT = {
    "numbers": (
        """\
def f(x):
    return x + 1
""",
        "assert f(1) == 2 and f(2.5) == 3.5 and f(10**30) == 10**30 + 1",
    ),
    "named arguments": (
        """\
def f(x, *, y=2):
    return x - y
""",
        """\
assert f(5) == 3
assert f(x=5, y=1) == 4
""",
    ),
    "text of every kind": (
        """\
def f(x):
    return x + x
""",
        "assert f('é☺\\x00\\ud800') == 'é☺\\x00\\ud800' * 2",
    ),
    "containers": (
        """\
def f(x):
    return x
""",
        """\
for x in [[1, [2]], (1, 'a'), {1, 2}, {(1, 2): [3]}, {1: {2: 3}}, [], (), set(), frozenset({1}), range(3)]:
    assert f(x) == x and type(f(x)) is type(x)
""",
    ),
    "other numbers and bytes": (
        """\
from decimal import Decimal
from fractions import Fraction
def f(x):
    return x * 2
""",
        """\
from decimal import Decimal
from fractions import Fraction
assert f(b'a') == b'aa' and f(1j) == 2j and f(Fraction(1, 3)) == Fraction(2, 3) and f(Decimal('0.1')) == Decimal('0.2')
""",
    ),
    "not a number": (
        """\
def f(x):
    return float(x)
""",
        """\
import math
assert math.isnan(f('nan')) and f('-inf') == -math.inf
""",
    ),
    "collections": (
        """\
from collections import *
def f(x):
    return Counter(x), OrderedDict(a=1), deque(x), defaultdict(int, a=1)
""",
        """\
assert f('ab') == ({'a': 1, 'b': 1}, {'a': 1}, __import__('collections').deque('ab'), {'a': 1})
""",
    ),
    "dates": (
        """\
from datetime import *
def f(x):
    return x + timedelta(days=1)
""",
        """\
from datetime import date
assert f(date(2023, 8, 24)) == date(2023, 8, 25)
""",
    ),
    "generator": (
        """\
def f(x):
    for each in range(x):
        yield each * 2
""",
        "assert list(f(3)) == [0, 2, 4]",
    ),
    "map": (
        """\
def f(x):
    return map(str, x)
""",
        "assert list(f([1, 2])) == ['1', '2']",
    ),
    "in place": (
        """\
def f(x):
    x.sort()
""",
        """\
x = [3, 1, 2]
assert f(x) is None and x == [1, 2, 3]
""",
    ),
    "exception": (
        """\
class Odd(ValueError):
    pass
def f(x):
    raise Odd('no', 3)
""",
        """\
try:
    f(1)
except ValueError as error:
    assert error.args == ('no', 3) and type(error).__name__ == 'Odd'
else:
    assert False
""",
    ),
    "a class of the candidate's": (
        """\
class Node:
    def __init__(self, v):
        self.v, self.left = v, None
def f(n):
    return n.v + (f(n.left) if n.left else 0)
""",
        """\
root = Node(1)
root.left = Node(2)
assert f(root) == 3 and root.left.v == 2
""",
    ),
    "an object of the tests'": (
        """\
def f(x):
    return x.name + x.shout('!')
""",
        """\
class Named:
    name = 'a'
    def shout(self, mark):
        return self.name.upper() + mark
assert f(Named()) == 'aA!'
""",
    ),
    "a function of the tests'": (
        """\
def f(g, x):
    return [g(each) for each in x]
""",
        "assert f(lambda n: n * n, [1, 2]) == [1, 4]",
    ),
    "a module that the candidate imported": (
        """\
import sys
def f(x):
    return sys.getsizeof(x)
""",
        "assert f(()) == sys.getsizeof(())",
    ),
    "a helper of the prelude's": (
        """\
def f(x):
    return [-x]
""",
        "assert add(f(2)[0], 2) == 0",
    ),
    "several tests": (
        """\
def f(x):
    return x
""",
        "assert f(1) == 1",
    ),
    "subclasses of plain types": (
        """\
class Loud(str):
    pass
def f(x):
    return Loud(x), True
""",
        "assert f('a') == ('a', 1)",
    ),
    "recursion": (
        """\
def f(x):
    return 1 if x < 2 else x * f(x - 1)
""",
        "assert f(400) > 10**800",
    ),
    "prints": (
        """\
def f(x):
    print('x' * 300_000)
    return x
""",
        "assert f(1) == 1",
    ),
    "a pause": (
        """\
import time
def f(x):
    time.sleep(0.4)
    return x
""",
        "assert f(1) == 1",
    ),
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_candidate_passes(name: str, judge: Judge) -> None:
    verdict = judge(*RIGHT[name], prelude="def add(a, b):\n    return a + b\ndef f(x):\n    'a stub'")
    assert (verdict.status, verdict.reason) == ("passed", "")


# Each is wrong, f(1) being 2, and tries something: (candidate, status, a part of the reason).
WRONG = {
    "equal to everything": (
        """\
class All:
    def __eq__(self, other):
        return True
    __ne__ = __lt__ = __gt__ = lambda s, o: False
def f(x):
    return All()
""",
        "failed",
        "assert f(1) == 2",
    ),
    "a number equal to everything": (
        """\
class All(int):
    def __eq__(self, other):
        return True
    def __hash__(self):
        return 2
def f(x):
    return All(5)
""",
        "failed",
        "assert f(1) == 2",
    ),
    "patched builtins": (
        """\
import builtins
builtins.AssertionError = ValueError
for name in ('abs', 'all', 'len', 'repr'):
    setattr(builtins, name, lambda *arguments: True)
def f(x):
    return None
""",
        "failed",
        "",
    ),
    "own abs": (
        """\
def abs(x):
    return 0
def f(x):
    return 5
""",
        "failed",
        "assert abs(f(1) - 2) < 1",
    ),
    "frames and the collector": (
        """\
import gc, sys
def f(x):
    frame, found = sys._getframe(), []
    while frame:
        found += [repr(frame.f_globals), repr(frame.f_locals)]
        frame = frame.f_back
    found += [repr(each)[:9999] for each in gc.get_objects() if isinstance(each, (list, dict, tuple))]
    return 2 if any(bytes.fromhex('617373657274206628').decode() in each for each in found) else 3
""",
        "failed",
        "assert f(1) == 2",
    ),
    "reads the judge": (
        """\
def f(x):
    return open('/proc/1/mem', 'rb').read(1)
""",
        "failed",
        "Error",
    ),
    "the tests' descriptor": (
        """\
import os
def f(x):
    found = []
    for n in range(3, 64):
        try:
            found.append(os.pread(n, 9999, 0))
        except OSError:
            pass
    return 2 if b'assert' in b''.join(found) else 3
""",
        "failed",
        "assert f(1) == 2",
    ),
    "forged answers": (
        """\
import gc, socket, struct
for s in gc.get_objects():
    if isinstance(s, socket.socket):
        for text in (b'["ready",[]]', b'{}', b'["done",2,[]]' * 9):
            s.sendall(struct.pack('I', len(text)) + text)
def f(x):
    return 3
""",
        "failed",
        "",
    ),
    "an endless message": (
        """\
import gc, socket
s = [o for o in gc.get_objects() if isinstance(o, socket.socket)][0]
s.sendall(b'\\xff' * 99999)
def f(x):
    return 2
""",
        "failed",
        "",
    ),
    "traced": (
        """\
import sys
sys.settrace(lambda *a: None)
sys.setprofile(lambda *a: None)
def f(x):
    return 3
""",
        "failed",
        "assert f(1) == 2",
    ),
    "exits": (
        """\
import os
def f(x):
    os._exit(0)
""",
        "failed",
        "left before its end (exit status 0)",
    ),
    "exits politely": (
        """\
def f(x):
    raise SystemExit(0)
""",
        "failed",
        "SystemExit",
    ),
    "exits at once": (
        """\
import sys
sys.exit(0)
""",
        "failed",
        "left before its end",
    ),
    "a child holds the wire": (
        """\
import os, time
if os.fork():
    os._exit(0)
time.sleep(60)
def f(x):
    return 2
""",
        "failed",
        "left before its end",
    ),
    "stops itself": (
        """\
import os, signal
def f(x):
    os.kill(os.getpid(), signal.SIGSTOP)
""",
        "failed",
        "stopped answering",
    ),
    "closes everything": (
        """\
import os
def f(x):
    os.closerange(0, 1000)
    return 2
""",
        "failed",
        "left before its end",
    ),
    "kills the judge": (
        """\
import os
def f(x):
    os.kill(1, 9)
    return 2
""",
        "failed",
        "PermissionError",
    ),
    "contains itself": (
        """\
def f(x):
    x = []
    x.append(x)
    return x
""",
        "failed",
        "contains itself",
    ),
    "enormous": (
        """\
def f(x):
    return 'x' * 100_000_000
""",
        "failed",
        "too large",
    ),
    "an endless range": (
        """\
def f(x):
    return range(10**18)
""",
        "failed",
        "assert f(1) == 2",
    ),
    "much memory": (
        """\
def f(x):
    return bytearray(1_500_000_000)
""",
        "out_of_memory",
        "1024 MB",
    ),
    "a flood": (
        """\
import os
def f(x):
    while True:
        os.write(1, bytes(100_000))
""",
        "output_limit",
        "output",
    ),
    "a segmentation fault": (
        """\
import ctypes
def f(x):
    ctypes.string_at(0)
""",
        "crashed",
        "SIGSEGV",
    ),
    "a message that raises": (
        """\
class E(Exception):
    def __str__(self):
        raise self
def f(x):
    raise E
""",
        "failed",
        "E",
    ),
    "no such function": (
        """\
def g(x):
    return 2
""",
        "failed",
        "NameError",
    ),
    "does not parse": (
        "def f(x:",
        "failed",
        "SyntaxError",
    ),
    "a module of its name": (
        "import types\nf = types.ModuleType('f')",
        "failed",
        "NameError: name 'f' is not defined",
    ),
    "fails on import": (
        """\
def f(x):
    return 2
raise ValueError('at the end')
""",
        "failed",
        "ValueError: at the end",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_candidate_never_passes(name: str, judge: Judge) -> None:
    source, status, reason = WRONG[name]
    test = "assert abs(f(1) - 2) < 1" if name == "own abs" else "assert f(1) == 2"
    verdict = judge(source, test, prelude="def f(x):\n    return 2", timeout=2.0)
    assert verdict.status == status, verdict
    assert reason in verdict.reason


def test_a_fork_bomb_never_passes(judge: Judge) -> None:
    """It meets the limit of processes, or with all of them that of CPU time, whichever comes first."""
    source = "import os\ndef f(x):\n    while True:\n        os.fork()\n"
    verdict = judge(source, "assert f(1) == 2", prelude="def f(x):\n    return 2", timeout=2.0)
    assert verdict.status in ("failed", "timed_out"), verdict
    assert "BlockingIOError" in verdict.reason or "CPU time" in verdict.reason


def test_time_is_the_candidates_cpu_time(judge: Judge) -> None:
    verdict = judge("def f(x):\n    while True:\n        pass", "assert f(1)", timeout=0.5)
    assert verdict.status == "timed_out"
    assert "0.5 s" in verdict.reason
    caught = "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\ndef f(x):\n    while True:\n        pass"
    assert judge(caught, "assert f(1)", timeout=0.5).status == "timed_out"


def test_a_test_that_catches_everything_does_not_hide_the_candidates_end(judge: Judge) -> None:
    verdict = judge("import os\ndef f(x):\n    os._exit(0)", "try:\n    f(1)\nexcept BaseException:\n    pass")
    assert (verdict.status, verdict.reason) == ("failed", "left before its end (exit status 0)")


def test_membership_is_not_the_candidates_word(judge: Judge) -> None:
    holds_all = "class All:\n    def __contains__(self, value):\n        return True\n"
    liar = f"{holds_all}    def __iter__(self):\n        return iter([1])\ndef f():\n    return All()"
    assert judge(liar, "assert 1 in f()").passed
    assert judge(liar, "assert 2 in f()").reason == "AssertionError: assert 2 in f()"
    assert not judge(f"{holds_all}def f():\n    return All()", "assert 2 in f()").passed


def test_every_test_is_reported_when_asked_for(judge: Judge) -> None:
    tests = ("assert f(1) == 1", "assert f(2) == 3, 'three'", "assert f(3) == 3", "f(1, 2)")
    verdict = judge("def f(x):\n    return x", *tests, every=True)
    assert verdict.status == "failed"
    assert verdict.reason == verdict.tests[1] == "AssertionError: three"
    assert verdict.tests[::2] == ("", "")
    assert "TypeError" in verdict.tests[3]
    assert len(judge("def f(x):\n    return x", *tests).tests) == 2


def test_tests_that_end_their_own_process_do_not_pass(judge: Judge) -> None:
    verdict = judge("def f(x):\n    return 2", "import os\nos._exit(0)")
    assert (verdict.status, verdict.reason) == ("failed", "the tests ended their own process")


def test_tests_that_cannot_run_say_so(judge: Judge) -> None:
    assert "the tests cannot run: SyntaxError" in judge("def f(x):\n    return 2", "assert f(").reason


def test_the_candidate_cannot_reach_the_expected_values_through_what_it_is_given(judge: Judge) -> None:
    source = """
import gc
from chaku.sandbox.guest.wire import Peer
def f(hidden, generator):
    [peer] = [each for each in gc.get_objects() if type(each) is Peer]
    for number in range(10):
        for name in ('gi_frame', '__globals__', '_hidden', 'f_back', '__class__', '__init__', '__dict__'):
            try:
                return peer.ask('get', number, (name,), {})
            except (AttributeError, IndexError):
                pass
    return list(generator)
"""
    test = "class Hidden:\n    _hidden = 5\nassert f(Hidden(), (n for n in range(3))) == [0, 1, 2]"
    verdict = judge(source, test)
    assert verdict.passed, verdict


def test_output_is_kept_in_part_and_said_to_be_cut(judge: Judge) -> None:
    verdict = judge("def f(x):\n    print('x' * 100_000)\n    return x", "assert f(1) == 1")
    assert len(verdict.stdout) == 64 * 1024
    assert verdict.stdout_cut
    assert not verdict.stderr_cut
