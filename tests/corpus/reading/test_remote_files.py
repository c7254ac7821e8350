"""Rows under a URL are read like rows of a directory; what goes wrong with a store ends the build and loses nothing."""

import gzip
import json

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.memory import MemoryFile, MemoryFileSystem

from chaku import ChakuError, api
from chaku.corpus.build import build_corpus
from chaku.corpus.reading.file_list import describe_changes, read_file_list
from chaku.corpus.reading.remote_files import find_remote
from chaku.corpus.reading.rows import read_rows, row_format
from chaku.corpus.reading.sources import Source, guess_source, source_files
from chaku.documents import read_documents

ROWS = [
    {
        "text": f"def add_{number}(value):\n    # one of many\n    return value + {number}\n",
        "path": f"{number}.py",
    }
    for number in range(200)
]


@pytest.fixture
def bucket():
    store = MemoryFileSystem()
    store.pseudo_dirs.append("/bucket")
    yield store
    store.rm("/bucket", recursive=True)


def put(store, name, rows):
    lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
    if name.endswith(".parquet"):
        sink = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_pylist(rows), sink, row_group_size=50)
        lines = sink.getvalue().to_pybytes()
    elif name.endswith(".gz"):
        lines = gzip.compress(lines)
    elif name.endswith(".zst"):
        lines = pa.compress(lines, "zstd", asbytes=True)
    store.pipe_file(f"/bucket/{name}", lines)


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.parquet"])
def test_every_format_is_read(bucket, name):
    put(bucket, name, ROWS)
    [file] = find_remote(f"memory://bucket/{name}", lambda file: True)
    assert [row.value for row in read_rows(file)] == ROWS
    assert guess_source(f"memory://bucket/{name}").type == ("parquet" if "parquet" in name else "jsonl")


def test_a_folder_and_a_pattern_name_files(bucket):
    for name in ("2024/one.jsonl", "2024/more/two.jsonl.gz", "2024/three.parquet", "2024/README.md"):
        put(bucket, name, ROWS[:1])
    files = find_remote("memory://bucket/2024", lambda file: file.name.startswith("t"))
    assert sorted(map(str, files)) == ["memory:///bucket/2024/more/two.jsonl.gz", "memory:///bucket/2024/three.parquet"]
    assert [file.name for file in find_remote("memory://bucket/2024/*.jsonl", lambda file: True)] == ["one.jsonl"]
    with pytest.raises(ChakuError, match="or both kinds"):
        guess_source("memory://bucket/2024")


@pytest.mark.parametrize("name", ["a b", "日本ü", "what?", "a#b", "a%20b", "a[1]", "a*b"])
def test_an_object_has_any_name(bucket, name):
    put(bucket, f"{name}.jsonl", ROWS[:3])
    for place in ("memory://bucket", f"memory://bucket/{name}.jsonl"):
        assert guess_source(place).type == "jsonl"
        [file] = find_remote(place, lambda file: row_format(file) == "jsonl")
        assert [row.value for row in read_rows(file)] == ROWS[:3]


@pytest.mark.parametrize(
    "url",
    [
        "ftp://bob:SECRET@host/a.jsonl",
        "http://bob:SEC@RET@host/a.jsonl",
        "zip://a.jsonl::https://bob:SECRET@host/a.zip",
        "https://host/a.jsonl?X-Amz-Date=1&X-Amz-Signature=SECRET",
        "https://host/a.jsonl?sig=SECRET",
        "https://host/a.jsonl?access_token=SECRET&b=1",
    ],
)
def test_a_url_with_credentials_is_refused_and_not_shown(tmp_path, url):
    for build in (lambda: api.build_corpus([url], tmp_path / "corpus"), lambda: Source("web", "jsonl", url)):
        with pytest.raises(ChakuError, match="password, a key or a signature") as caught:
            build()
        assert not any(part in str(caught.value) for part in ("SEC", "RET"))
    assert not (tmp_path / "corpus").exists()


def test_other_urls_are_no_credentials():
    for url in ("github://owner:repository@main/a.jsonl", "abfs://box@account/a.jsonl", "https://host/a.jsonl?page=2"):
        assert Source("web", "jsonl", url).path == url


