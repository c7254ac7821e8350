"""Commits of a git checkout as documents: their parts, what is left out, and their tokens."""

import os
import subprocess

import pytest

from chaku import ChakuError
from chaku.corpus.build import build_corpus
from chaku.corpus.cleaning.cleaner import Cleaning
from chaku.corpus.reading.commits import MAX_CHARS, read_commits
from chaku.corpus.reading.file_list import describe_changes, read_file_list
from chaku.corpus.reading.sources import Source
from chaku.documents import Document, join_commit, read_documents, split_commit
from chaku.tokens.byte_level import ByteLevelTokenizer
from chaku.tokens.commit_format import encode_document
from chaku.tokens.config import InfillingConfig
from chaku.tokens.packed_dataset import PackedDataset, TokenSet
from chaku.tokens.store import encode_corpus
from chaku.tokens.tokenizer_training import train_tokenizer
from tokens.families import make

ADD = "def add(a, b):\n    return a + b\n"


def git(root, *arguments):
    who = {f"GIT_{role}_{key}": "someone@example.com" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
    where = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
    subprocess.run(["git", "-C", root, *arguments], check=True, capture_output=True, env={**os.environ, **who, **where})


def commit(root, message, **files):
    for name, content in files.items():
        path = root / name.replace("__", ".")
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    git(root, "add", "-A")
    git(root, "commit", "-q", "--allow-empty", "-m", message)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    root = tmp_path_factory.mktemp("checkout")
    git(root, "init", "-q", "-b", "main")
    long = [f"value_{number} = {number}\n" for number in range(3000)]
    commit(root, "Begin", add__py=ADD, long__py="".join(long), data__bin=b"\0\1", other__py="x = 1\n")
    commit(root, "Subtract instead\n\nBecause nobody adds.", add__py=ADD.replace("+", "-"))
    commit(root, "Two files", add__py=ADD, other__py="x = 2\n")
    long[1500] = "changed = 0\n"
    commit(root, "One line of many", long__py="".join(long))
    commit(root, "No text", data__bin=b"\0\2")
    commit(root, "All lines", long__py="".join(reversed(long)))
    commit(root, "A mark", other__py="'<commit_msg>'\n")
    git(root, "mv", "other.py", "renamed.py")
    commit(root, "Another name")
    git(root, "config", "core.fsmonitor", "touch hooked")  # a setting that starts a program
    return root


def test_the_parts_of_commits_and_what_is_left_out(checkout):
    commits = list(read_commits(checkout))
    assert [(one.path.partition("@")[0], one.problem) for one in commits] == [
        ("other.py", "a mark of commits in its text"),
        ("long.py", f"a change over {MAX_CHARS:,} characters"),
        ("data.bin", "binary"),
        ("long.py", ""),
        ("add.py", ""),
    ]
    assert split_commit(commits[4].text) == [
        f"add.py\n{ADD}",
        "Subtract instead\n\nBecause nobody adds.",
        ADD.replace("+", "-"),
    ]
    before, message, after = split_commit(commits[3].text)
    assert message == "One line of many"
    lines = before.splitlines()[1:]
    assert lines == [f"value_{number} = {number}" for number in range(1468, 1533)]
    assert after.splitlines() == [*lines[:32], "changed = 0", *lines[33:]]
    assert not (checkout / "hooked").exists()


def build(out, source):
    return build_corpus([source], out, heldout_fraction=0, cleaning=Cleaning(decontaminate=False))


def test_a_corpus_of_commits(checkout, tmp_path):
    summary = build(tmp_path / "corpus", Source("mine", "commits", str(checkout)))
    documents = list(read_documents(tmp_path / "corpus", "train"))
    assert [(document.kind, document.language) for document in documents] == [("commit", "Python")] * 2
    assert {row["reason"] for row in summary["dropped"]} >= {"binary", "a mark of commits in its text"}
    build(tmp_path / "one", Source("mine", "commits", str(checkout), include=("add*",)))
    assert len(list(read_documents(tmp_path / "one", "train"))) == 1
    files = read_file_list(tmp_path / "one")
    assert {path.rpartition(".git/")[2] for path in files} == {"HEAD", "refs/heads/main"}
    assert describe_changes(files, [Source("mine", "commits", str(checkout))]) == ""
    git(checkout, "commit", "-q", "--allow-empty", "-m", "More")
    assert "main" in describe_changes(files, [Source("mine", "commits", str(checkout))])


def test_starcoders_tokens_stand_before_the_parts():
    definition, config = make("granite-code")
    first = max(token["id"] for token in definition["added_tokens"]) + 1
    first = max(first, max(definition["model"]["vocab"].values()) + 1)
    plain = ByteLevelTokenizer(definition, config)
    names = ("<commit_before>", "<commit_msg>", "<commit_after>")
    added = definition["added_tokens"]
    new = [{**added[0], "id": first + number, "content": name} for number, name in enumerate(names)]
    tokenizer = ByteLevelTokenizer({**definition, "added_tokens": [*added, *new]}, config)
    text = join_commit("a.py", "x = 1\n", "Two", "x = 2\n")
    document = Document(text, "a.py@1", "Python", "commit", None, "s", "")
    encode = tokenizer.encode
    assert encode_document(tokenizer, document) == [
        *(first, *encode("a.py\nx = 1\n"), first + 1, *encode("Two"), first + 2, *encode("x = 2\n"))
    ]
    assert encode_document(plain, document) == plain.encode(text)
    code = Document(text, "a.py", "Python", "code", None, "s", "")
    assert encode_document(tokenizer, code) == tokenizer.encode(text)  # a text that only looks like a commit


def test_commits_are_never_infilled(checkout, tmp_path):
    build(tmp_path / "corpus", Source("mine", "commits", str(checkout), include=("add*",)))
    tokenizer = train_tokenizer([ADD * 3, "commit before message after <>_"], 300)
    store = encode_corpus(tmp_path / "corpus", tokenizer, tmp_path)
    sets = [TokenSet("commits", store.select(), 1.0)]
    dataset = PackedDataset(store, sets, 1023, tokenizer, 1, InfillingConfig(rate=1.0))
    assert all(tokenizer.middle_id not in dataset[index].tokens for index in range(5))


def test_mistakes(tmp_path, monkeypatch):
    with pytest.raises(ChakuError, match="is not a git checkout with commits"):
        list(read_commits(tmp_path))
    with pytest.raises(ChakuError, match=r"source 'mine': the directory .*nowhere does not exist"):
        build(tmp_path / "out", Source("mine", "commits", str(tmp_path / "nowhere")))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ChakuError, match="apt install git"):
        list(read_commits(tmp_path))
