"""Secrets and personal data are replaced, the same value by the same words; look-alikes stay."""

import random

import pytest

from chaku.corpus.build import build_corpus
from chaku.corpus.cleaning.cleaner import Cleaner, Cleaning
from chaku.corpus.cleaning.redaction import redact
from chaku.corpus.reading.sources import Raw, Source
from chaku.documents import read_documents
from secret_samples import Maker, in_code

FILE = "import os\n\n\ndef work(path):\n    return os.stat(path)\n"


@pytest.mark.parametrize("seed", range(3))
def test_every_kind_is_found_and_nothing_of_the_secret_stays(seed):
    maker, draw = Maker(seed), random.Random(seed)
    for kind, value in (*maker.secrets(), *maker.personal()):
        text, counts = redact(f"{FILE}{in_code(kind, value, draw)}\n{FILE}")
        assert counts == {kind: 1}, (kind, value)
        assert value not in text
        assert text.startswith(FILE)
        assert text.endswith(FILE)


@pytest.mark.parametrize("seed", range(3))
def test_look_alikes_stay(seed):
    for value in Maker(seed).kept():
        assert redact(f"{FILE}x = '{value}'\n") == (f"{FILE}x = '{value}'\n", {})


def test_the_same_value_has_the_same_replacement_in_a_file():
    first, second = "ada@work.org", "bob@work.org"
    text, counts = redact(f"{first} {second}, {first}; 81.9.20.1 and 81.9.20.2, then 81.9.20.1")
    assert text == ("user1@example.com user2@example.com, user1@example.com; 192.0.2.1 and 192.0.2.2, then 192.0.2.1")
    assert counts == {"e-mail address": 3, "IP address": 3}
    assert redact(text) == (text, {})  # what was replaced is not replaced again


def test_a_whole_token_goes_not_a_prefix_of_it():
    """A detector that reports `ghp` and replaces this value corrupts the text and leaves the token."""
    token = next(value for kind, value in Maker(1).secrets() if value[:3] in ("gho", "ghp", "ghs", "ghu"))
    text, _ = redact(f"graph = {token!r}; ghp = 'a'\n")
    assert text == "graph = 'GITHUB_TOKEN_1'; ghp = 'a'\n"


def test_in_a_corpus(tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    secret = next(value for kind, value in Maker(1).secrets() if kind == "Stripe key")
    (tree / "a.py").write_text(f"{FILE}KEY = '{secret}'  # ask ada@work.org\n")
    (tree / "b.py").write_text(f"{FILE}KEY = 2  # ask ada@work.org\n")
    source = Source("t", "tree", str(tree))
    summary = build_corpus([source], tmp_path / "out", heldout_fraction=0)
    texts = {document.path: document.text for document in read_documents(tmp_path / "out", "train")}
    assert texts["a.py"] == f"{FILE}KEY = 'STRIPE_KEY_1'  # ask user1@example.com\n"
    assert summary["replaced"] == [
        {"what": "Stripe key", "documents": 1, "places": 1},
        {"what": "e-mail address", "documents": 2, "places": 2},
    ]
    summary = build_corpus([source], tmp_path / "out", heldout_fraction=0, cleaning=Cleaning(secrets="drop"))
    assert [row["reason"] for row in summary["dropped"]] == ["a secret"]
    assert summary["samples"]["a secret"][0]["detail"] == "Stripe key"
    raw = Raw("a", f"{FILE}{secret}", "code", "Python", "t")
    assert Cleaner(Cleaning(secrets="keep")).clean(raw) == raw
