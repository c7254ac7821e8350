"""How the words of a command line are understood: options anywhere, several values, and mistakes in one line."""

import json
import os
import subprocess
import sys

import click
import pytest

from chaku.cli import main
from chaku.cli.shared.mistakes import in_one_line
from command_lines import parse


def params(line):
    return parse(line.split()).params


def test_options_stand_before_or_after_arguments():
    for line in ("m p --temperature 1", "m --temperature 1 p", "--temperature 1 m p", "m --temperature=1 p"):
        found = params(f"complete {line}")
        assert (found["model"], found["prompt"], found["temperature"]) == ("m", "p", 1.0)


@pytest.mark.parametrize(
    "line",
    [
        "eval run M --benchmark humaneval mbpp --k 1 10",
        "eval run --benchmark humaneval mbpp --k 1 10 M",
        "eval run --k 1 10 --benchmark humaneval mbpp M",
        "eval run --k 1 10 M --benchmark humaneval mbpp",
        "eval run --benchmark humaneval --k 1 --benchmark mbpp --k 10 M",
        "eval run --benchmark=humaneval --k=1 --benchmark mbpp --k 10 -- M",
    ],
)
def test_several_values_after_one_option_or_the_option_several_times(line):
    found = params(line)
    assert (found["model"], found["benchmark"], found["k"]) == ("M", ("humaneval", "mbpp"), (1, 10))


@pytest.mark.parametrize(
    "line", ["eval run M --benchmark mbpp --exclude A B", "eval run --exclude A B --benchmark mbpp -- M"]
)
def test_values_of_any_kind_go_on_to_the_next_option(line):
    found = params(line)
    assert (found["model"], found["exclude"], found["benchmark"]) == ("M", ("A", "B"), ("mbpp",))


def test_a_directory_that_is_called_as_a_benchmark_is_written_with_its_path():
    assert params("eval run --benchmark mbpp ./humaneval")["model"] == "./humaneval"
    assert params("eval run humaneval --benchmark mbpp")["model"] == "humaneval"


def test_other_options_with_several_values():
    assert [str(path) for path in params("infill m f.py --context a.py b.py")["context"]] == ["a.py", "b.py"]
    assert [str(path) for path in params("report r --beside a b --open")["beside"]] == ["a", "b"]
    assert params("instruct export --against mbpp humaneval l --out o")["against"] == ("mbpp", "humaneval")
    prepare = "sql prepare --databases d --out o --schema-noise"
    assert params(f"{prepare} data")["schema_noise"] == 0
    assert params(f"{prepare} 7 data")["schema_noise"] == 7
    assert params("sql prepare data --databases d --out o")["schema_noise"] is None


def test_a_text_that_begins_with_a_hyphen_stands_after_two():
    assert parse(["complete", "m", "--seed", "1", "--", "-x = 1"]).params["prompt"] == "-x = 1"
    assert parse(["infill", "m", "--prefix", "-x", "--suffix=--json"]).params["suffix"] == "--json"
    assert params("complete m -")["prompt"] == "-"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["complete", "m", "--temprature", "0"], "no such option --temprature; did you mean --temperature?"),
        (["complete", "m", "-x = 1"], "as in chaku complete ... -- '-x = 1'"),
        (["complete", "m", "-quick sort"], "no such option '-quick sort'; a text that begins with a hyphen stands"),
        (["complete", "m", "-x = 1\ny = 2"], "-- '-x = 1...' ("),
        (["complte", "m"], "no such command complte; did you mean complete"),
        (["eval", "rnu"], "no such command rnu; did you mean run?"),
        (["eval", "xyz"], "no such command xyz; there are list, run, score, compare"),
        (["eval"], "name a command: list, run, score, compare"),
        ([], "name a command: run, "),
        (["--quiet", "models"], "a command's options stand after its name, as in chaku COMMAND --quiet"),
        (["complete"], "MODEL is missing"),
        (["corpus", "build", "a"], "--out is missing"),
        (["complete", "m", "--stop", "--json"], "--stop needs a value; a value that begins with a hyphen is written"),
        (["complete", "m", "--seed"], "--seed needs a value"),
        (["complete", "m", "--seed", "x"], "--seed: 'x' is not a valid integer"),
        (["complete", "m", "p", "q"], "unexpected argument q; a text with spaces stands in quotation marks"),
        (["eval", "run", "m", "--k", "1,10"], "--k 1,10: write the values one after another, as in --k 1 10"),
        (["eval", "run", "m", "--benchmark", "mbpp,humaneval"], "as in --benchmark mbpp humaneval"),
        (["complete", "m", "--json=1"], "Option '--json' does not take a value"),
        (["infill", "m", "--mode", "x"], "--mode: 'x' is not one of 'psm', 'spm'"),
        (["eval", "run", "--benchmark", "mbpp", "humanevl", "m"], "did you mean humaneval"),
        (["eval", "run", "--benchmark", "mbpp", "--exclude", "A", "m"], "--exclude took m; write MODEL before"),
        (["models", "--quiet", "--verbose"], "give --quiet or --verbose, not both"),
        (["sql", "ask", "--db", "d", "q"], "give --model or --endpoint"),
        (["sql", "ask", "--db", "d", "--model", "m", "--endpoint", "u", "q"], "give --model or --endpoint"),
        (["sql", "ask", "--db", "d", "--model", "m", "q", "--json", "--csv"], "give --json or --csv"),
        (["sql", "ask", "--db", "d", "--model", "m", "q", "--timeout", "0"], "--timeout: 0.0 is not above 0"),
    ],
)
def test_mistakes_are_one_line_and_status_2(capsys, words, message):
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("chaku: ")
    assert message in shown.err
    assert shown.err.count("\n") == 1
    assert " --help` says more)" in shown.err


