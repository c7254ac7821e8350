"""A whole family in seconds: a corpus of little files, and a recipe whose stages pass over it more than once."""

import fcntl
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from chaku.pipeline import run_recipe
from chaku.recipe.load import load_recipe

WORDS = ["value", "total", "items", "name", "count", "path", "result", "index", "text", "number"]

RECIPE = """
name = "little"
seed = 3

[corpus]
sources = [{ name = "files", type = "tree", path = "FILES" }]
heldout_fraction = 0.25
num_workers = 1

[tokenizer]
vocab_size = 340
train_bytes = 100_000

[model]
preset = "tiny"

[sets]
code = { kinds = ["code"] }
python = { kinds = ["code"], languages = ["Python"] }
prose = { kinds = ["prose"] }

[stages.base]
mixture = { prose = 0.8, code = 0.2 }
sequence_length = 128
training.tokens = 6144
training.batch_tokens = 512
training.micro_batch_tokens = 256
training.learning_rate = 3e-3
training.warmup_steps = 2
training.checkpoint_every = 4
training.precision = "float32"

[stages.code]
parent = "base"
mixture = { code = 0.85, prose = 0.15 }
sequence_length = 128
infilling = { rate = 0.9, spm_rate = 0.5 }
training.tokens = 40960
training.batch_tokens = 2048
training.learning_rate = 3e-3
training.warmup_steps = 2
training.checkpoint_every = 7
training.sample_every = 10
training.heldout_every = 10
training.precision = "float32"

[stages.long]
parent = "code"
mixture = { code = 1.0 }
sequence_length = 256
rope_theta = 1e6
training.tokens = 2048
training.batch_tokens = 512
training.learning_rate = 1e-3
training.warmup_steps = 2
training.precision = "float32"

[evals]
stages = ["base", "long"]
benchmarks = ["bits_per_byte", "infilling", "perplexity"]
max_bytes_per_language = 3000
num_examples = 4
num_long_documents = 2
"""


def write_files(root: Path, number: int = 90) -> None:
    """Python, C and prose, every file different."""
    source = random.Random(0)
    for index in range(number):
        a, b, c = source.sample(WORDS, 3)
        size = source.randint(1, 9)
        python = f'def {a}_{index}({b}, {c}):\n    """Give the {a} of {b}."""\n' + f"    {b} = {c} + {index}\n" * size
        files = {
            f"{a}_{index}.py": python + f"    return {b}\n",
            f"{a}_{index}.c": f"int {a}_{index}(int {b}) {{\n"
            + f"    {b} = {b} * {index};\n" * size
            + f"    return {b};\n}}\n",
            f"{a}_{index}.txt": " ".join(source.choices(WORDS, k=30 * size)) + f" and then the {index} of them.\n",
        }
        for name, text in files.items():
            path = root / f"d{index % 7}" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")


def write_recipe(directory: Path) -> Path:
    """Files and recipe under a directory; returns the recipe's path."""
    write_files(directory / "files")
    path = directory / "little.toml"
    path.write_text(RECIPE.replace("FILES", str(directory / "files")), encoding="utf-8")
    return path


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A directory that `make` fills: once, also where several processes share the tests. Tests only read it."""
    base = factory.getbasetemp()
    directory = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    with directory.with_name(f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (directory / "made").exists():
            directory.mkdir()
            make(directory)
            (directory / "made").touch()
    return directory


def run_family(recipe_path: Path, out: Path) -> None:
    """Run a recipe; what was made with other settings is made again."""
    run_recipe(load_recipe(recipe_path), out, make_again=True)
