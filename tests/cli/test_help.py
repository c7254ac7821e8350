"""The help of every command: a sentence, an example that parses, and a text for every argument and option."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from chaku.cli import main
from chaku.cli.groups import root
from chaku.cli.shared.verb import Verb
from chaku.cli.tree import TREE
from command_lines import commands, lines_of, parse

ROOT = Path(__file__).parent.parent.parent
MARKDOWN = [*sorted(ROOT.glob("README*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
DOCUMENTS = [*MARKDOWN, *sorted((ROOT / "recipes").glob("*.toml"))]
EVERY = dict(commands())
VERBS = {name: command for name, command in EVERY.items() if isinstance(command, Verb)}


@pytest.mark.parametrize("name", VERBS)
def test_every_argument_and_option_has_a_help(name):
    command = VERBS[name]
    for param in command.params:
        assert isinstance(param, click.Argument | click.Option)
        assert re.fullmatch(r"[A-Z].*\.", param.help or "", re.DOTALL), f"{name}: {param.name} has no help"
        assert isinstance(param, click.Argument) or "default" not in param.help, f"{name}: {param.name} says it twice"


@pytest.mark.parametrize("name", VERBS)
def test_a_default_is_shown(name, capsys):
    assert main([*name.split()[1:], "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    for option in VERBS[name].params:
        if isinstance(option, click.Option) and isinstance(option.default, int | float | str) and not option.is_flag:
            default = re.escape(str(option.default))
            assert re.search(rf"\[default: {default}[];]", shown), option.name  # a range follows the semicolon


@pytest.mark.parametrize("name", VERBS)
def test_the_help_is_a_sentence_and_an_example_that_parses(name):
    command = VERBS[name]
    assert re.fullmatch(r"[A-Z][^\n]*\.", command.help), command.help
    example = command.example.removeprefix('eval "$(').removesuffix(')"')
    assert example.startswith(name)
    assert parse(shlex.split(example)[1:]).command is command
    assert f"Example:\n  {command.example}" in command.get_help(click.Context(command, info_name=name))


def test_the_help_of_chaku_groups_its_commands(capsys):
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert [heading.capitalize() + ":" in shown for heading in TREE] == [True] * 5
    for section in TREE.values():
        for name in section:
            assert len(re.findall(rf"^  {name}  +\S.*$", shown, re.MULTILINE)) == 1
    assert main(["eval", "--help"]) == 0
    assert "  compare  two results side by side" in capsys.readouterr().out


def test_the_help_of_chaku_imports_no_command(capsys):
    program = """if True:
        import sys
        from chaku.cli import main
        assert main(["--help"]) == 0
        heavy = {"rich", "numpy", "torch", "chaku.api"} & sys.modules.keys()
        ours = {name for name in sys.modules if name.startswith("chaku.")}
        assert not heavy, heavy
        assert ours == {"chaku.errors", "chaku.cli", "chaku.cli.entry", "chaku.cli.groups", "chaku.cli.tree"}, ours
    """
    subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.DEVNULL)


def test_the_help_of_a_command_imports_nothing_heavy():
    program = """if True:
        import sys
        from chaku.cli.groups import root
        from command_lines import commands
        for name, command in commands():
            pass
        heavy = {"rich", "numpy", "torch", "pyarrow", "sqlglot"} & sys.modules.keys()
        assert not heavy, heavy
    """
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parent.parent)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_line_of_the_documents_parses(document):
    for words in lines_of(document):
        parse(words)


def test_the_documents_have_command_lines():
    assert sum(len(lines_of(document)) for document in DOCUMENTS) > 60


def test_the_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"chaku {__import__('chaku').__version__}\n"
    assert root().name == "chaku"
