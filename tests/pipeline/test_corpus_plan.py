"""The plan of a large corpus: sizes are read, rates are measured on a real sample, and sums follow from them."""

import json

import pytest

from chaku import ChakuError
from chaku.cli import main
from chaku.corpus.cleaning.cleaner import Cleaning
from chaku.pipeline import corpus_plan, corpus_rates
from chaku.pipeline.corpus_plan import parse_size, plan_corpus, scaled
from chaku.pipeline.corpus_plan_words import in_lines
from chaku.pipeline.corpus_rates import Rates

RATES = Rates(
    bytes=1_000_000,
    files=100,
    documents=150,
    tokens=300_000,
    alone={"list": 0.01, "build": 0.1, "near-duplicates": 0.02, "encode": 0.3, "pack": 0.001},
    shared={"list": 0.0, "build": 2.0, "near-duplicates": 0.5, "encode": 0.0, "pack": 0.0},
    list_memory=300,
    build_memory=700,
    store_memory=32,
    corpus_disk=250_000,
    work_disk=400_000,
    tokens_disk=600_000,
)


def test_sizes_are_read(tmp_path, monkeypatch):
    assert [parse_size(text) for text in ("10TB", "500 gb", "3e12", "1.5M", "7")] == [
        10**13,
        5 * 10**11,
        3 * 10**12,
        1_500_000,
        7,
    ]
    assert parse_size("some/directory") is None
    monkeypatch.chdir(tmp_path)
    (tmp_path / "10TB").mkdir()  # a directory of this name is meant
    assert parse_size("10TB") is None


def test_figures_grow_with_the_bytes_and_only_shared_steps_with_the_cores():
    one, many = (scaled(RATES, 10**12, cores, "1 MB", 0.05) for cores in (1, 100))
    assert (one.files, one.documents, one.tokens) == (10**8, 1.5 * 10**8, 3 * 10**11)
    build, by_many = one.steps[1], many.steps[1]
    assert (build.shared, build.alone) == (pytest.approx(2e6 / 3600), pytest.approx(1e5 / 3600))
    assert build.hours == pytest.approx(2.1e6 / 3600)
    assert by_many.hours == pytest.approx((1e5 + 2e6 / 100) / 3600)
    assert (build.memory, build.disk) == (pytest.approx(700 * 10**8), pytest.approx(2.5 * 10**11))
    assert many.dollars == pytest.approx(many.hours * 100 * 0.05)
    assert many.useful_workers == round(2.5 / 0.431)
    said = "\n".join(in_lines(many))
    assert "list the files: 2.8 hours and 30GB of memory for the paths of all files; rows in Parquet" in said
    assert "build: 28 hours and 70GB of memory for the paths and hashes of all files; several corpora" in said
    assert said.index("encode: 83 hours") < said.index("build: 28 hours")


def test_a_sample_of_real_files_is_measured(tmp_path, monkeypatch, capsys):
    tree = tmp_path / "tree"
    for number in range(60):
        path = tree / f"package_{number % 5}/module_{number}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = (f"def add_{number}_{line}(first, second):\n    return first + second * {line}\n" for line in range(40))
        path.write_text("".join(lines))
    rows = tmp_path / "rows.jsonl"
    rows.write_text("\n".join(json.dumps({"text": path.read_text(), "path": path.name}) for path in tree.rglob("*.py")))
    monkeypatch.setattr(corpus_rates, "SAMPLE_BYTES", 100_000)
    monkeypatch.setattr(corpus_plan, "SMALLEST_SAMPLE", 10_000)
    monkeypatch.setattr(corpus_rates, "VOCAB_SIZE", 300)
    monkeypatch.setattr(corpus_rates, "WORTH_LOADING", 0)  # numba
    total = sum(path.stat().st_size for path in tree.rglob("*.py"))
    before = sorted(path for path in tmp_path.rglob("*"))
    plain = Cleaning(decontaminate=False)
    for source in (tree, rows):
        plan = plan_corpus(str(source), 4, cleaning=plain)
        assert plan.bytes == (total if source == tree else rows.stat().st_size)
        assert plan.documents == pytest.approx(60, rel=0.2)
        assert all(step.alone > 0 for step in plan.steps)
        assert [step.name for step in plan.steps if step.shared > 0] == ["build", "drop near-duplicates", "encode"]
        listed, build, *_, pack = plan.steps
        assert build.memory > listed.memory > 100 * plan.files
        assert pack.memory > 12 * plan.documents
    assert sorted(path for path in tmp_path.rglob("*")) == before


def test_too_little_to_measure_and_a_wrong_path_are_errors(tmp_path, capsys):
    (tmp_path / "one.py").write_text("x = 1\n")
    with pytest.raises(ChakuError, match="has 6 bytes of files, too few to measure"):
        plan_corpus(str(tmp_path), 4)
    with pytest.raises(ChakuError, match="does not exist"):
        plan_corpus("10 elephants", 4)
    with pytest.raises(SystemExit):
        main(["plan"])
    assert "name a recipe, or --corpus" in capsys.readouterr().err
