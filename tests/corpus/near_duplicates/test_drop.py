"""Near-duplicates: equal numbers with and without numba, what is found and kept, and that no limit changes it."""

import json
import random
import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from chaku import ChakuError
from chaku.corpus import compiled
from chaku.corpus.admission import SAME_TEXT
from chaku.corpus.build import build_corpus
from chaku.corpus.cleaning.cleaner import OPTED_OUT, Cleaning
from chaku.corpus.cleaning.licences import OTHER_LICENCE
from chaku.corpus.near_duplicates import drop as near_duplicates
from chaku.corpus.near_duplicates import gram_store, minhash
from chaku.corpus.near_duplicates import groups as duplicate_groups
from chaku.corpus.near_duplicates.config import NearDuplicatesConfig
from chaku.corpus.near_duplicates.gram_store import BANDS, ROWS
from chaku.corpus.reading.sources import Source, guess_source
from chaku.documents import read_documents

SOURCE = random.Random(7)
WORDS = [f"{first}{second}" for first in ("get", "set", "add", "load", "save") for second in range(60)]


def program(length=120):
    return [SOURCE.choice(WORDS) for _ in range(length)]


def edited(words, share):
    """The words with this share of them replaced."""
    places = set(SOURCE.sample(range(len(words)), round(share * len(words))))
    return [f"new{SOURCE.random()}".replace(".", "") if place in places else word for place, word in enumerate(words)]


def text(words):
    return "".join(f"{word} = {word}(1)\n" if place % 3 else f"{word}\n" for place, word in enumerate(words))


@pytest.fixture
def with_numba(monkeypatch):
    pytest.importorskip("numba", reason="NOT tested: numba is not installed")
    monkeypatch.setattr(compiled, "_read", [compiled.WORTH_LOADING])


def similarity(first, second):
    return len(first & second) / len(first | second)


def truth(written):
    """The set of a text's 5-grams of words, by a regular expression."""
    words = re.findall(r"[\w\u0080-\U0010ffff]+", written, re.ASCII)
    return {tuple(words[at : at + 5]) for at in range(len(words) - 4)}


TEXTS = [text(program(size)) for size in (1, 2, 5, 40, 300)]
TEXTS += [
    "",
    "     \n",
    "--- === ---",
    "Grüße, 世界 = café(x_1) + «a» b c",
    "a" * 5000 + " b c d e",
    "one two three four",
]


