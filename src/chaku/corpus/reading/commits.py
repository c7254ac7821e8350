"""Commits of a git checkout as documents: a file before a commit, the commit's message, and the file after it."""

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from chaku.corpus.reading.text import decode_text
from chaku.documents import join_commit
from chaku.errors import ChakuError

MAX_CHARS = 20_000  # of the file before and after together; of larger files, the lines around the change are kept
CONTEXT = 32  # lines before and after a change in such a part; StarCoder's windows (recalled)
MAX_BLOB = 1_000_000  # bytes of a file, as for other documents
# Settings of a checkout that would start programs are switched off: the repository is not ours.
_SAFE = ("core.fsmonitor=false", "core.hooksPath=/dev/null", "protocol.allow=never")
_GIT = ("git", *(word for setting in _SAFE for word in ("-c", setting)), "--no-pager")
_RECORD = "\x1e"  # begins a commit in git's output; no message of ours keeps it


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit that changes one file: `before` and `after` are git's names of the file's contents."""

    name: str
    path: str
    message: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class CommitText:
    """A document, or the `problem` for which it is dropped. `path`: of the file, with the commit's name after `@`."""

    path: str
    text: str
    problem: str = ""


def read_commits(checkout: Path) -> Iterator[CommitText]:
    """A document for each commit that changes the text of one file, the newest first.

    Merges, and commits that change several files or add, remove or rename one, are left out, as for StarCoder
    (recalled). Raises ChakuError for a directory without git history, and when git is missing.
    """
    if shutil.which("git") is None:
        raise ChakuError("a source of commits needs git: apt install git")
    command = [*_GIT, "-C", str(checkout), "cat-file", "--batch"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as blobs:
        assert blobs.stdin is not None
        assert blobs.stdout is not None
        for commit in _list_commits(checkout):
            place = f"{commit.path}@{commit.name[:12]}"
            texts = []
            problem: str | None = ""
            for name in (commit.before, commit.after):
                blobs.stdin.write(f"{name}\n".encode())
                blobs.stdin.flush()
                text, problem = _read_blob(blobs.stdout)
                if problem:
                    break
                texts.append(text)
            if problem:
                yield CommitText(place, "", problem)
                continue
            before, after = _around_change(*texts)
            if len(before) + len(after) > MAX_CHARS:
                yield CommitText(place, "", f"a change over {MAX_CHARS:,} characters")
                continue
            joined = join_commit(commit.path, before, commit.message, after)
            yield CommitText(place, joined or "", "" if joined else "a mark of commits in its text")
        blobs.stdin.close()


def history_files(checkout: Path) -> Iterator[Path]:
    """The files of a checkout that change with a new commit: HEAD, its branch, and the packed branches."""
    git = checkout / ".git"
    head = git / "HEAD"
    if head.is_file():
        branch = head.read_text(encoding="utf-8", errors="replace").strip().removeprefix("ref: ")
        yield from (path for path in (head, git / "packed-refs", git / branch) if path.is_file())


def _list_commits(checkout: Path) -> Iterator[Commit]:
    command = [
        *(*_GIT, "-C", str(checkout), "log", "--no-merges", "--raw", "--no-abbrev", "--no-renames", "--no-ext-diff"),
        *("--no-textconv", "--no-show-signature", "--encoding=UTF-8", "-z", "--format=%x1e%H%n%B%x00"),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as log:
        assert log.stdout is not None
        assert log.stderr is not None
        for record in _records(log.stdout):
            head, _, changes = record.partition("\0")
            name, _, message = head.partition("\n")
            fields = [field for field in changes.strip("\n\0").split("\0") if field.strip()]
            if len(fields) != 2 or not message.strip():
                continue  # another number of changed files
            modes = fields[0].split()
            is_file = modes[0].startswith(":100") and modes[1].startswith("100")
            if modes[-1] == "M" and is_file:
                yield Commit(name, fields[1], message.strip(), modes[2], modes[3])
        problem = log.stderr.read().decode("utf-8", "replace").strip()
    if log.returncode:
        raise ChakuError(f"{checkout} is not a git checkout with commits: {problem.splitlines()[0] if problem else ''}")


def _records(stream: IO[bytes]) -> Iterator[str]:
    """The texts between the record marks of git's output; memory holds one commit."""
    waiting = b""
    while block := stream.read(1 << 16):
        *whole, waiting = (waiting + block).split(_RECORD.encode())
        yield from (part.decode("utf-8", "replace") for part in whole if part)
    if waiting:
        yield waiting.decode("utf-8", "replace")


def _read_blob(stream: IO[bytes]) -> tuple[str, str | None]:
    """The text of the next answer of `git cat-file --batch`, or why it is none."""
    words = stream.readline().split()
    if len(words) != 3 or words[1] != b"blob":
        return "", "missing in the history"
    size = int(words[2])
    left = size
    parts = []
    while left > 0 and (part := stream.read(min(left, 1 << 20))):
        left -= len(part)
        if size <= MAX_BLOB:
            parts.append(part)
    stream.read(1)  # the line break after a content
    return ("", f"over {MAX_BLOB:,} bytes") if size > MAX_BLOB else decode_text(b"".join(parts))


def equal_ends(old: Sequence[str], new: Sequence[str]) -> tuple[int, int]:
    """How many lines are equal at the beginning, and how many of the others at the end."""
    shortest = min(len(old), len(new))
    first = next((number for number in range(shortest) if old[number] != new[number]), shortest)
    rest = shortest - first
    return first, next((number for number in range(rest) if old[-1 - number] != new[-1 - number]), rest)


def _around_change(before: str, after: str) -> tuple[str, str]:
    """Both texts whole, or without the equal lines that are further from the change than CONTEXT."""
    if len(before) + len(after) <= MAX_CHARS:
        return before, after
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    first, last = equal_ends(old, new)
    start = max(first - CONTEXT, 0)
    parts = ("".join(lines[start : max(len(lines) - last + CONTEXT, start)]) for lines in (old, new))
    return next(parts), next(parts)
