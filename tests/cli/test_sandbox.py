"""`chaku sandbox run`: exit status, JSON, limits, mistakes."""

import json

import pytest

from chaku.cli import main
from chaku.sandbox.probe import check_sandbox

pytestmark = pytest.mark.skipif(check_sandbox() is not None, reason=f"programs are NOT run: {check_sandbox()}")


def run(tmp_path, source, *options, name="program.py"):
    file = tmp_path / name
    file.write_text(source)
    return main(["sandbox", "run", str(file), *options])


def test_a_program_that_passes_exits_with_0_and_shows_its_output(tmp_path, capsys):
    (tmp_path / "input").write_bytes(b"3\r\n")
    source = "import sys\nprint(repr(sys.stdin.buffer.read()))\nprint('words', file=sys.stderr)"
    assert run(tmp_path, source, "--stdin", str(tmp_path / "input")) == 0
    shown = capsys.readouterr()
    assert shown.out == "b'3\\r\\n'\n"
    assert shown.err.startswith("words\nchaku: passed (")


def test_a_program_that_fails_exits_with_1_and_says_why(tmp_path, capsys):
    assert run(tmp_path, "assert 1 == 2, 'sums'") == 1
    assert "chaku: failed: AssertionError: sums (" in capsys.readouterr().err


def test_json_holds_the_verdict_and_its_measures(tmp_path, capsys):
    assert run(tmp_path, "print('x' * 100_000)\nraise SystemExit(3)", "--json") == 1
    told = json.loads(capsys.readouterr().out)
    assert told["verdict"] == "failed"
    assert told["passed"] is False
    assert told["reason"] == "left before its end (exit status 3)"
    assert told["exit_status"] == 3
    assert told["stdout"] == "x" * 65536
    assert (told["stdout_cut"], told["stderr_cut"], told["isolated"]) == (True, False, True)
    assert 0 < told["cpu_seconds"] <= told["wall_seconds"] + 0.1
    assert told["peak_memory_mb"] > 1


def test_what_is_cut_is_marked(tmp_path, capsys):
    assert run(tmp_path, "print('x' * 100_000)") == 0
    assert capsys.readouterr().out.endswith("x\n[cut here: there was more]\n")


def test_limits_are_the_users(tmp_path, capsys):
    assert run(tmp_path, "while True:\n    pass", "--timeout", "0.3", "--json") == 1
    assert json.loads(capsys.readouterr().out)["verdict"] == "timed_out"
    assert run(tmp_path, "x = bytearray(300_000_000)", "--memory", "200", "--json") == 1
    assert json.loads(capsys.readouterr().out)["verdict"] == "out_of_memory"
    for option, value in (("--timeout", "0"), ("--memory", "-1"), ("--timeout", "nan")):
        with pytest.raises(SystemExit) as error:
            run(tmp_path, "", option, value)
        assert error.value.code == 2


def test_the_language_is_the_files_or_the_users(tmp_path, capsys):
    assert run(tmp_path, "echo $((1 + 1))", name="a.sh") == 0
    assert run(tmp_path, "echo $((1 + 1))", "--language", "bash", name="a") == 0
    assert capsys.readouterr().out == "2\n2\n"
    assert run(tmp_path, "", name="a") == 2
    assert "give --language: python, cpp" in capsys.readouterr().err
    assert run(tmp_path, "", "--language", "cobol") == 2
    assert "no runner for 'cobol'" in capsys.readouterr().err


def test_a_file_that_cannot_be_read_is_the_users_mistake(tmp_path, capsys):
    assert main(["sandbox", "run", str(tmp_path / "nothing.py")]) == 2
    assert "cannot read" in capsys.readouterr().err
    (tmp_path / "binary.py").write_bytes(b"\xff\xfe")
    assert main(["sandbox", "run", str(tmp_path / "binary.py")]) == 2
    assert "cannot read" in capsys.readouterr().err


def test_without_the_sandbox_only_when_asked_for(tmp_path, capsys):
    source = f"assert open({str(tmp_path / 'seen')!r}).read() == 'seen'"
    (tmp_path / "seen").write_text("seen")
    assert run(tmp_path, source, "--json") == 1
    assert run(tmp_path, source, "--unsafe-no-sandbox", "--json") == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first["isolated"], second["isolated"]) == (True, False)


UNITTEST = """
import unittest
class Two(unittest.TestCase):
    def test_two(self):
        self.assertEqual(1 + 1, {})
unittest.main()
"""


@pytest.mark.parametrize(
    ("program", "status"),
    [
        ("import sys\nprint('done')\nsys.exit(0)\n", 0),
        ("import sys\nsys.exit(3)\n", 1),
        (UNITTEST.format(2), 0),
        (UNITTEST.format(3), 1),
        ("import os\nos._exit(0)\n", 1),  # which ends without what Python does at an end
    ],
)
def test_a_program_of_ones_own_may_end_in_an_exit(tmp_path, program, status):
    (tmp_path / "program.py").write_text(program)
    assert main(["sandbox", "run", str(tmp_path / "program.py")]) == status