def test_numba_and_numpy_give_the_same_numbers(with_numba, monkeypatch):
    encoded = [written.encode() for written in TEXTS]
    fast = minhash.joined(minhash.gram_sets(encoded))
    signatures = minhash.signatures_of(fast)
    sizes = range(0, len(fast[4]) // 3, 9)
    shared = [minhash.at_least_as_similar(fast[4], fast[4][: 3 * size], 0.6) for size in sizes]
    monkeypatch.setattr(compiled, "_read", [0])
    monkeypatch.setattr(minhash, "_AT_A_TIME", 100)
    plain = minhash.joined(minhash.gram_sets(encoded))
    assert np.array_equal(fast.values, plain.values)
    assert np.array_equal(fast.offsets, plain.offsets)
    assert np.array_equal(signatures, minhash.signatures_of(plain))
    assert shared == [minhash.at_least_as_similar(plain[4], plain[4][: 3 * size], 0.6) for size in sizes]
    assert True in shared
    assert False in shared


def test_grams_are_those_of_the_words():
    sets = minhash.gram_sets([written.encode() for written in TEXTS])
    assert [len(grams) for grams in sets] == [len(truth(written)) for written in TEXTS]
    assert all((np.diff(grams.astype(np.int64)) > 0).all() for grams in sets)


def test_signatures_agree_as_often_as_texts_are_similar():
    words = program(400)
    texts = [text(words), *(text(edited(words, share)) for share in (0.01, 0.03, 0.1))]
    signatures = minhash.signatures_of(minhash.joined(minhash.gram_sets([written.encode() for written in texts])))
    for other in (1, 2, 3):
        agreement = (signatures[0] == signatures[other]).mean()
        assert agreement == pytest.approx(similarity(truth(texts[0]), truth(texts[other])), abs=0.1)  # 3 deviations


def rows(tmp_path, *rows, name="rows"):
    path = tmp_path / f"{name}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return guess_source(path)


def built(sources, out, **settings):
    config = NearDuplicatesConfig(
        **{key: settings.pop(key) for key in ("by", "threshold", "against") if key in settings}
    )
    settings = {"heldout_fraction": 0, **settings}
    return build_corpus(sources, out, near_duplicates=config, **settings)


def paths(out, split="train"):
    return {document.path for document in read_documents(out, split)}


def dropped(summary):
    return {row["reason"]: row["documents"] for row in summary["dropped"]}


def test_the_copy_to_keep_has_the_most_stars_then_the_latest_date_then_the_first_path(tmp_path):
    def copies(*about):
        words = program()
        return [{"content": text(words[:place] + words[place + 1 :]), **row} for place, row in enumerate(about, 7)]

    source = rows(
        tmp_path,
        *copies({"path": "a/few.py", "stars": 3}, {"path": "b/many.py", "max_stars_count": 40}, {"path": "c/none.py"}),
        *copies({"path": "d/old.py", "date": "2019-05-01"}, {"path": "e/new.py", "date": "2024-01-01"}),
        *copies({"path": "g/second.py"}, {"path": "f/first.py"}),
        *({"path": f"alone{number}.py", "content": text(program())} for number in range(5)),
    )
    summary = built([source], tmp_path / "out")
    alone = {f"alone{number}.py" for number in range(5)}
    assert paths(tmp_path / "out") == {"b/many.py", "e/new.py", "f/first.py", *alone}
    assert dropped(summary) == {"near-duplicate": 4}
    assert sum(row["documents"] for row in summary["kept"]) == 8
    assert (
        sum(row["bytes"] for row in summary["kept"])
        == pq.read_table(tmp_path / "out/train-00000.parquet")["bytes"].to_numpy().sum()
    )
    listed = pq.read_table(tmp_path / "out/near-duplicates.parquet").to_pylist()
    assert {(row["path"], row["kept_path"]) for row in listed} == {
        ("a/few.py", "b/many.py"),
        ("c/none.py", "b/many.py"),
        ("d/old.py", "e/new.py"),
        ("g/second.py", "f/first.py"),
    }
    assert not (tmp_path / "out" / near_duplicates.WORK).exists()


def test_short_files_and_files_below_the_threshold_are_kept(tmp_path):
    long = ["b" * 20, "c" * 20, "d" * 20]
    words = program(300)
    source = rows(
        tmp_path,
        *(
            {"path": f"short{number}.py", "content": f"{'a' * 20}{number} {long[0]} - {long[1]} == {long[2]}"}
            for number in range(9)
        ),
        {"path": "a.py", "content": text(words)},
        {"path": "b.py", "content": text(edited(words, 0.12))},
    )
    first, second = (truth(json.loads(line)["content"]) for line in Path(source.path).read_text().splitlines()[-2:])
    assert 0.4 < similarity(first, second) < 0.65
    assert dropped(built([source], tmp_path / "out", threshold=0.7)) == {}
    assert dropped(built([source], tmp_path / "lower", threshold=0.3)) in ({}, {"near-duplicate": 1})


def many(tmp_path, num_families=40):
    """Families of similar files, and the truth about the pairs that are similar enough."""
    written = []
    for family in range(num_families):
        words = program(150)
        for copy in range(family % 4 + 1):
            written.append((f"r{copy}/f{family}.py", text(edited(words, 0.012 * copy))))
    return rows(tmp_path, *({"path": path, "content": content} for path, content in written)), dict(written)


def test_what_is_dropped_is_similar_and_what_is_similar_is_dropped(tmp_path):
    source, written = many(tmp_path)
    built([source], tmp_path / "out")
    kept = paths(tmp_path / "out")
    sets = {path: truth(content) for path, content in written.items()}
    similar = [(a, b) for a in sets for b in sets if a < b and similarity(sets[a], sets[b]) >= 0.7]
    assert len(similar) > 30
    assert sum(a in kept and b in kept for a, b in similar) <= 0.05 * len(similar)
    for path in sets.keys() - kept:  # a chain of similar files leads from it
        assert any(path in pair for pair in similar)


def test_neither_workers_nor_limits_of_memory_change_what_is_kept(tmp_path, monkeypatch):
    source, _ = many(tmp_path, 16)
    expected = built([source], tmp_path / "out")
    assert dropped(expected)["near-duplicate"] == 24
    monkeypatch.setattr("chaku.corpus.shards.ROW_GROUP_BYTES", 30_000)
    monkeypatch.setattr(near_duplicates, "UNIT_GROUPS", 1)
    monkeypatch.setattr(gram_store, "BUCKET_KEYS", 11)
    monkeypatch.setattr(duplicate_groups, "GROUPED", 7)
    again = built([source], tmp_path / "again", num_workers=2)
    assert again["documents_sha256"] == expected["documents_sha256"]
    assert dropped(again) == dropped(expected)


def test_numba_finds_the_same(tmp_path, with_numba):
    source, _ = many(tmp_path, 4)
    assert dropped(built([source], tmp_path / "out")) == {"near-duplicate": 6}


def write_tree(root, files):
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content)
    return Source(root.name, "tree", str(root), piece_bytes=900)


