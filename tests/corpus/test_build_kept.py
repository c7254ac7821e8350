"""A build never touches what chaku did not make, goes on after a kill, and ends with its workers."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from chaku import ChakuError
from chaku.corpus import build, shard_assembly, worker_tasks
from chaku.corpus.build import build_corpus
from chaku.corpus.reading.file_list import describe_changes, list_files, read_file_list
from chaku.corpus.reading.sources import Source
from chaku.ownership import MARKER

SETTINGS = {"heldout_fraction": 0.2}

# Build a corpus of the tree in argv[1] as argv[2]; argv[3] workers. Shards are full after 3 kB.
BUILD = """
    import sys
    from pathlib import Path
    from chaku.corpus import build, shard_assembly
    from chaku.corpus.reading.sources import Source
    shard_assembly.SHARD_BYTES, build.WAVE = 3000, 1
    {before}
    if __name__ == "__main__":
        source = Source("tree", "tree", sys.argv[1])
        build.build_corpus([source], Path(sys.argv[2]), heldout_fraction=0.2, num_workers=int(sys.argv[3]))
"""


def write_tree(root: Path, num_files: int = 300) -> Path:
    for number in range(num_files):
        path = root / f"package_{number % 7}" / f"module_{number}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"def add_{number}(first, second):\n    return first + second + {number}\n" * 2)
    return root


def program(tmp_path: Path, before: str = "") -> Path:
    path = tmp_path / "program.py"
    path.write_text(textwrap.dedent(BUILD).replace("{before}", textwrap.dedent(before)))
    return path


def contents(corpus: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in corpus.glob("*-*.parquet")}


def test_a_directory_of_somebody_else_is_refused_before_any_work(tmp_path):
    source = Source("tree", "tree", str(write_tree(tmp_path / "tree", 3)))
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.tex").write_text("years of work")
    with pytest.raises(ChakuError, match=r"precious holds files that chaku did not make.*Name a new or an empty"):
        build_corpus([source], precious)
    assert [path.name for path in precious.iterdir()] == ["thesis.tex"]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    (tmp_path / "file").write_text("")
    with pytest.raises(ChakuError, match="is a file"):
        build_corpus([source], tmp_path / "file")


def test_an_empty_directory_and_a_corpus_of_chakus_are_used(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    source = Source("tree", "tree", str(write_tree(tmp_path / "tree", 3)))
    build_corpus([source], out)
    assert (out / MARKER).exists()
    write_tree(tmp_path / "tree", 5)
    assert sum(row["documents"] for row in build_corpus([source], out)["kept"]) == 5


def test_a_build_that_fails_leaves_the_corpus_before(tmp_path):
    tree, out = write_tree(tmp_path / "tree", 3), tmp_path / "out"
    build_corpus([Source("tree", "tree", str(tree))], out)
    before = contents(out)
    with pytest.raises(ChakuError, match="no document is left"):
        build_corpus([Source("tree", "tree", str(tree), include=("*.c",))], out)
    assert contents(out) == before


@pytest.mark.parametrize("call", [1, 2])
def test_a_killed_build_goes_on_from_its_shards_and_ends_the_same(tmp_path, monkeypatch, call):
    tree = write_tree(tmp_path / "tree")
    monkeypatch.setattr(shard_assembly, "SHARD_BYTES", 3000)
    monkeypatch.setattr(build, "WAVE", 1)
    whole = build_corpus([Source("tree", "tree", str(tree))], tmp_path / "whole", **SETTINGS)
    killing = f"""
        import os
        original, calls = build.write_progress, []
        def counted(*arguments):
            original(*arguments)
            calls.append(1)
            if len(calls) == {call}:
                os.kill(os.getpid(), 9)
        build.write_progress = counted
    """
    out = tmp_path / "out"
    command = [sys.executable, str(program(tmp_path, killing)), str(tree), str(out), "1"]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert not out.exists()
    read = []
    original = worker_tasks.read_files
    monkeypatch.setattr(
        worker_tasks, "read_files", lambda piece, *rest: read.append(piece.paths) or original(piece, *rest)
    )
    summary = build_corpus([Source("tree", "tree", str(tree))], out, **SETTINGS)
    assert 0 < sum(map(len, read)) < 300  # files in shards that were whole are not read again
    assert contents(out) == contents(tmp_path / "whole")
    assert {**summary, "seconds": 0} == {**whole, "seconds": 0}
    assert read_file_list(out) == read_file_list(tmp_path / "whole")
    assert not (out / "reached.json").exists()


def test_any_number_of_workers_gives_the_same_files(tmp_path):
    """Caps, several shards and several waves included."""
    tree = write_tree(tmp_path / "tree")
    for workers in ("1", "3"):
        command = [sys.executable, str(program(tmp_path, CAPPED)), str(tree), str(tmp_path / workers), workers]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    assert len(contents(tmp_path / "1")) > 5
    assert contents(tmp_path / "3") == contents(tmp_path / "1")
    assert sorted(path.name for path in (tmp_path / "3").iterdir() if path.is_dir()) == []


CAPPED = """
    original = build.fill_corpus
    build.fill_corpus = lambda *sources, **settings: original(*sources, **{**settings, "max_bytes": {"code": 15000}})
