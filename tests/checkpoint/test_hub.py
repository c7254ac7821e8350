"""Models from the Hub: a commit that is written down, files checked by their hashes, and errors in a line."""

import json
import os

import pytest

from chaku import ChakuError
from chaku.checkpoint import download
from chaku.checkpoint.catalogue import CatalogueModel, HubRepository
from chaku.checkpoint.config_json import config_to_json
from chaku.checkpoint.find import find_checkpoint
from chaku.model.config import PRESETS
from hub_server import running_hub

CONFIG = json.dumps(config_to_json(PRESETS["tiny"], "torch.float32")).encode()
FILES = {
    "config.json": CONFIG,
    "tokenizer.json": b"{}",
    "model-00001-of-00001.safetensors": os.urandom(300_000),
    "pytorch_model.bin": b"the same weights again" * 100,
    "README.md": b"---\nlicense: apache-2.0\n---\n",
    "picture.png": b"not needed",
}
WANTED = sorted(set(FILES) - {"pytorch_model.bin", "picture.png"})
MODEL = CatalogueModel("tiny-coder", "Tiny", 10, "apache-2.0", 300_000, ("complete",), HubRepository("some/tiny"))


@pytest.fixture
def hub(tmp_path, monkeypatch):
    monkeypatch.setenv("CHAKU_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    with running_hub("some/tiny", FILES, monkeypatch, tmp_path / "hub-cache") as hub:
        yield hub


def test_a_model_comes_with_its_commit(hub, tmp_path):
    path = find_checkpoint("tiny-coder", [MODEL])
    assert path == tmp_path / "cache" / "tiny-coder"
    assert sorted(file.name for file in path.iterdir()) == sorted([*WANTED, "revision.json"])
    assert all((path / name).read_bytes() == FILES[name] for name in WANTED)
    assert json.loads((path / "revision.json").read_text()) == {"repository": "some/tiny", "revision": hub.newest}
    hub.asked.clear()
    assert find_checkpoint("tiny-coder", [MODEL]) == path
    assert hub.asked == []


def test_a_commit_that_is_pinned_is_the_one_that_comes(hub):
    older = hub.newest
    hub.commit({**FILES, "tokenizer.json": b"[]"})
    pinned = CatalogueModel("tiny-coder", "Tiny", 10, "mit", 1, ("complete",), HubRepository("some/tiny", older))
    assert (download.get(pinned) / "tokenizer.json").read_bytes() == b"{}"


def test_a_download_that_was_stopped_goes_on_with_its_commit_and_its_files(hub, monkeypatch):
    import huggingface_hub

    real = huggingface_hub.snapshot_download

    def stopped(repository, *, allow_patterns, **options):
        real(repository, allow_patterns=allow_patterns, **options)
        if "tokenizer.json" in allow_patterns:
            raise KeyboardInterrupt

    monkeypatch.setattr(huggingface_hub, "snapshot_download", stopped)
    with pytest.raises(KeyboardInterrupt):
        download.get(MODEL)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", real)
    assert download.downloaded(MODEL) is None
    first = hub.newest
    hub.commit({**FILES, "tokenizer.json": b"[]"})
    hub.asked.clear()
    path = download.get(MODEL)
    assert json.loads((path / "revision.json").read_text())["revision"] == first
    assert (path / "tokenizer.json").read_bytes() == b"{}"
    assert not [asked for asked in hub.asked if asked[0] == "GET" and "safetensors" in asked[1]]


def test_a_connection_that_breaks_off_is_taken_up_again(hub):
    hub.cut["model-00001-of-00001.safetensors"] = 100_000
    path = download.get(MODEL)
    assert (path / "model-00001-of-00001.safetensors").read_bytes() == FILES["model-00001-of-00001.safetensors"]


@pytest.mark.parametrize("name", ["model-00001-of-00001.safetensors", "tokenizer.json"])
def test_a_file_with_another_hash_is_deleted(hub, tmp_path, name):
    hub.damage = lambda file, data: data[:-1] + b"!" if file == name else data
    with pytest.raises(
        ChakuError, match=rf"{name} of some/tiny has the hash .* is expected; the file is deleted: try again"
    ):
        download.get(MODEL)
    assert download.downloaded(MODEL) is None
    hub.damage = lambda file, data: data
    assert (download.get(MODEL) / name).read_bytes() == FILES[name]


def test_what_does_not_fit_on_the_disk_is_said_before(hub, monkeypatch):
    monkeypatch.setattr(download.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 1000}))
    with pytest.raises(ChakuError, match=r"tiny-coder needs 0\.00 GB of disk .* free some space"):
        download.get(MODEL)
    assert not [asked for asked in hub.asked if "resolve" in asked[1]]


def test_a_hub_id_is_a_checkpoint(hub, tmp_path):
    path = find_checkpoint("some/tiny")
    assert sorted(file.name for file in path.iterdir()) == WANTED
    assert path.is_relative_to(tmp_path / "hub-cache")


def test_without_a_network_the_copy_in_the_hubs_cache_serves(hub, monkeypatch, capsys):
    path = find_checkpoint("some/tiny")
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert find_checkpoint("some/tiny") == path
    assert (
        "the Hub cannot be reached (is there a network?); using the copy in the Hub's cache" in capsys.readouterr().err
    )


def test_metas_weights_come_where_there_are_no_others(hub):
    hub.commit({"params.json": b"{}", "consolidated.00.pth": b"x" * 2000, "tokenizer.model": b"y"})
    assert sorted(file.name for file in find_checkpoint("some/tiny").iterdir()) == [
        "consolidated.00.pth",
        "params.json",
        "tokenizer.model",
    ]


@pytest.mark.parametrize("name", ["some/tiny", "tiny-coder"])
def test_an_unknown_architecture_is_refused_before_its_weights_come(hub, name):
    hub.commit({**FILES, "config.json": b'{"model_type": "mamba"}'})
    with pytest.raises(ChakuError, match="'mamba' is not one that chaku knows"):
        find_checkpoint(name, [MODEL])
    assert not [asked for asked in hub.asked if "safetensors" in asked[1]]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "some/tinny",
            r"^there is no path some/tinny here\. some/tinny: the Hub has no such .*mean tiny-coder\?$",
        ),
        (
            "tiny-codr",
            r"^there is no model tiny-codr, neither as a path nor in the catalogue; did you mean tiny-coder\?$",
        ),
        ("hub-cach/model", r"the Hub has no such repository"),
        ("hub-cache/modl", r"did you mean hub-cache/model\?$"),
        ("./nothing/here", r"^there is no model \./nothing/here, neither as.*`chaku models` lists the catalogue$"),
        ("some/model.gguf", r"^there is no model some/model\.gguf, neither as a path"),
    ],
)
def test_a_mistyped_name(hub, tmp_path, name, message):
    (tmp_path / "hub-cache" / "model").mkdir(parents=True)
    with pytest.raises(ChakuError, match=message):
        find_checkpoint(name, [MODEL])


def test_a_directory_of_the_same_name_is_left_alone(hub, tmp_path):
    (tmp_path / "here" / "tiny-coder").mkdir(parents=True)
    with pytest.raises(
        ChakuError, match=r"here/tiny-coder is a directory, but not a download of tiny-coder: move it away"
    ):
        download.get(MODEL, tmp_path / "here")
    assert hub.asked == []


def test_without_a_network(hub, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    for name in ("other/model", "tiny-coder"):
        with pytest.raises(ChakuError, match=r"the Hub cannot be reached \(is there a network\?\)") as raised:
            find_checkpoint(name, [MODEL])
        assert "\n" not in str(raised.value)