def test_pieces_and_docstrings_go_with_their_file_in_either_split(tmp_path):
    def module(words):
        doc = f'    """{" ".join(words[:20])}"""\n'
        return "\n\n".join(f"def {name}(a):\n{doc}    return {name}{place}(a)\n" for place, name in enumerate(words))

    files = {}
    for number in range(12):
        words = program(30)
        files |= {f"a/m{number}.py": module(words), f"b/m{number}.py": module([*words[:-1], "last"])}
    tree = write_tree(tmp_path / "tree", files)
    summary = built([tree], tmp_path / "out", heldout_fraction=0.4)
    kept = paths(tmp_path / "out"), paths(tmp_path / "out", "heldout")
    assert min(map(len, kept)) > 4
    kept = kept[0] | kept[1]
    assert {path for path in kept if "#" not in path} == {f"a/m{number}.py" for number in range(12)}
    assert {path[0] for path in kept} == {"a"}
    assert dropped(summary)["near-duplicate"] == 12
    assert dropped(summary)["part of a near-duplicate"] >= 12


def test_of_similar_repositories_one_is_kept_whole(tmp_path):
    tree = {}
    for number in range(6):
        words = program()
        tree[f"original/m{number}.py"] = text(words)
        tree[f"fork/m{number}.py"] = text(edited(words, 0.005))
    tree["fork/extra.py"] = text(program())
    tree["other/m0.py"] = text(program())
    shared = program()
    tree |= {
        "other/copy.py": text(shared),
        "third/copy.py": text(edited(shared, 0.01)),
        "third/own.py": text(program()),
    }
    source = write_tree(tmp_path / "tree", tree)
    whole = built([source], tmp_path / "whole", by="repository")
    assert dropped(whole) == {"in a near-duplicate repository": 6}
    kept = paths(tmp_path / "whole")
    assert {path.split("/")[0] for path in kept} == {"fork", "other", "third"}
    assert {"other/copy.py", "third/copy.py"} <= kept
    both = built([source], tmp_path / "both", by="both")
    assert dropped(both) == {"in a near-duplicate repository": 6, "near-duplicate": 1}
    files = built([source], tmp_path / "files")
    assert dropped(files) == {"near-duplicate": 7}
    assert "fork/extra.py" in paths(tmp_path / "files")


@pytest.mark.parametrize("heldout", [0, 0.999])  # the other split has no documents
def test_what_an_earlier_corpus_holds_is_dropped(tmp_path, heldout):
    words, other = program(), program()
    old = rows(
        tmp_path, {"path": "old.py", "content": text(words)}, {"path": "x.py", "content": text(other)}, name="old"
    )
    build_corpus([old], tmp_path / "before", heldout_fraction=heldout)
    new = rows(
        tmp_path,
        {"path": "new.py", "content": text([*words, "more"]), "stars": 1000},
        {"path": "same.py", "content": text(other)},
        {"path": "own.py", "content": text(program())},
        name="new",
    )
    before = str(tmp_path / "before")
    summary = built([new], tmp_path / "out", against=(before,))
    assert paths(tmp_path / "out") == {"own.py"}
    assert dropped(summary) == {"near-duplicate": 2}
    assert summary["against"] == {
        before: json.loads((tmp_path / "before/summary.json").read_text())["documents_sha256"]
    }
    with pytest.raises(ChakuError, match=r"against names .*nowhere, which holds no corpus"):
        built([new], tmp_path / "out", against=(str(tmp_path / "nowhere"),))


