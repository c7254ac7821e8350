"""The code of the documentation: what is quick runs; the rest is parsed by what would read it.

tests/cli/test_help.py parses every line that begins with `chaku`.
"""

import ast
import inspect
import json
import re
import shlex
import shutil
import subprocess
import tomllib
from itertools import pairwise

import pytest
import yaml

import chaku
from chaku.cli import main
from chaku.recipe.load import load_recipe
from chaku.sandbox.probe import NoSandbox
from chaku.synthetic.shop import write_database
from command_lines import split_lines
from documentation.blocks import BLOCKS, PAGES, ROOT, Block

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
SHELL = [block for block in BLOCKS if block.language in ("sh", "bash")]


def of(*languages: str) -> list[Block]:
    return [block for block in BLOCKS if block.language in languages]


def test_every_language_of_a_block_is_known():
    known = {"", "sh", "bash", "text", "toml", "python", "json", "yaml", "ini", "vim", "lua", "dockerfile", "console"}
    assert {block.language for block in BLOCKS} <= known
    assert len(SHELL) > 60


@pytest.mark.parametrize("block", of("toml"), ids=lambda block: block.page)
def test_a_recipe_is_valid_and_every_toml_parses(block, tmp_path):
    content = tomllib.loads(block.text)
    if {"name", "model", "stages"} <= content.keys():
        (tmp_path / "recipe.toml").write_text(block.text, encoding="utf-8")
        assert load_recipe(tmp_path / "recipe.toml").name == content["name"]


def test_there_are_whole_recipes():
    whole = [block for block in of("toml") if {"name", "model", "stages"} <= tomllib.loads(block.text).keys()]
    assert len(whole) >= 2


@pytest.mark.parametrize("block", of("json"), ids=lambda block: block.page)
def test_json_parses(block):
    json.loads(block.text)


@pytest.mark.parametrize("block", of("yaml"), ids=lambda block: block.page)
def test_yaml_parses(block):
    assert yaml.safe_load(block.text)


def calls(text: str) -> list[ast.Call]:
    """The calls of chaku's public functions."""
    found = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    return [
        call
        for call in found
        if isinstance(call.func, ast.Attribute)
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id == "chaku"
    ]


@pytest.mark.parametrize("block", of("python"), ids=lambda block: block.page)
def test_python_compiles_and_calls_what_exists(block):
    compile(block.text, block.page, "exec")
    for call in calls(block.text):
        function = getattr(chaku, call.func.attr)
        names = {keyword.arg: None for keyword in call.keywords}
        inspect.signature(function).bind(*[None] * len(call.args), **names)


def test_a_call_that_would_fail_is_noticed():
    [call] = calls("chaku.load('x', speed=3)")
    with pytest.raises(TypeError):
        inspect.signature(chaku.load).bind(None, **{keyword.arg: None for keyword in call.keywords})


def test_the_shell_reads_every_block():
    if shutil.which("bash") is None:
        pytest.skip("NOT TESTED: no bash here")
    for block in SHELL:
        text = block.text.replace("<this repository>", "URL").replace("<本仓库地址>", "URL")
        done = subprocess.run(("bash", "-n"), input=text, capture_output=True, text=True)
        assert done.returncode == 0, (block, done.stderr)


def test_targets_extras_and_files_of_commands_exist():
    targets = set(re.findall(r"^(\w[\w-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    text = "\n".join(block.text for block in SHELL)
    assert {"demo", "install"} <= set(re.findall(r"^make (\w[\w-]*)", text, re.MULTILINE)) <= targets
    extras = {name for names in re.findall(r"chaku\[([\w,-]+)\]", text) for name in names.split(",")}
    assert {"serve", "sql"} <= extras <= PROJECT["optional-dependencies"].keys()
    files = re.findall(r"(?<![\w/])((?:recipes|benchmarks|examples)/[\w./-]+\.\w+)", text)
    assert len(files) > 5
    assert [file for file in files if not (ROOT / file).exists()] == []


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.runs], ids=lambda block: block.page)
def test_what_is_quick_runs(block, tmp_path, monkeypatch):
    """In a folder with the shop that `chaku sql shop shop` writes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "shop" / "shop").mkdir(parents=True)
    write_database(tmp_path / "shop" / "shop" / "shop.sqlite")
    if block.language == "python":
        try:
            exec(compile(block.text, block.page, "exec"), {})
        except NoSandbox as problem:
            pytest.skip(f"the block is NOT run: {problem}")
        return
    for words in split_lines(block.text):
        assert main(words[1:]) == 0, shlex.join(words)


def test_several_blocks_run():
    assert len({block.page for block in BLOCKS if block.runs}) >= 3


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_list_begins_after_an_empty_line(page):
    """GitHub shows a list that follows a line of text; the site's Markdown makes it part of the paragraph."""
    text = re.sub(r"^( *)```.*?^\1```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    lines = text.splitlines()
    for before, line in pairwise(lines):
        if re.match(r"(- |\d+\. )", line) and before and not re.match(r"(- |\d+\. |  |#)", before):
            raise AssertionError(line)
