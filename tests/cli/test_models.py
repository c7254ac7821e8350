"""`chaku models` and `chaku get`: the catalogue as a user sees it."""

import json
import os
from pathlib import Path

import pytest

from chaku.checkpoint import download
from chaku.checkpoint.catalogue import CATALOGUE, HubRepository, PackagedFile, by_name
from chaku.cli import main
from chaku.files import sha256_file

PACKAGED = [model for model in CATALOGUE if isinstance(model.source, PackagedFile)]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CHAKU_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache"


def test_a_table_says_what_is_here(cache, capsys):
    here = cache / "SmolLM2-135M-Instruct.Q4_1.gguf"
    with here.open("wb") as file:
        file.truncate(98_362_432)
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["NAME", "FAMILY", "PARAMETERS", "LICENCE", "SIZE", "CAN", "FROM", "HERE"]
    assert " ".join(lines[1].split()) == (
        "smollm2-135m-instruct SmolLM2 135M apache-2.0 0.10 GB complete, chat package index yes"
    )
    assert [line.split()[-1] for line in lines[2 : len(CATALOGUE) + 1]] == ["no"] * (len(CATALOGUE) - 1)
    assert main(["models", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["path"] for row in rows if row["path"]] == [str(here)]
    assert [row["name"] for row in rows] == [model.name for model in CATALOGUE]
    assert main(["get", "SmolLM2-135M-Instruct"]) == 0
    assert capsys.readouterr().out == f"{here}\n"


@pytest.mark.parametrize("name", ["smollm2-135m-instrct", "codellama/CodeLlama-7b-hf"])
def test_a_mistyped_name_is_one_line_with_the_nearest(capsys, name):
    assert main(["get", name]) == 2
    errors = capsys.readouterr().err
    assert errors.startswith(f"chaku: the catalogue has no model {name}; did you mean ")
    assert errors.count("\n") == 1


def test_the_table_says_which_models_infill(capsys):
    assert main(["models"]) == 0
    rows = capsys.readouterr().out.splitlines()[1 : len(CATALOGUE) + 1]
    assert ["infill" in row for row in rows] == ["infill" in model.abilities for model in CATALOGUE]


def test_the_cache_is_in_the_users_cache_directory(monkeypatch):
    monkeypatch.delenv("CHAKU_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert download.cache_directory() == Path("/somewhere/chaku/models")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert download.cache_directory() == Path.home() / ".cache" / "chaku" / "models"


def test_the_catalogue_is_short_and_its_names_are_plain():
    assert len(CATALOGUE) <= 12
    assert len({model.name for model in CATALOGUE}) == len(CATALOGUE)
    for model in CATALOGUE:
        assert by_name(model.name.upper()) == model
        assert "complete" in model.abilities
        if isinstance(model.source, HubRepository):
            assert model.num_bytes == 2 * model.num_parameters
            assert "/" not in model.name


@pytest.mark.skipif("CHAKU_MODELS" not in os.environ, reason="CHAKU_MODELS names no directory with the two .gguf files")
@pytest.mark.parametrize("model", PACKAGED, ids=lambda model: model.name)
def test_the_catalogues_sizes_and_hashes_are_those_of_the_files(model, monkeypatch):
    monkeypatch.setenv("CHAKU_CACHE", os.environ["CHAKU_MODELS"])
    path = download.downloaded(model)
    assert path is not None
    assert sha256_file(path) == model.source.sha256