"""


def test_a_killed_build_of_files_that_changed_begins_again(tmp_path, monkeypatch):
    tree, out = write_tree(tmp_path / "tree"), tmp_path / "out"
    killing = """
        import os
        original = build.write_progress
        build.write_progress = lambda *arguments: (original(*arguments), os.kill(os.getpid(), 9))
    """
    command = [sys.executable, str(program(tmp_path, killing)), str(tree), str(out), "1"]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    (tree / "package_0" / "module_0.py").write_text("def changed(first, second):\n    return second - first - 12345\n")
    build_corpus([Source("tree", "tree", str(tree))], out, **SETTINGS)
    build_corpus([Source("tree", "tree", str(tree))], tmp_path / "fresh", **SETTINGS)
    assert contents(out) == contents(tmp_path / "fresh")


def test_changed_files_are_told_from_touched_ones(tmp_path):
    tree = write_tree(tmp_path / "tree", 5)
    source = Source("tree", "tree", str(tree))
    build_corpus([source], tmp_path / "out", **SETTINGS)
    files = read_file_list(tmp_path / "out")
    assert files is not None
    assert describe_changes(files, [source]) == ""
    touched, edited = tree / "package_0" / "module_0.py", tree / "package_1" / "module_1.py"
    os.utime(touched, ns=(1, 1))
    assert describe_changes(files, [source]) == ""
    edited.write_text(edited.read_text().replace("1", "8"))  # as long as before
    (tree / "new.py").write_text("x = 1\n")
    (tree / "package_2" / "module_2.py").unlink()
    assert describe_changes(files, [source]) == (
        f"1 files edited ({edited}), 1 files added ({tree / 'new.py'}), "
        f"1 files gone ({tree / 'package_2' / 'module_2.py'})"
    )


def test_the_files_of_the_machine_itself_may_change():
    """Every package that is installed would make the demo's corpus again."""
    assert list_files([Source("this machine", "machine")]) == {}


def test_two_builds_into_one_directory_the_second_is_refused(tmp_path):
    tree, out = write_tree(tmp_path / "tree"), tmp_path / "out"
    waiting = """
        import time
        original = build.list_files
        def slow(sources):
            print("begun", flush=True)
            time.sleep(60)
        build.list_files = slow
    """
    command = [sys.executable, str(program(tmp_path, waiting)), str(tree), str(out), "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "begun\n"
        with pytest.raises(ChakuError, match="another chaku process writes"):
            build_corpus([Source("tree", "tree", str(tree))], out, **SETTINGS)
        first.kill()
    build_corpus([Source("tree", "tree", str(tree))], out, **SETTINGS)
    assert (out / "summary.json").exists()


def workers_of(parent: int) -> list[int]:
    listed = subprocess.run(["ps", "-ww", "-o", "pid=,args=", "--ppid", str(parent)], capture_output=True, text=True)
    return [int(line.split()[0]) for line in listed.stdout.splitlines() if "spawn_main" in line]


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().split(")")[1].split()[0] != "Z"
    except OSError:
        return False


SLOW = """
    import time
    original = build.clean_piece
    def slow(task):
        time.sleep(0.05 * len(task.piece.paths))
        return original(task)
    build.clean_piece = slow
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_workers_end_with_a_killed_build(tmp_path, number):
    tree = write_tree(tmp_path / "tree")
    command = [sys.executable, str(program(tmp_path, SLOW)), str(tree), str(tmp_path / "out"), "2"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        workers = wait_for(lambda: workers_of(process.pid), 1)
        process.send_signal(number)
        process.wait()
        ended = time.monotonic()
        while any(is_running(worker) for worker in workers):
            assert time.monotonic() < ended + 15
            time.sleep(0.1)


def test_a_killed_worker_is_said_in_one_line(tmp_path):
    tree = write_tree(tmp_path / "tree")
    command = [sys.executable, str(program(tmp_path, SLOW)), str(tree), str(tmp_path / "out"), "2"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        os.kill(wait_for(lambda: workers_of(process.pid), 1)[0], signal.SIGKILL)
        said = process.communicate()[1].strip().splitlines()[-1]
    assert "ChakuError: one of 2 worker processes was killed, usually because the memory was full" in said


def wait_for(look, count: int) -> list[int]:
    began = time.monotonic()
    while len(found := look()) < count:
        assert time.monotonic() < began + 60
        time.sleep(0.1)
    return found
