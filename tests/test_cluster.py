"""The same work on a real Ray cluster of this machine, one of whose workers is killed in the middle."""

import os
import shutil
import signal
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest

from chaku import ChakuError, cluster
from chaku.corpus import build
from chaku.corpus.build import build_corpus
from chaku.corpus.cleaning.cleaner import Cleaning
from chaku.corpus.near_duplicates.config import NearDuplicatesConfig
from chaku.corpus.reading.sources import Source
from chaku.pipeline.data import encode
from chaku.sandbox.pool import run_many
from chaku.sandbox.probe import check_sandbox
from chaku.sandbox.verdict import Job
from chaku.tokens import store

pytest.importorskip("ray", reason="NOT TESTED: Ray is not installed (pip install 'chaku[ray]')")

PLAIN = Cleaning(decontaminate=False)


STARTS = 3  # Ray gives its own processes 30 seconds to start, which a busy machine may exceed


def test_work_on_a_cluster(tmp_path, monkeypatch, tokenizer):
    """All in one test, since each process that shares the tests would start a cluster of its own."""
    with ExitStack() as stack:
        for number in range(STARTS):
            try:
                stack.enter_context(cluster.joined("local"))
                break
            except ChakuError:
                if number == STARTS - 1:
                    raise
        ray_cluster = cluster.current()
        results_come_in_order(ray_cluster)
        errors_of_a_task_pass_unchanged(ray_cluster)
        a_machine_that_lacks_a_path_is_named(ray_cluster, tmp_path)
        if check_sandbox() is None:
            programs_run_in_the_sandboxes_of_the_cluster()
        with monkeypatch.context() as patch:
            a_killed_worker_costs_its_task_only_and_the_corpus_is_the_same(tmp_path, patch)
        with monkeypatch.context() as patch:
            a_killed_worker_costs_its_file_only_and_the_tokens_are_the_same(tmp_path, patch, tokenizer)
        with monkeypatch.context() as patch:
            a_task_that_always_dies_ends_the_work(ray_cluster, patch)
    assert cluster.current() is None


def test_an_address_where_nothing_answers_is_an_error_at_once():
    with (
        pytest.raises(ChakuError, match=r"no Ray cluster at 127.0.0.1:1: .*ray start --head"),
        cluster.joined("127.0.0.1:1"),
    ):
        pass


def write_tree(root: Path) -> Source:
    for number in range(120):
        path = root / f"package_{number % 7}/module_{number}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        text = f"def add_{number % 100}(first, second):\n    return first + second + {number % 100}\n"
        path.write_text(text * 2 + "PASSWORD = 'jane.roe@corporation.com'\n")
    return Source("tree", "tree", str(root))


def contents(corpus: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in corpus.glob("*.parquet")}


def a_killed_worker_costs_its_task_only_and_the_corpus_is_the_same(tmp_path, monkeypatch):
    source = write_tree(tmp_path / "tree")
    monkeypatch.setattr("chaku.corpus.reading.sources.TASK_SIZE", 16)
    settings = {"cleaning": PLAIN, "near_duplicates": NearDuplicatesConfig(), "heldout_fraction": 0.2}
    with monkeypatch.context() as alone:
        alone.setattr(cluster, "_joined", [])
        plain = build_corpus([source], tmp_path / "plain", **settings)
    log = str(tmp_path / "log")

    def dying(task):
        from chaku.corpus.worker_tasks import clean_piece

        name = task.piece.paths[0]
        with Path(log).open("a") as file:
            print(name, file=file)
        is_fourth = Path(log).read_text().split("\n").index(name) == 3
        if is_fourth and not Path(f"{log}.killed").exists():
            Path(f"{log}.killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return clean_piece(task)

    monkeypatch.setattr(build, "clean_piece", dying)
    summary = build_corpus([source], tmp_path / "on-ray", **settings)
    done = Path(log).read_text().split()
    assert len(set(done)) == 8
    assert len(done) == 9
    assert contents(tmp_path / "on-ray") == contents(tmp_path / "plain")
    assert {**summary, "seconds": 0} == {**plain, "seconds": 0}


def a_killed_worker_costs_its_file_only_and_the_tokens_are_the_same(tmp_path, monkeypatch, tokenizer):
    run = SimpleNamespace(directory=tmp_path / "run", recipe=SimpleNamespace(corpus=SimpleNamespace(num_workers=1)))
    shutil.copytree(tmp_path / "plain", run.directory / "corpus")
    for number in range(1, 4):
        first = run.directory / "corpus" / "train-00000.parquet"
        shutil.copy(first, first.with_name(f"train-0000{number}.parquet"))
    log = tmp_path / "encoded"

    def dying(task):
        from chaku.tokens.store import encode_shard

        with log.open("a") as file:
            print(task.shard.name, file=file)
        if log.read_text().split().count("train-00002.parquet") == 1 and task.shard.name == "train-00002.parquet":
            os.kill(os.getpid(), signal.SIGKILL)
        return encode_shard(task)

    for name in ("alone", "tokens"):
        (run.directory / name).mkdir()
    with monkeypatch.context() as alone:
        alone.setattr(cluster, "_joined", [])
        encode(run, tokenizer, run.directory / "alone")
    monkeypatch.setattr(store, "encode_shard", dying)
    encode(run, tokenizer, run.directory / "tokens")
    shards = [f"train-0000{number}.parquet" for number in (0, 1, 2, 2, 3)]
    assert sorted(log.read_text().split()) == ["heldout-00000.parquet", *shards]
    tokens, alone = (sorted((run.directory / name).iterdir()) for name in ("tokens", "alone"))
    assert [path.name for path in tokens] == [path.name for path in alone]
    assert [path.read_bytes() for path in tokens] == [path.read_bytes() for path in alone]


def errors_of_a_task_pass_unchanged(ray_cluster):
    def refusing(number):
        raise ChakuError(f"number {number} is wrong; take another")

    with pytest.raises(ChakuError, match=r"^number 7 is wrong; take another$"):
        list(ray_cluster.map(refusing, [7]))


def a_task_that_always_dies_ends_the_work(ray_cluster, monkeypatch):
    monkeypatch.setattr(cluster, "RETRIES", 0)
    with pytest.raises(ChakuError, match=r"failed 1 times .WorkerCrashedError.*finished work is kept"):
        ray_cluster.call(lambda: os.kill(os.getpid(), signal.SIGKILL))


def results_come_in_order(ray_cluster):
    assert list(ray_cluster.map(lambda a, b: a - b, range(50), [1] * 50)) == list(range(-1, 49))
    assert list(ray_cluster.map(str, [])) == []


def a_machine_that_lacks_a_path_is_named(ray_cluster, tmp_path):
    ray_cluster.check_shared([tmp_path])
    with pytest.raises(ChakuError, match=r"the machine .* of the Ray cluster lacks .*nowhere: sources and"):
        ray_cluster.check_shared([tmp_path, tmp_path / "nowhere"])


def programs_run_in_the_sandboxes_of_the_cluster():
    jobs = [
        Job("print(input())", stdin="one"),
        Job("raise ValueError"),
        Job("def f(): return 2", tests=("assert f() == 2",)),
    ]
    verdicts = run_many(jobs)
    assert [verdict.status for verdict in verdicts] == ["passed", "failed", "passed"]
    assert verdicts[0].stdout == "one\n"
