"""Database servers for tests: a temporary directory, a Unix socket, no network, gone when the test is."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def postgres_programs() -> Path | None:
    """The directory with initdb and postgres, as Debian or a PATH has them."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


@contextmanager
def postgres() -> Iterator[str]:
    """A running PostgreSQL; yields the URL of its superuser. It does not run as root, so root runs it as `postgres`."""
    programs = postgres_programs()
    assert programs
    with _home("postgres") as (home, user):
        data = home / "data"
        quiet = {"user": user, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": home}
        init = [
            programs / "initdb",
            "-D",
            data,
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-sync",
            "--locale=C",
        ]
        subprocess.run(init, check=True, **quiet)
        command = [programs / "postgres", "-D", data, "-k", home, "-c", "listen_addresses=", "-c", "fsync=off"]
        state = data / "postmaster.pid"
        with _running(command, quiet, lambda: state.exists() and "ready" in state.read_text()):
            yield f"postgresql://postgres@/postgres?host={home}"


# What is written need not outlive the test, so the server waits for no disk; by default it writes a log of 100 MB.
MYSQL_WRITES_LITTLE = ("--sync-frm=0", "--innodb-flush-method=nosync", "--innodb-log-file-size=4M")


def mysql_program() -> str | None:
    return shutil.which("mariadbd") or shutil.which("mariadbd", path="/usr/sbin")


@contextmanager
def mysql() -> Iterator[str]:
    """A running MariaDB; yields the URL of its root on a database `test`."""
    program = mysql_program()
    assert program
    with _home("mysql") as (home, user):
        quiet = {"user": user, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": home}
        install = [
            "mariadb-install-db",
            "--no-defaults",
            f"--datadir={home}/data",
            "--auth-root-authentication-method=normal",
        ]
        subprocess.run([*install, "--skip-test-db", *MYSQL_WRITES_LITTLE], check=True, **quiet)
        socket = home / "mysql.sock"
        command = [program, "--no-defaults", f"--datadir={home}/data", f"--socket={socket}", "--skip-networking"]
        command += [f"--pid-file={home}/pid", "--secure-file-priv=", *MYSQL_WRITES_LITTLE]
        with _running(command, quiet, socket.exists):
            yield f"mysql://root@localhost/test?unix_socket={socket}"


@contextmanager
def _home(account: str) -> Iterator[tuple[Path, str | None]]:
    """A new directory that the server's account owns, and that account (None: who runs the test)."""
    home = Path(tempfile.mkdtemp(prefix="chaku-"))  # short: a socket's path has at most 107 bytes
    user = account if os.getuid() == 0 else None
    try:
        if user:
            os.chown(home, pwd.getpwnam(user).pw_uid, -1)
        yield home, user
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def _running(command: list, quiet: dict, ready: Callable[[], bool]) -> Iterator[None]:
    server = subprocess.Popen(command, **quiet)
    try:
        deadline = time.monotonic() + 60
        while not ready():
            assert server.poll() is None, f"the server ended with status {server.returncode}"
            assert time.monotonic() < deadline, "the server does not start"
            time.sleep(0.05)
        yield
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
