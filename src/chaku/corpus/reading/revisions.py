"""The git commits of a source's directory, and of the checkouts in it."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

TIMEOUT = 30  # seconds for one call of git


@dataclass(frozen=True)
class Revision:
    """The `commit` that a checkout is at, and the URL that it came from, without a user's name or password."""

    commit: str
    origin: str | None


def revisions(directory: Path) -> dict[str, Revision]:
    """The revisions of a directory, by the path within it: "" for the directory itself, "NAME" for a checkout in it.

    Empty where git is missing, and for a directory that is in no checkout. Looks one level deep.
    """
    if not shutil.which("git"):
        return {}
    found = {"": revision(directory)}
    if directory.is_dir():
        found |= {path.parent.name: revision(path.parent) for path in sorted(directory.glob("*/.git"))}
    return {within: one for within, one in found.items() if one is not None}


def revision(directory: Path) -> Revision | None:
    """The revision of a directory that is a checkout, or is tracked in one; None for any other directory."""
    commit = _git(directory, "rev-parse", "HEAD")
    if commit is None or not _git(directory, "ls-files", "--", "."):  # a checkout may ignore what stands in it
        return None
    origin = _git(directory, "config", "--get", "remote.origin.url")
    return Revision(commit, re.sub(r"://[^/@]*@", "://", origin) if origin else None)


def _git(directory: Path, *words: str) -> str | None:
    # A checkout's own settings could name a program for git to run.
    command = ["git", "-c", "core.fsmonitor=false", "-C", str(directory), *words]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=TIMEOUT)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else None
