"""Documents of whole repositories: their form in each family, their packing, and infilling inside a file."""

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from chaku.corpus.reading.repository_order import write_order
from chaku.documents import ABOUT_COPIES, SCHEMA
from chaku.tokens.byte_level import ByteLevelTokenizer
from chaku.tokens.config import InfillingConfig
from chaku.tokens.packed_dataset import PackedDataset, TokenSet
from chaku.tokens.repository_documents import RepositoryFiles
from chaku.tokens.repository_format import path_comment
from chaku.tokens.store import encode_corpus
from chaku.tokens.tokenizer_training import train_tokenizer
from tokens.families import make

FILES = [  # repository, path, language, kind, text
    ("one", "main.py", "Python", "code", "import util\n\nprint(util.add(1, 2))"),
    ("one", "util.py", "Python", "code", "  # an indented line\nimport base\n\n\ndef add(a, b):\n    return a + b\n"),
    ("one", "base.py", "Python", "code", "X = 1\n"),
    ("one", "util.py#0001", "Python", "piece", "def add(a, b):\n    return a + b\n"),
    ("two", "lib.c", "C", "code", '#include "lib.h"\nint f(int x) { return x; }\n'),
    ("two", "lib.h", "C", "code", "int f(int x);\n"),
    ("two", "long.h", "C", "code", "".join(f"int v{number};\n" for number in range(120))),
    (None, "alone.sql", "SQL", "code", "select 1;\n"),
]
TEXTS = {path: text for _, path, _, _, text in FILES}
LENGTH = 255


def tokenizers():
    texts = [text for *_, text in FILES]
    return {
        "llama": train_tokenizer(texts * 2, 300),
        "qwen": ByteLevelTokenizer(*make("qwen2.5-coder")),
        "deepseek": ByteLevelTokenizer(*make("deepseek-coder")),
    }


TOKENIZERS = tokenizers()


@pytest.fixture(params=TOKENIZERS)
def family(request):
    return request.param


@pytest.fixture
def made(family, tmp_path):
    """(tokenizer, a function that makes the data set)."""
    tokenizer = TOKENIZERS[family]
    rows = [
        {
            "text": text,
            "path": path,
            "language": language,
            "kind": kind,
            "license": None,
            "source": "test",
            "sha256": hashlib.sha256(text.encode()).hexdigest(),
            "bytes": len(text),
            "repository": repository,
        }
        for repository, path, language, kind, text in FILES
    ]
    for number, part in enumerate((rows[:3], rows[3:])):
        schema = pa.schema([*SCHEMA, *ABOUT_COPIES])
        pq.write_table(pa.Table.from_pylist(part, schema), tmp_path / f"train-0000{number}.parquet")
    store = encode_corpus(tmp_path, tokenizer, tmp_path)
    assert write_order(tmp_path, "train", tmp_path / "order.parquet", seed=1) == (7, 2)

    def dataset(rate=None, length=LENGTH, plans=None):
        files = RepositoryFiles.read(tmp_path / "order.parquet", store.select(kinds=["code"]))
        sets = [TokenSet("code", files.documents, 1.0, files)]
        infilling = None if rate is None else InfillingConfig(rate, 0.5 if family == "llama" else 0.0)
        return PackedDataset(store, sets, length, tokenizer, 3, infilling, plans=plans)

    return tokenizer, dataset


def shown(tokenizer, ids):
    """A document as text, with the names of its special tokens."""
    return "".join(
        tokenizer.pieces[number] if number in tokenizer.special_ids else tokenizer.decode_infilling([number])
        for number in ids
    )


def documents(dataset, number=60):
    for index in range(number):
        sample = dataset[index]
        assert len(sample.tokens) == dataset.sequence_length + 1
        for part in range(int(sample.document_ids.max()) + 1):
            yield sample.tokens[sample.document_ids == part].tolist()


def whole_form(family, repository):
    order = {"one": ("base.py", "util.py", "main.py"), "two": ("lib.h", "lib.c")}[repository]
    comments = {"one": "# {}\n", "two": "// {}\n"}[repository]
    form = "<|file_sep|>{}\n" if family == "qwen" else comments
    text = "".join(form.format(path) + TEXTS[path] for path in order)
    return f"<|repo_name|>{repository}\n{text}" if family == "qwen" else text