def test_include_and_exclude_choose_files_of_rows_here_and_there(bucket, tmp_path):
    for name in ("a/one.jsonl", "a/two.jsonl", "b/one.jsonl"):
        put(bucket, f"rows/{name}", ROWS[:1])
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}\n")
    for place in ("memory://bucket/rows", "memory://bucket/rows/", str(tmp_path)):

        def chosen(place=place, **patterns):
            files = source_files(Source("rows", "jsonl", place, **patterns))
            return sorted("/".join(str(file).split("/")[-2:]) for file in files)

        assert chosen(exclude=("*two*",)) == ["a/one.jsonl", "b/one.jsonl"]
        assert chosen(include=("a/*",)) == ["a/one.jsonl", "a/two.jsonl"]
        assert chosen(place=f"{place.rstrip('/')}/a/*.jsonl", exclude=("two*",)) == ["a/one.jsonl"]
        with pytest.raises(ChakuError, match="matches no file; check the path or pattern, include and exclude"):
            chosen(include=("c/*",))


def test_a_build_from_a_bucket_is_that_of_a_directory_and_a_change_is_seen(bucket, tmp_path):
    for part in range(2):
        put(bucket, f"rows-{part}.jsonl", ROWS[part::2])
        (tmp_path / "rows").mkdir(exist_ok=True)
        (tmp_path / "rows" / f"rows-{part}.jsonl").write_bytes(bucket.cat_file(f"/bucket/rows-{part}.jsonl"))
    api.build_corpus(["memory://bucket"], tmp_path / "there")
    build_corpus([Source("bucket", "jsonl", str(tmp_path / "rows"))], tmp_path / "here")
    texts = [{document.text for document in read_documents(tmp_path / name, "train")} for name in ("there", "here")]
    assert texts[0] == texts[1]
    assert len(texts[0]) > 150
    files, source = read_file_list(tmp_path / "there"), Source("bucket", "jsonl", "memory://bucket")
    assert describe_changes(files, [source]) == ""
    put(bucket, "rows-1.jsonl", ROWS[1:-1:2])
    assert describe_changes(files, [source]) == "1 files edited (memory:///bucket/rows-1.jsonl)"


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz", "rows.jsonl.zst", "rows.parquet"])
def test_a_store_that_fails_ends_the_build_and_the_same_command_goes_on(bucket, tmp_path, monkeypatch, name):
    put(bucket, name, ROWS)
    source = Source("bucket", "parquet" if "parquet" in name else "jsonl", "memory://bucket/rows*")

    class Throttled(Exception):
        """As a driver's own error, which is no OSError."""

    def fails(self, *arguments):
        raise Throttled("slow down")

    with monkeypatch.context() as patch:
        patch.setattr(MemoryFile, "read", fails)
        with pytest.raises(ChakuError, match=rf"{name} cannot be read \(Throttled: slow down\)"):
            build_corpus([source], tmp_path / "corpus", heldout_fraction=0)
    build_corpus([source], tmp_path / "corpus", heldout_fraction=0)
    assert len(list(read_documents(tmp_path / "corpus", "train"))) == len(ROWS)


@pytest.mark.parametrize(
    ("type", "path", "problem"),
    [
        ("jsonl", "memory://nowhere/a.jsonl", "matches no file"),
        ("jsonl", "nosuch://bucket/a.jsonl", "nosuch"),
        ("tree", "memory://bucket", "only rows are read from there"),
    ],
)
def test_a_wrong_url_is_explained(tmp_path, type, path, problem):
    with pytest.raises(ChakuError, match=problem):
        build_corpus([Source("bucket", type, path)], tmp_path / "corpus")


def test_a_missing_driver_is_named(tmp_path):
    missing = next(name for name in ("s3", "gs", "abfs") if not importable(name))
    with pytest.raises(ChakuError, match=r"ImportError: .*nstall"):
        build_corpus([Source("bucket", "jsonl", f"{missing}://bucket/a.jsonl")], tmp_path / "corpus")


def importable(protocol):
    try:
        fsspec.get_filesystem_class(protocol)
    except ImportError:
        return False
    return True
