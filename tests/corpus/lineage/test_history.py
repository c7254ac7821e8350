"""A document's way through a build can be asked, and the data card describes the corpus as Croissant wants it."""

import json
import subprocess
import sys

import pyarrow.parquet as pq
import pytest

from chaku import ChakuError
from chaku.corpus import build, shard_assembly
from chaku.corpus.build import build_corpus
from chaku.corpus.cleaning.cleaner import Cleaning
from chaku.corpus.lineage.history import in_lines, ways
from chaku.corpus.lineage.read import open_lineage
from chaku.corpus.near_duplicates.config import NearDuplicatesConfig
from chaku.corpus.reading.sources import Source

CODE = "def add_{0}(first, second):\n    return first + second + {0}\n\n\ndef show_{0}(value):\n    print(value, {0})\n"
LONG = "".join(f"def step_{number}(state):\n    return state + {number}\n\n\n" for number in range(60))


def git(directory, *words):
    about = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *about, "-C", str(directory), *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A corpus of a checkout and of a tree with another checkout in it: (directory, checkout, tree)."""
    directory = tmp_path_factory.mktemp("lineage")
    checkout, tree = directory / "project", directory / "tree"
    files = {
        checkout / "kept.py": CODE.format(1),
        checkout / "near.py": LONG,
        checkout / "LICENSE": "Permission is hereby granted, free of charge, to any person obtaining a copy of this "
        "software and associated documentation files",
        checkout / "secret.py": CODE.format(2) + "\n\nADMIN = 'jane.roe@corporation.com'\n",
        checkout / "short.py": "x = 1\n",
        tree / "inner/same.py": CODE.format(1),
        tree / "inner/nearly.py": LONG.replace("step_59", "last"),
        tree / "loose/left_out.py": CODE.format(4),
        tree / "loose/image.py": b"\x7fELF\0\0\0" * 20,
        tree / "opted/out.py": CODE.format(5),
    }
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    for repository in (checkout, tree / "inner"):
        git(repository, "init", "-q")
        git(repository, "add", ".")
        git(repository, "commit", "-q", "-m", "all")
    git(checkout, "remote", "add", "origin", "https://jane:secret@example.org/jane/project.git")
    opt_out = directory / "opt-out.txt"
    opt_out.write_text("tree/opted\n")
    sources = [
        Source("project", "git", str(checkout)),
        Source("tree", "tree", str(tree), exclude=("*left_out*",)),
    ]
    build_corpus(
        sources,
        directory / "corpus",
        heldout_fraction=0,
        near_duplicates=NearDuplicatesConfig(),
        cleaning=Cleaning(opt_out=str(opt_out), decontaminate=False),
    )
    return directory, checkout, tree


def way(built, name):
    [found] = ways(open_lineage(built[0] / "corpus"), name)
    return found


def test_a_kept_document_has_its_revision_licence_checks_and_copies(built):
    _, checkout, _ = built
    found = way(built, "kept.py")
    assert (found.source, found.license, found.shard) == ("project", "MIT", "train-00000.parquet")
    assert found.revision == git(checkout, "rev-parse", "HEAD")
    assert found.origin == "https://example.org/jane/project.git"
    assert found.passed[:3] == ("read", "opt-out list", "filters (standard)")
    assert found.passed[-1] == "near-duplicates (by file)"
    assert found.reason is None
    assert found.copies == ("tree/inner/same.py",)


def test_the_check_that_dropped_a_document_is_named_with_the_kept_copy(built):
    _, _, tree = built
    same = way(built, "inner/same.py")
    assert (same.reason, same.kept_copy) == ("same text as another", "project/kept.py")
    assert same.revision == git(tree / "inner", "rev-parse", "HEAD")
    assert "near-duplicates (by file)" not in same.passed
    near = {
        (found.path, found.reason, found.kept_copy) for name in ("near.py", "nearly.py") for found in [way(built, name)]
    }
    assert near == {
        ("near.py", "near-duplicate", "tree/inner/nearly.py"),
        ("inner/nearly.py", None, None),
    }
    assert way(built, "nearly.py").copies == ("project/near.py",)
    short = way(built, "project/short.py")
    assert (short.reason, short.dropped_by) == ("under 50 characters", "filters (standard)")
    assert short.passed == ("read", "opt-out list")
    assert way(built, "opted/out.py").reason == "opted out"
    assert way(built, "image.py").dropped_by == "read"


def test_what_was_replaced_in_a_kept_document_is_said(built):
    found = way(built, "secret.py")
    assert (found.replaced, found.reason) == ("1 x e-mail address", None)
    assert any("replaced  1 x e-mail address" in line for line in in_lines(found))


def test_a_document_is_found_by_hash_and_by_its_file(built):
    _, checkout, _ = built
    lineage = open_lineage(built[0] / "corpus")
    kept = way(built, "kept.py")
    assert [found.path for found in ways(lineage, kept.sha256[:12])] == ["kept.py", "inner/same.py"]
    dropped = way(built, str(checkout / "short.py"))
    assert ways(lineage, dropped.file_sha256)[0].path == "short.py"


def test_a_name_without_a_document_is_an_error_that_says_why(built):
    _, _, tree = built
    with pytest.raises(ChakuError, match=r"lies in the source tree, but was not among its files"):
        way(built, str(tree / "loose/left_out.py"))
    with pytest.raises(ChakuError, match="lies in none of the sources"):
        way(built, sys.executable)
    with pytest.raises(ChakuError, match="no document of"):
        way(built, "nowhere.py")
    with pytest.raises(ChakuError, match="holds no corpus"):
        open_lineage(tree)


def test_a_corpus_of_an_earlier_version_tells_of_what_it_kept(built, tmp_path):
    (tmp_path / "train-00000.parquet").write_bytes((built[0] / "corpus/train-00000.parquet").read_bytes())
    lineage = open_lineage(tmp_path)
    assert ways(lineage, "kept.py")[0].shard == "train-00000.parquet"
    with pytest.raises(ChakuError, match="earlier version"):
        ways(lineage, "short.py")


def test_the_lineage_of_a_build_in_many_shards_is_that_of_one(tmp_path, monkeypatch):
    tree = tmp_path / "tree"
    for number in range(100):
        path = tree / f"{number}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(CODE.format(number % 40))
    monkeypatch.setattr(build, "WAVE", 1)
    plain = Cleaning(decontaminate=False)
    build_corpus([Source("tree", "tree", str(tree))], tmp_path / "whole", cleaning=plain)
    monkeypatch.setattr(shard_assembly, "SHARD_BYTES", 1000)
    build_corpus([Source("tree", "tree", str(tree))], tmp_path / "parts", cleaning=plain)

    def rows(corpus):
        return [row for path in sorted(corpus.glob("lineage-*.parquet")) for row in pq.read_table(path).to_pylist()]

    assert len(list((tmp_path / "parts").glob("lineage-*.parquet"))) > 1
    assert rows(tmp_path / "parts") == rows(tmp_path / "whole")
    assert len(rows(tmp_path / "whole")) == 60


def test_the_data_card_is_croissant(built):
    """The structure that the validator of mlcroissant asks for."""
    card = json.loads((built[0] / "corpus/croissant.json").read_text())
    assert card["@type"] == "sc:Dataset"
    assert "http://mlcommons.org/croissant/1.0" in card["conformsTo"]
    assert card["name"] == "corpus"
    assert card["license"] == ["https://spdx.org/licenses/MIT"]
    for name in ("description", "version", "datePublished"):
        assert card[name], name
    files = {part["@id"] for part in card["distribution"]}
    assert files == {"train-files", "heldout-files"}
    schema = pq.read_schema(built[0] / "corpus/train-00000.parquet")
    for records in card["recordSet"]:
        assert [field["name"] for field in records["field"]] == schema.names
        ids = [field["@id"] for field in records["field"]]
        assert records["key"]["@id"] in ids
        for field in records["field"]:
            assert field["dataType"] == ("sc:Integer" if field["name"] in ("bytes", "stars") else "sc:Text")
            assert field["source"]["fileSet"]["@id"] in files
            assert field["source"]["extract"]["column"] == field["name"]
    prefixes = {key.partition(":")[0] for key in card if ":" in key}
    assert prefixes <= card["@context"].keys()
    [project, tree] = card["isBasedOn"]
    assert project["version"] == way(built, "kept.py").revision
    assert "secret" not in json.dumps(card["isBasedOn"])
    assert str(built[0]) not in json.dumps(card)  # a card is published, and names no path of this machine
    assert tree["version"].startswith("inner: ")
