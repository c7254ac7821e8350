"""CONTRIBUTING.md: what it names exists, and its recipes work when they are followed with their own code."""

import ast
import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any, get_args

import pytest

import tiny_models
from chaku.checkpoint import config_json, gguf_names
from chaku.cli import main
from chaku.errors import ChakuError
from chaku.evals import suite
from chaku.model.config import LlamaConfig
from chaku.sandbox.languages import runners, toolchains
from chaku.sandbox.probe import NoSandbox, how_to_isolate
from chaku.sandbox.verdict import Job
from chaku.sandbox.worker import Worker

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
RECIPES = dict(part.split("\n", 1) for part in TEXT.split("\n## ")[1:])
PATH = r"[\w.-]+(?:/[\w.-]+)*/?"
NAMED_PATHS = sorted(set(re.findall(rf"`({PATH})`", TEXT)) | set(re.findall(rf"\]\(({PATH})\)", TEXT)))
NAMES = re.findall(rf"`(\w+)` (?:[\w', ]+ )?in `({PATH}\.py)`", " ".join(TEXT.split()))


def code(recipe: str) -> dict[str, Any]:
    """The names that the Python block of a recipe defines."""
    [block] = re.findall(r"```python\n(.*?)```", RECIPES[recipe], re.DOTALL)
    names: dict[str, Any] = {}
    exec(re.sub(r"^   ", "", block, flags=re.MULTILINE), names)
    return names