def test_a_plan_that_is_kept_gives_the_same_documents(made, family, tmp_path, monkeypatch):
    _, dataset = made
    dataset(plans=tmp_path / "plans")
    expected = list(documents(dataset(0.5)))
    monkeypatch.setattr("chaku.tokens.repository_documents.best_fit", None)
    assert list(documents(dataset(0.5, plans=tmp_path / "plans"))) == expected


def test_a_document_is_the_repository_in_the_order_of_its_imports(made, family):
    tokenizer, dataset = made
    ends = (tokenizer.bos_id, tokenizer.eos_id)
    found = {shown(tokenizer, ids[1:-1]) for ids in documents(dataset()) if (ids[0], ids[-1]) == ends}
    expected = whole_form(family, "one")
    assert (f" {expected}" if family == "llama" else expected) in found
    two = [text for text in found if "lib.h\n" in text and "lib.c\n" in text]
    assert any(TEXTS["lib.h"] in text and text.index("lib.h\n") < text.index("lib.c\n") for text in two)
    assert any("alone.sql" in text for text in found)


def test_a_file_that_is_too_long_is_cut_and_stands_alone(made):
    tokenizer, dataset = made
    long = tokenizer.encode(TEXTS["long.h"])
    assert len(long) > LENGTH
    joined = dataset().joined[0]
    items = joined.plan.items
    cut = items[items[:, 0] >= 0]
    assert set(cut[:, 0].tolist()) == {6}
    assert (np.diff(np.sort(cut[:, 1])) == LENGTH + 1).all()
    assert int((cut[:, 2] - cut[:, 1]).sum()) == len(long) + 2


def test_every_file_is_once_in_the_plan(made):
    for length in (60, 90, 150, 255, 600):
        joined = made[1](length=length).joined[0]
        files = [file for first, end in joined._bounds for file in range(first, end)]
        alone = {document for document, _, _ in joined.plan.items.tolist() if document >= 0}
        whole = joined.files.documents[files].tolist()
        assert len(set(whole)) == len(whole)
        assert sorted([*whole, *alone]) == [0, 1, 2, 4, 5, 6, 7]
        room = np.add.reduceat(joined.plan.items[:, 2] - joined.plan.items[:, 1], joined.plan.offsets[:-1])
        assert (room <= length + 1).all()


def test_infilling_stays_inside_a_file(made, family):
    """Without its infilling tokens, each file of a document is the file: prefix, middle and suffix are all its own."""
    tokenizer, dataset = made
    tokens = tokenizer.infilling
    infilled = 0
    for ids in documents(dataset(rate=1.0), 200):
        if tokens.middle not in ids or ids[0] != tokenizer.bos_id:
            continue
        places = [place for place, number in enumerate(ids) if number == tokens.prefix]
        for place in places:
            infilled += 1
            ends = {tokens.end, tokenizer.eos_id, *(tokenizer.special_ids - set(tokens_of(tokens)))}
            end = next(at for at in range(place, len(ids)) if ids[at] in ends)
            assert restored(tokenizer, ids[place:end]) & set(TEXTS.values())
            if family == "llama":
                assert ids[end] == tokens.end
    assert infilled > 100


def tokens_of(tokens):
    return tokens.prefix, tokens.suffix, tokens.middle


def restored(tokenizer, ids):
    """The texts that an infilled file may come from: a space at its beginning may be the tokenizer's own."""
    tokens = tokenizer.infilling
    suffix, middle = ids.index(tokens.suffix), ids.index(tokens.middle)
    prefix = tokenizer.decode_infilling(ids[1:suffix])
    text = prefix + tokenizer.decode_infilling(ids[middle + 1 :])
    text += tokenizer.decode_infilling(ids[suffix + 1 : middle])
    return {text, text.removeprefix(" ")}


def test_documents_depend_on_the_index_alone(made):
    first, second = made[1](rate=0.9), made[1](rate=0.9)
    late = second[40].tokens.tolist()
    assert first[7].tokens.tolist() == second[7].tokens.tolist()
    assert first[40].tokens.tolist() == late


def test_comments_of_languages():
    assert path_comment("a/b.py", "Python") == "# a/b.py\n"
    assert path_comment("a/b.ts", "TypeScript") == "// a/b.ts\n"
    assert path_comment("b.lua", "Lua") == "-- b.lua\n"
    assert path_comment("b.md", "Markdown") == "<!-- b.md -->\n"
