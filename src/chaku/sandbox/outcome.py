"""The verdict of a program that did not run in the warm Python, from its exit status and its output."""

import re
import signal

from chaku.sandbox.verdict import Status

REASON_CHARACTERS = 500
# Messages of runtimes that ran out of memory.
_OUT_OF_MEMORY = re.compile(
    r"bad_alloc|OutOfMemory|heap out of memory|Out of memory|out of memory|not enough memory|NoMemoryError"
    r"|Allowed memory size|os::commit_memory|memory allocation of \d+ bytes failed|[Cc]annot allocate"
    r"|insufficient memory|could not allocate \d+ bytes"
)
# Failure messages of runtimes; the first pattern that matches gives the reason.
_FAILURES = [
    re.compile(pattern, re.MULTILINE)
    for pattern in (
        r"^terminate called after throwing an instance of .*\n(?:\s*what\(\):.*)?",  # C++
        r"^.*: Assertion .* failed\.$",  # C's assert
        r"^thread .* panicked at .*\n?.*",  # Rust
        r"^panic: .*|^fatal error: .*",  # Go
        r"^\s+--- FAIL.*\n.*|expected '.*', got '.*'",  # Go's tests
        r"^Exception in thread \"main\" .*",  # Java, Scala
        r"^\[ERROR\] FATAL UNHANDLED EXCEPTION: .*",  # Mono
        r"^(?:PHP )?(?:Fatal|Parse) error: .*",  # PHP
        r"^core\.exception\..*|^\S+\(\d+\): \[unittest\] .*",  # D
        r"^Error in .*\n?.*|^Error: .*",  # R
        r"^(?:Failure|Error): .*\n?.*",  # Ruby's tests
        r"^.*\([A-Z]\w*(?:Error|Exception)\)$",  # Ruby
        r"^program\.\w+:\d+: .*",
        r"^(?:Uncaught )?[\w.]*(?:Error|Exception)\b.*",  # JavaScript and others
        r"^.* at \S+ line \d+\.$",  # Perl
        r"^.*expected: .*, actual: .*|^\S*lua[\d.]*: .*",  # Lua
    )
]


def outcome(code: int, stdout: str, stderr: str, memory_mb: int) -> tuple[Status, str]:
    """The status and the reason of a program that ended by itself. `code`: its exit status, or minus its signal."""
    if code == 0:
        return "passed", ""
    if _OUT_OF_MEMORY.search(stderr):
        return "out_of_memory", f"needed more than {memory_mb} MB"
    reason = failure(stderr) or failure(stdout)
    if code < 0 and not (code == -signal.SIGABRT and reason):
        return "crashed", f"killed by {signal_name(-code)}"
    return "failed", reason or _last_line(stderr) or f"exit status {code}"


def failure(printed: str) -> str:
    """The one or two lines with a runtime's failure message; empty when no pattern matches."""
    for pattern in _FAILURES:
        found = pattern.search(printed)
        if found:
            return " ".join(found[0].split())[:REASON_CHARACTERS]
    return ""


def compile_failure(code: int, printed: str, seconds: int) -> tuple[Status, str]:
    """The status and the reason of a failed compilation: the compiler's first line with an error."""
    if code == -signal.SIGXCPU:
        return "compile_error", f"the compiler used more than {seconds} s of CPU time"
    lines = [
        line.strip() for line in printed.splitlines() if line.strip() and not line.startswith("# ")
    ]  # Go's headings
    told = next((line for line in lines if re.search(r"\berror\b|undefined reference|syntax", line, re.I)), "")
    return "compile_error", (told or " ".join(lines[:1]) or f"exit status {code}")[:REASON_CHARACTERS]


def signal_name(number: int) -> str:
    """`SIGSEGV` for 11."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1].strip()[:REASON_CHARACTERS] if lines else ""
