"""Process 1 of a Python job with tests: runs the tests, with mirrors of the candidate's functions and classes.

The tests never run in the candidate's process: whatever the candidate does to its own interpreter, it can only answer
with plain data, or with the number of one of its objects. When process 1 ends, the kernel kills every process that the
candidate started.
"""

import contextlib
import dis
import importlib
import marshal
import os
import signal
import socket
import sys
import types
from collections.abc import Iterator
from typing import Any

from chaku.sandbox.guest import kernel
from chaku.sandbox.guest.candidate import NAMESPACE
from chaku.sandbox.guest.candidate import main as run_candidate
from chaku.sandbox.guest.confinement import Confinement
from chaku.sandbox.guest.mirror import Mirror, believe
from chaku.sandbox.guest.processes import END_SECONDS, wait
from chaku.sandbox.guest.wire import Gone, Peer, in_words

MODULES = {"np": "numpy", "pd": "pandas"}  # customary short names


def main(job: dict[str, Any], walls: Confinement, report_to: int, tests_from: int) -> dict[str, Any]:
    """Fork the candidate, read the tests, run them, and return the report. Keeps `report_to` open for the report."""
    here, there = socket.socketpair()
    kernel.traceable(False)
    child = os.fork()
    if child == 0:
        try:
            os.chdir(job["folder"])
            walls.program(keep=there.fileno())
            run_candidate(there, job["source"])
        finally:
            os._exit(70)
    there.close()
    with os.fdopen(tests_from, "rb", closefd=False) as file:
        trusted = marshal.load(file)
    walls.judge({here.fileno(), report_to})
    peer = Peer(here, other_process=child)
    status, reason, results = run_tests(trusted, peer)
    died = wait(child, END_SECONDS) if peer.gone else None
    if died is None:
        os.kill(child, signal.SIGKILL)
        usage = os.wait4(child, 0)[2]
        code = None
    else:
        code, usage = died
    return {
        "status": status,
        "reason": reason,
        "tests": results,
        "code": code,
        "cpu": usage.ru_utime + usage.ru_stime,
        "peak_kb": usage.ru_maxrss,
    }


def run_tests(trusted: dict[str, Any], peer: Peer) -> tuple[str, str, list[str]]:
    """(status, reason, the reason of each test that ran). The status "gone": the candidate's process has ended."""
    results: list[str] = []
    try:
        message = peer.receive()
        if message[0] == "raise":
            names, text, _ = message[1:]
            status = "out_of_memory" if "MemoryError" in names else "failed"
            left = "left before its end: " if "SystemExit" in names else ""
            return status, f"{left}{names[0]}: {text}".rstrip(": "), results
        offered = {str(name): bool(is_module) for name, is_module in message[1]}
        if offered.get(trusted["entry_point"]):  # a module cannot be called
            del offered[trusted["entry_point"]]
        namespace = {"__name__": "__main__", "__builtins__": __builtins__}
        sys.modules["__main__"] = types.ModuleType("__main__")
        sys.modules["__main__"].__dict__.update(namespace)
        namespace = sys.modules["__main__"].__dict__
        exec(compile(trusted["prelude"], "prelude.py", "exec"), namespace)
        codes = [compile(test, f"test {number}", "exec") for number, test in enumerate(trusted["tests"])]
        _bind(peer, offered, namespace, codes, trusted["entry_point"])
    except Gone:
        return "gone", "", results
    except (SyntaxError, ImportError, ValueError, TypeError, LookupError, NameError) as error:
        return "failed", f"the tests cannot run: {in_words(error)}", results
    status, reason = "passed", ""
    for number, code in enumerate(codes):
        failure, kind, peer.doubt = "", "", ""
        try:
            exec(code, namespace)
        except Gone:
            return "gone", "", results
        except BaseException as error:
            failure = _explain(error, trusted["tests"][number], f"test {number}", peer.doubt)
            kind = "out_of_memory" if isinstance(error, MemoryError) else "failed"
        if peer.gone:  # even when the test caught the exception
            return "gone", "", results
        results.append(failure)
        if failure and not reason:
            status, reason = kind, failure
        if failure and trusted["stop_at_failure"]:
            break
    return status, reason, results


def _bind(
    peer: Peer, offered: dict[str, bool], namespace: dict[str, Any], codes: list[types.CodeType], entry_point: str
) -> None:
    """Bind the candidate's entry point for the tests, and every name that neither the tests nor the prelude define."""
    used = set().union(*map(_names, codes))
    builtin = vars(__builtins__) if isinstance(__builtins__, types.ModuleType) else __builtins__
    for name in sorted(used | {entry_point}):
        if name not in offered or (name != entry_point and (name in namespace or name in builtin)):
            continue
        if offered[name]:
            with contextlib.suppress(ImportError):  # the judge's own module, never the candidate's
                namespace[name] = importlib.import_module(MODULES.get(name, name))
        else:
            namespace[name] = bound = peer.ask("__getitem__", NAMESPACE, (name,), {})
            if type(bound) is Mirror and name != entry_point and _is_meant(codes, name):
                believe(bound)
    if entry_point and entry_point not in offered:
        namespace.pop(entry_point, None)  # the prelude's stub must not pass for the candidate's function


def _names(code: types.CodeType) -> set[str]:
    inner = (_names(const) for const in code.co_consts if isinstance(const, types.CodeType))
    return set(code.co_names).union(*inner)


def _is_meant(codes: list[types.CodeType], name: str) -> bool:
    """Whether the tests read a global name and never assign it; `fabs` in `math.fabs` is an attribute, not a name."""
    done = {how for code in codes for how, what in _operations(code) if what == name}
    return bool(done & {"LOAD_NAME", "LOAD_GLOBAL"}) and not done & {"STORE_NAME", "STORE_GLOBAL"}


def _operations(code: types.CodeType) -> Iterator[tuple[str, Any]]:
    yield from ((instruction.opname, instruction.argval) for instruction in dis.get_instructions(code))
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _operations(constant)


def _explain(error: BaseException, test: str, file: str, doubt: str) -> str:
    """The exception in words. A bare assertion adds its source line, and why a comparison was false (`doubt`)."""
    words = in_words(error)
    if words != "AssertionError":
        return words
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file:
            line = trace.tb_lineno
        trace = trace.tb_next
    lines = test.splitlines()
    if line and line <= len(lines):
        words += f": {lines[line - 1].strip()[:300]}"
    return f"{words} ({doubt})" if doubt else words
