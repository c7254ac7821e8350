"""A run with documents of whole repositories: the order is a step of its own, and counts as an input of the stage."""

import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest

from chaku import ChakuError
from chaku.files import read_json
from chaku.pipeline import run_recipe
from chaku.pipeline.exposure import exposures
from chaku.pipeline.run_directory import FinishedWork
from chaku.pipeline.training import make_dataset
from chaku.recipe.family import stage_seed
from chaku.recipe.load import load_recipe
from chaku.tokens.load import load_tokenizer
from chaku.tokens.store import TokenStore
from chaku.training.metrics import read_metrics

RECIPE = """
name = "repositories"
[corpus]
sources = [{ name = "site", type = "tree", path = "FILES" }]
heldout_fraction = 0
num_workers = 1
decontaminate = false
[tokenizer]
vocab_size = 300
[model]
preset = "tiny"
[sets]
code = { kinds = ["code"], repositories = true }
[stages.code]
mixture = { code = 1.0 }
sequence_length = 255
infilling = { rate = 1.0, cuts = { line = 0.5, syntax = 0.5 }, final_rate = 0.5 }
training = { tokens = 1024, batch_tokens = 512, learning_rate = 1e-3, precision = "float32" }
"""


@pytest.fixture(scope="module")
def recipe_path(tmp_path_factory):
    directory = tmp_path_factory.mktemp("repositories")
    for package in ("one", "two"):
        files = directory / "files" / package
        files.mkdir(parents=True)
        for number in range(12):
            above = f"from {package} import module_{number + 1}\n" if number < 11 else ""
            body = f"    return value + {number}  # a comment that makes the file long enough\n"
            text = f"{above}\n\ndef {package}_{number}(value):\n{body}"
            (files / f"module_{number}.py").write_text(text)
        (files / "query.sql").write_text(f"SELECT {package}.value,, FROM {package} WHERE WHERE;\nSELECT 1 + 2 + 3;\n")
    path = directory / "recipe.toml"
    path.write_text(RECIPE.replace("FILES", str(directory / "files")))
    return path


def test_files_of_a_repository_come_in_the_order_of_their_imports(recipe_path, tmp_path):
    run = tmp_path / "run"
    run_recipe(load_recipe(recipe_path), run)
    rows = pq.read_table(run / "repositories" / "train.parquet").to_pylist()
    assert {row["name"] for row in rows} == {"one", "two"}
    for name in ("one", "two"):
        modules = [row["path"] for row in rows if row["name"] == name and row["path"].endswith(".py")]
        assert modules == [f"module_{number}.py" for number in range(11, -1, -1)]
    lines = [line for line in read_metrics(run / "stages" / "code" / "metrics.jsonl") if "loss" in line]
    assert lines[0]["infilling_rate"] > lines[-1]["infilling_rate"] > 0
    assert sum(line.get("syntax_fallbacks", 0) for line in lines) > 0  # the SQL has errors
    assert read_json(run / "stages" / "code" / "inputs.json")["repositories"]
    with pytest.raises(FinishedWork, match="seed"):
        run_recipe(load_recipe(recipe_path, ["seed=5"]), run)


def test_what_a_stage_read_of_a_file_is_counted_where_it_stands_in_a_repository(recipe_path, tmp_path):
    run = tmp_path / "run"
    recipe = load_recipe(recipe_path, ["code.infilling.rate=0", "code.infilling.final_rate=0"])
    run_recipe(recipe, run)
    stage, seed = recipe.stages["code"], stage_seed(recipe, "code")
    tokenizer = load_tokenizer(run / "tokenizer")
    dataset = make_dataset(recipe, run, tokenizer, stage, seed)
    store = TokenStore.open(run / "tokens", "train")
    texts = [tokenizer.decode(store[document]) for document in range(len(store))]
    num_samples = read_json(run / "stages" / "code" / "stage.json")["tokens"] // stage.sequence_length
    samples = [tokenizer.decode(dataset[index].tokens) for index in range(num_samples)]
    counted = []
    for document, text in enumerate(texts):
        # The parts that fill a sequence have no path before them.
        times = sum(sample.count(f".py\n{text}") + sample.count(f".sql\n{text}") for sample in samples)
        [found] = exposures(run, np.array([document]))
        assert found.tokens == times * int(store.lengths[document])
        counted.append(times)
    assert min(counted) < max(counted)
    shutil.rmtree(run / "repositories")
    with pytest.raises(ChakuError, match="chaku run makes it again"):
        exposures(run, np.array([0]))
    run_recipe(recipe, run)
    exposures(run, np.array([0]))


def test_mistakes_name_their_keys(recipe_path):
    for key, value, message in (
        ("sets.code.repositories", "1", "sets.code: repositories must be true or false"),
        ("code.infilling.cuts", "words", "stages.code: infilling: cuts must be one of 'random', 'line', 'syntax'"),
        ("code.infilling.cuts", "{ words = 1 }", "must be one of 'random', 'line', 'syntax', not 'words'"),
        ("code.infilling.cuts", "{ line = 0 }", "stages.code.infilling.cuts needs shares"),
        ("code.infilling.final_rate", "2", "final_rate is 2.0; it must be at least 0 and at most 1"),
    ):
        with pytest.raises(ChakuError) as caught:
            load_recipe(recipe_path, [f"{key}={value}"])
        assert message in str(caught.value)
