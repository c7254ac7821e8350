"""Files are whole or absent, and a disk that is full or read-only is said in one line: on real, tiny file systems."""

import subprocess
import sys
from pathlib import Path

import pytest

from chaku import ChakuError
from chaku.files import atomic_directory, atomic_file, read_json, remove_directory, write_json
from chaku.sandbox.probe import check_sandbox, how_to_isolate

mounts = pytest.mark.skipif(check_sandbox() is not None, reason="bubblewrap mounts no file systems here")


def on_a_file_system(options: list[str], directory: Path, code: str) -> str:
    """The last line of errors of a program that runs with `directory` mounted so."""
    command = [how_to_isolate().bwrap, "--dev-bind", "/", "/", *options, str(directory)]
    program = f"from pathlib import Path\nwhere = Path({str(directory)!r})\n{code}"
    result = subprocess.run([*command, sys.executable, "-c", program], capture_output=True, text=True, check=False)
    return result.stderr.strip().splitlines()[-1]


WRITERS = {
    "json": "from chaku.files import write_json\nwrite_json(where / 'a', 'x' * 2_000_000)",
    "weights": """
import torch
from chaku.checkpoint.huggingface import save_model
from chaku.model.config import PRESETS
from chaku.model.llama import Llama
save_model(Llama(PRESETS['tiny']), where / 'model')""",
    "state": """
from chaku.model.config import PRESETS
from chaku.model.llama import Llama
from chaku.training.config import TrainingConfig
from chaku.training.optimizers import make_optimizer
from chaku.training.state import Progress, States
model = Llama(PRESETS['tiny'])
States(where / 'state', model, make_optimizer(model, TrainingConfig())).save(Progress(1, 1.0))""",
    "metrics": """
from chaku.training.metrics import MetricsLog
with MetricsLog(where, 0) as log:
    for step in range(5000):
        log.write(step, loss=1.0, sample={'text': 'x' * 100})""",
    "database": """
import sqlite3
from chaku.files import explain_full_disk
with explain_full_disk(where), sqlite3.connect(where / 'ledger.sqlite') as database:
    database.execute('create table kept (text)')
    database.execute('insert into kept values (?)', ['x' * 1_000_000])""",
    "corpus": """
import random
from chaku.corpus.build import build_corpus
from chaku.corpus.reading.sources import Source
tree = where.parent / 'tree'
tree.mkdir()
for number in range(40):
    words = ''.join(random.choices('abcdefghijklm nopqrst\\n', k=30_000))
    (tree / f'{number}.txt').write_text(words)
build_corpus([Source('tree', 'tree', str(tree))], where / 'corpus')""",
}


@mounts
@pytest.mark.parametrize("what", WRITERS)
def test_a_full_disk(what, tmp_path):
    (tmp_path / "disk").mkdir()
    error = on_a_file_system(["--size", "200000", "--tmpfs"], tmp_path / "disk", WRITERS[what])
    assert "ChakuError: cannot write" in error
    assert "the disk is full; free some space and start again (finished work is kept)" in error


@mounts
def test_a_read_only_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    error = on_a_file_system(["--ro-bind", str(disk)], disk, WRITERS["json"])
    assert f"ChakuError: cannot write {disk}/a: the file system is read-only" in error
    code = "from chaku.pipeline import only_one\nwith only_one(where / 'run'): pass"
    error = on_a_file_system(["--ro-bind", str(disk)], disk, code)
    assert f"ChakuError: cannot write the run directory {disk}/run (Read-only file system)" in error


def test_what_fails_half_way_leaves_what_was(tmp_path):
    write_json(tmp_path / "a.json", [1])
    with pytest.raises(TypeError), atomic_file(tmp_path / "a.json") as path:
        path.write_text("half", newline=3)
    assert read_json(tmp_path / "a.json") == [1]
    for _ in range(2):
        with atomic_directory(tmp_path / "d") as path:
            (path / "a").write_text("whole")
    with pytest.raises(TypeError), atomic_directory(tmp_path / "d") as path:
        (path / "a").write_text("half", newline=3)
    assert (tmp_path / "d" / "a").read_text() == "whole"
    remove_directory(tmp_path / "d")
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


def test_broken_json_is_named(tmp_path):
    (tmp_path / "a.json").write_text('{"a": ')
    with pytest.raises(ChakuError, match=r"a\.json is not valid JSON .* remove it and run again"):
        read_json(tmp_path / "a.json")
