"""A little corpus, a tiny model that has not learnt anything, and a file of three problems."""

import json
from dataclasses import replace

import pytest
import torch

from chaku.corpus.build import build_corpus
from chaku.corpus.sources import Source
from chaku.documents import read_documents
from chaku.inference.engine import Engine
from chaku.model.config import PRESETS
from chaku.model.llama import Llama
from chaku.tokens.tokenizer_training import train_tokenizer
from family import write_files


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    directory = tmp_path_factory.mktemp("evals")
    write_files(directory / "files")
    build_corpus([Source("files", "tree", str(directory / "files"))], directory / "corpus", heldout_fraction=0.3)
    return directory / "corpus"


@pytest.fixture(scope="session")
def tokenizer(corpus):
    return train_tokenizer((document.text for document in read_documents(corpus, "train")), 340)


@pytest.fixture(scope="session")
def engine(tokenizer):
    torch.manual_seed(0)
    return Engine(Llama(replace(PRESETS["tiny"], max_position_embeddings=256)).eval(), tokenizer)


PROBLEMS = [
    {
        "task_id": f"Little/{name}",
        "prompt": f'def {name}(a, b):\n    """Return {sign} of a and b."""\n',
        "canonical_solution": f"    return a {sign} b\n",
        "test": f"def check(candidate):\n    assert candidate(6, 3) == {6 + 3 if sign == '+' else 6 * 3}\n",
        "entry_point": name,
    }
    for name, sign in (("add", "+"), ("times", "*"), ("plus", "+"))
]


@pytest.fixture
def problems(tmp_path):
    """Three problems in HumanEval's form."""
    path = tmp_path / "problems.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in PROBLEMS))
    return path


@pytest.fixture
def write_samples(tmp_path):
    """Writes (task_id, completion) pairs as a file of samples."""

    def write(*pairs):
        path = tmp_path / "samples.jsonl"
        rows = [{"task_id": task_id, "completion": completion} for task_id, completion in pairs]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    return write