def test_help_is_shown_whatever_else_is_wrong(capsys):
    for words in (["complete", "--nonsense", "--help"], ["complete", "m", "--seed", "x", "-h"], ["complete", "-h"]):
        assert main(words) == 0
        assert capsys.readouterr().out.startswith("Usage: chaku complete [OPTIONS] MODEL [PROMPT]")
    assert parse(["complete", "m", "--", "--help"]).params["prompt"] == "--help"


def test_a_mistake_without_a_context_is_said_all_the_same():
    assert in_one_line(click.UsageError("Something is wrong.")) == "Something is wrong"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell(capsys, shell):
    assert main(["completion", shell]) == 0
    assert f"_CHAKU_COMPLETE={shell}_complete" in capsys.readouterr().out


def completed(line, incomplete):
    words = ["chaku", *line.split()]
    environment = {**os.environ, "_CHAKU_COMPLETE": "bash_complete", "COMP_WORDS": " ".join([*words, incomplete])}
    environment["COMP_CWORD"] = str(len(words))
    command = [sys.executable, "-m", "chaku"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return [row.partition(",")[2] for row in ended.stdout.splitlines()]


def test_a_shell_completes_commands_options_and_names():
    assert completed("", "comp") == ["complete", "completion"]
    assert completed("eval", "") == ["list", "run", "score", "compare"]
    assert completed("complete m", "--temp") == ["--temperature"]
    assert completed("complete", "smollm2")[0] == "smollm2-135m-instruct"
    assert completed("eval run m --benchmark", "cruxeval")[:2] == ["cruxeval-o", "cruxeval-o-cot"]
    assert completed("completion", "z") == ["zsh"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("complete M text", "chaku: stopped"),
        ("eval run M --benchmark humaneval", "chaku: stopped"),
        ("eval run M --benchmark humaneval --out results", "chaku: stopped; what is finished is kept"),
        ("run recipe.toml", "chaku: stopped; what is finished is kept"),
    ],
)
def test_a_stopped_command_says_that_something_is_kept_only_where_something_is(line, said, monkeypatch, capsys):
    def stop(**_):
        raise KeyboardInterrupt

    monkeypatch.setattr(parse(line.split()).command, "callback", stop)
    assert main(line.split()) == 130
    assert capsys.readouterr().err.splitlines() == [said]


def test_the_counts_of_the_shop_are_for_people_or_for_programs(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("chaku.synthetic.shop.write_shop", lambda *_, **__: {"train": 40, "dev_unseen_structure": 3})
    assert main(["sql", "shop", str(tmp_path / "one")]) == 0
    assert capsys.readouterr().out.split("\n") == ["train                   40", "dev unseen structure    3", ""]
    assert main(["sql", "shop", str(tmp_path / "two"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"train": 40, "dev_unseen_structure": 3}
