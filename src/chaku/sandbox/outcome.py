"""What became of a program that is not the warm Python's: its verdict from its exit status and what it printed."""

import re
import signal

from chaku.sandbox.verdict import Status

REASON_CHARACTERS = 500
# How runtimes say that there was no more memory, most special first.
_OUT_OF_MEMORY = re.compile(
    r"bad_alloc|OutOfMemory|heap out of memory|Out of memory|out of memory|not enough memory|NoMemoryError"
    r"|Allowed memory size|os::commit_memory|memory allocation of \d+ bytes failed|[Cc]annot allocate"
    r"|insufficient memory|could not allocate \d+ bytes"
)
# How they say what was wrong; the first of these that matches gives the reason.
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
    """The verdict of a program that ended by itself with this exit status, or minus its signal."""
    if code == 0:
        return "passed", ""
    if _OUT_OF_MEMORY.search(stderr):
        return "out_of_memory", f"needed more than {memory_mb} MB"
    reason = failure(stderr) or failure(stdout)
    if code < 0 and not (code == -signal.SIGABRT and reason):
        return "crashed", f"killed by {signal_name(-code)}"
    return "failed", reason or _last_line(stderr) or f"exit status {code}"


def failure(printed: str) -> str:
    """The line, or two, in which a runtime says what was wrong; empty where none does."""
    for pattern in _FAILURES:
        found = pattern.search(printed)
        if found:
            return " ".join(found[0].split())[:REASON_CHARACTERS]
    return ""


def compile_failure(code: int, printed: str, seconds: int) -> tuple[Status, str]:
    """A compiler's own words: the first line with an error in it."""
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