def defined(file: Path) -> set[str]:
    """The names that a file assigns or defines, fields of classes included."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    return found


@pytest.mark.parametrize(
    "name", [name for name in NAMED_PATHS if "/" in name or name.endswith((".md", ".toml", ".cff"))]
)
def test_every_file_and_folder_that_is_named_exists(name):
    if not name.startswith("dist/"):  # which a release makes
        assert (ROOT / name).exists()


@pytest.mark.parametrize(("name", "file"), sorted(set(NAMES)))
def test_every_name_stands_in_the_file_that_is_named_with_it(name, file):
    assert name in defined(ROOT / file)


def test_many_files_and_names_are_checked():
    assert len(NAMED_PATHS) > 40
    assert len(set(NAMES)) >= 18


def test_the_commands_of_run_one_test_name_tests():
    commands = [
        shlex.split(line, comments=True) for line in re.findall(r"^.*pytest .*$", RECIPES["Run one test"], re.M)
    ]
    assert len(commands) == 5
    for words in commands:
        path = ROOT / next(word for word in words if word.startswith("tests"))
        tests = [path] if path.is_file() else list(path.glob("test_*.py"))
        assert tests
        if "-k" in words:
            assert any(words[words.index("-k") + 1] in name for name in defined(path))


def test_the_make_targets_exist():
    targets = set(re.findall(r"^(\w[\w-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    assert {"test", "lint"} == set(re.findall(r"^make (\w+)", TEXT, re.M)) <= targets


def test_a_benchmark(monkeypatch, tmp_path, capsys):
    benchmark = code("Add a benchmark")["DOUBLES"]
    monkeypatch.setattr(suite, "FAMILIES", (*suite.FAMILIES, ("Doubles", (benchmark,))))
    monkeypatch.setitem(suite.BENCHMARKS, benchmark.name, benchmark)
    problem = {
        "task_id": "doubles/0",
        "prompt": "def double(x):\n",
        "canonical_solution": "    return 2 * x\n",
        "test": "def check(candidate):\n    assert candidate(2) == 4\n    assert candidate(5) == 10\n",
        "entry_point": "double",
    }
    file = tmp_path / "doubles" / "doubles.jsonl"
    file.parent.mkdir()
    file.write_text(json.dumps(problem))
    samples = tmp_path / "samples.jsonl"
    bodies = ("    return x + x\n", "    return x * x\n")
    samples.write_text("".join(json.dumps({"task_id": "doubles/0", "completion": body}) + "\n" for body in bodies))
    monkeypatch.delenv("CHAKU_BENCHMARKS", raising=False)
    with pytest.raises(ChakuError, match=r"doubles\.jsonl of the set's authors"):
        benchmark.load(None)
    _isolation()
    monkeypatch.setenv("CHAKU_BENCHMARKS", str(tmp_path))
    assert main(["eval", "score", "--benchmark", "doubles", "--samples", str(samples), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["pass_at_k"] == {"1": 0.5}


def test_a_language(monkeypatch, tmp_path):
    names = code("Add a language")
    monkeypatch.setitem(toolchains.LANGUAGES, "awk", names["LANGUAGE"])
    monkeypatch.setitem(runners._PLANS, "awk", names["awk"])
    assert toolchains.language_of(tmp_path / "program.awk") == "awk"
    if problem := toolchains.why_not("awk"):
        pytest.skip(f"AWK is NOT run: {problem}")
    with pytest.raises(ChakuError, match="no tests in AWK"):
        runners.plan(Job("{ print }", "awk", ("a test",)))
    with Worker(_isolation()) as worker:
        verdict = worker.run(Job("{ print 2 * $1 }", "awk", stdin="21\n"), timeout=20.0)
    assert (verdict.status, verdict.stdout) == ("passed", "42\n"), verdict


def test_every_language_has_the_parts_of_the_recipe():
    from sandbox.test_languages import CANDIDATES, PROGRAMS

    languages = toolchains.LANGUAGES.keys() - {"python"}
    assert runners._PLANS.keys() == PROGRAMS.keys() == CANDIDATES.keys() == languages
    assert len(languages) + 1 == 16
    assert "sixteen languages" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_a_family(monkeypatch, tmp_path):
    names = code("Add a family of models")
    fields = {"model_type": "newllama", "vocab_size": 64, "hidden_size": 32, "intermediate_size": 64}
    fields |= {"num_hidden_layers": 1, "num_attention_heads": 8}
    with pytest.raises(ChakuError, match="architecture 'newllama'"):
        config_json.config_from_json(fields, tmp_path)
    for name in ("ARCHITECTURES", "_DEFAULTS"):
        monkeypatch.setattr(config_json, name, getattr(config_json, name) | names[name])
    config = config_json.config_from_json(fields, tmp_path)
    assert (config.num_key_value_heads, config.max_position_embeddings) == (4, 8192)
    written = config_json.config_to_json(config)
    assert written["architectures"] == ["NewLlamaForCausalLM"]
    assert config_json.config_from_json(written, tmp_path) == config


def test_every_family_has_the_parts_of_the_recipe():
    families = set(config_json.ARCHITECTURES)
    assert families == config_json._DEFAULTS.keys() == gguf_names.ARCHITECTURES.keys()
    assert families == set(get_args(LlamaConfig.__annotations__["model_type"]))
    assert {f"{prefix}ForCausalLM" for prefix, *_ in tiny_models.FAMILIES.values()} == {
        *config_json.ARCHITECTURES.values()
    }


def test_an_engine(monkeypatch):
    pytest.importorskip("sqlglot", reason="needs the sql extra")
    from chaku.sql.engines.known import ENGINES
    from chaku.sql.execute import database
    from chaku.sql.execute.check import check
    from chaku.sql.execute.read_only import Refused, check_read_only
    from chaku.sql.schema.definition import Column, Schema, Table

    engine = code("Add a database engine")["ATHENA"]
    with pytest.raises(ChakuError, match="cannot open athena://"):
        database.parse_url("athena://reader@place/shop")
    monkeypatch.setitem(ENGINES, engine.dialect, engine)
    assert database.parse_url("athena://reader@place/shop") == ("athena", "awsathena+rest://reader@place/shop")
    schema = Schema("shop", (Table("orders", (Column("id", "INTEGER"),)),), "athena")
    assert check("SELECT count(*) FROM orders", schema) == []
    assert check("SELECT id FROM secret", schema) != []
    for danger in ("DROP TABLE orders", "SELECT harmless(id) FROM orders"):
        with pytest.raises(Refused):
            check_read_only(danger, "athena")


def test_no_protection_names_the_dialect_that_the_recipe_copies():
    named = [path for path in (ROOT / "src/chaku/sql").rglob("*.py") if '"trino"' in path.read_text(encoding="utf-8")]
    assert {path.name for path in named} == {"engine.py", "trino.py"}
    other = ROOT / "src/chaku/sql/execute/to_text.py"  # the same search finds what is special to PostgreSQL
    assert '"postgres"' in other.read_text(encoding="utf-8")


def test_every_engine_has_the_parts_of_the_recipe():
    from chaku.sql.engines.engine import Dialect
    from chaku.sql.engines.known import ENGINES

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    rows = (ROOT / "docs" / "asking.md").read_text(encoding="utf-8").split("## Engines")[1].split("\n\n")[1]
    assert set(ENGINES) == set(get_args(Dialect))
    for engine in ENGINES.values():
        assert f"| {engine.title}" in rows or f"| Amazon {engine.title}" in rows, engine.title
        if engine.modules:
            assert engine.extra in extras


def test_every_recipe_is_followed():
    followed = {"Add a benchmark", "Add a language", "Add a family of models", "Add a database engine"}
    assert {name for name in RECIPES if name.startswith("Add ")} == followed
    assert {name for name in RECIPES if "```python" in RECIPES[name]} == followed


def _isolation() -> Any:
    """How programs are isolated here. Skips where they cannot be."""
    try:
        return how_to_isolate()
    except NoSandbox as problem:
        pytest.skip(f"the recipe's programs are NOT run: {problem}")
