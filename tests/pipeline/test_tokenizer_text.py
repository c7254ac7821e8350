"""A tokenizer learns from every source, as much as the stages do."""

from dataclasses import replace

import pytest

from chaku.corpus.build import build_corpus
from chaku.corpus.reading.sources import Source
from chaku.documents import read_documents
from chaku.pipeline.tokenizer_text import tokenizer_texts
from chaku.recipe.load import load_recipe
from family import write_recipe


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A recipe, and a corpus of prose first and code after it."""
    root = tmp_path_factory.mktemp("made")
    recipe = load_recipe(write_recipe(root))
    sources = [
        Source("prose", "tree", str(root / "files"), include=("*.txt",)),
        Source("code", "tree", str(root / "files"), include=("*.py", "*.c")),
    ]
    build_corpus(sources, root / "corpus")
    return recipe, root / "corpus"


def sample(recipe, corpus, train_bytes):
    recipe = replace(recipe, tokenizer=replace(recipe.tokenizer, train_bytes=train_bytes))
    kinds = {document.text: document.kind for document in read_documents(corpus, "train")}
    texts = list(tokenizer_texts(recipe, corpus))
    assert len(set(texts)) == len(texts)
    return [(kinds[text], len(text)) for text in texts]


def test_a_small_sample_has_the_mixture_of_the_stages(made):
    recipe, corpus = made
    taken = sample(recipe, corpus, 30_000)
    total = sum(size for _, size in taken)
    assert 30_000 <= total < 32_000  # each set ends with a whole document
    code = sum(size for kind, size in taken if kind == "code") / total
    assert code == pytest.approx((0.2 + 0.85 + 1.0) / 3, abs=0.06)


def test_what_a_set_lacks_comes_from_all(made):
    recipe, corpus = made
    everything = sum(len(document.text) for document in read_documents(corpus, "train"))
    assert sum(size for _, size in sample(recipe, corpus, everything - 500)) >= everything - 500
    assert sum(size for _, size in sample(recipe, corpus, 10**9)) == everything