@pytest.mark.parametrize(("by", "left"), [("repository", {"own", "mixed"}), ("both", {"own"}), ("file", {"own"})])
def test_repositories_of_an_earlier_corpus_are_dropped(tmp_path, by, left):
    """`fork` copies a repository of the earlier corpus whole; `mixed` has one file of it among its own."""
    words = [program() for _ in range(5)]
    old = write_tree(tmp_path / "old", {f"original/m{number}.py": text(part) for number, part in enumerate(words)})
    build_corpus([old], tmp_path / "before", heldout_fraction=0.3)
    files = {f"fork/m{number}.py": text(edited(part, 0.005)) for number, part in enumerate(words)}
    files |= {"mixed/copy.py": text(edited(words[0], 0.005)), "own/a.py": text(program()), "own/b.py": text(program())}
    files |= {f"mixed/m{number}.py": text(program()) for number in range(3)}
    new = write_tree(tmp_path / "new", files)
    summary = built([new], tmp_path / "out", by=by, against=(str(tmp_path / "before"),))
    copied = {path for path in paths(tmp_path / "out") if "fork" in path or "copy" in path}
    assert copied == ({"mixed/copy.py"} if by == "repository" else set())
    assert {path for path in files if "fork" not in path and "copy" not in path} <= paths(tmp_path / "out")
    whole = {"in a near-duplicate repository": 5} if by != "file" else {}
    singly = {"repository": 0, "both": 1, "file": 6}[by]
    assert dropped(summary) == whole | ({"near-duplicate": singly} if singly else {})


def test_the_copy_to_keep_is_one_that_cleaning_leaves(tmp_path):
    """Cleaning comes first: a dropped document is nobody's copy, and texts that differ in a secret alone are equal."""
    words, other, secret = program(), program(), program(60)
    copies = [words, *([*words[:place], "another", *words[place + 1 :]] for place in (5, 50, 90))]
    about = [
        {"stars": 9, "license": "GPL-3.0"},
        {"stars": 8, "path": "opted-out/a.py"},
        {"stars": 7, "path": "kept/a.py"},
        {"stars": 6},
    ]
    found = [
        {"path": f"r{number}/a.py", "license": "MIT", "content": text(copy), **row}
        for number, (copy, row) in enumerate(zip(copies, about, strict=True))
    ]
    found += [
        {"path": f"s{name}/b.py", "license": "MIT", "content": f"MAIL = '{name}@company.com'\n{text(secret)}"}
        for name in ("ann.lee", "bob.ray")
    ]
    found += [
        {"path": f"t{number}/c.py", "license": "MIT", "content": text(copy)}
        for number, copy in enumerate([other, [*other, "more"]])
    ]
    (tmp_path / "out.txt").write_text("opted-out\n")
    cleaning = Cleaning(licenses=("permissive",), opt_out=str(tmp_path / "out.txt"), decontaminate=False)
    summary = built([rows(tmp_path, *found)], tmp_path / "out", cleaning=cleaning)
    assert paths(tmp_path / "out") == {"kept/a.py", "sann.lee/b.py", "t0/c.py"}
    reasons = {OTHER_LICENCE: 1, OPTED_OUT: 1, SAME_TEXT: 1, near_duplicates.NEAR_DUPLICATE: 2}
    assert dropped(summary) == reasons
    assert sum(row["documents"] for row in summary["kept"]) + sum(reasons.values()) == len(found)


class Killed(BaseException):
    pass


@pytest.mark.parametrize(("after", "calls"), [("write_unit", 2), ("write_json", 1)])
def test_a_killed_call_goes_on_and_counts_the_same(tmp_path, monkeypatch, after, calls):
    source, _ = many(tmp_path, 12)
    whole = built([source], tmp_path / "whole")
    left, original = [None] * calls, getattr(near_duplicates, after)

    def last(*arguments):
        result = original(*arguments)
        left.pop()
        if not left:
            raise Killed
        return result

    monkeypatch.setattr(near_duplicates, after, last)
    with pytest.raises(Killed):
        built([source], tmp_path / "out")
    monkeypatch.setattr(near_duplicates, after, original)
    read = []
    sets = near_duplicates.gram_sets
    monkeypatch.setattr(near_duplicates, "gram_sets", lambda texts: read.append(1) or sets(texts))
    summary = built([source], tmp_path / "out")
    assert read == []  # what was finished is not done again
    assert {**summary, "seconds": 0} == {**whole, "seconds": 0}
    names = [sorted(path.name for path in (tmp_path / name).iterdir()) for name in ("out", "whole")]
    assert names[0] == names[1]


def test_the_bands_use_what_a_signature_has():
    assert BANDS * ROWS <= minhash.NUM_PERMUTATIONS
