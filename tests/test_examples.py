"""The scripts of examples/: their recipes are valid, and the quick script runs."""

import importlib.util
import sys
from pathlib import Path

import pytest

from chaku.evals.benchmarks.first_steps import FIRST_STEPS
from chaku.recipe.load import load_recipe

EXAMPLES = Path(__file__).parent.parent / "examples"


def script(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def asked(monkeypatch):
    """The recipes that a script runs; each run ends the script."""
    import chaku

    found = []

    def run(recipe, out):
        found.append(load_recipe(recipe))
        raise SystemExit

    monkeypatch.setattr(chaku, "run", run)
    return found


@pytest.mark.parametrize("model", ["mini", "checkpoints/own"])
def test_the_stages_of_rope_base_differ_in_one_setting(model, asked, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "argv", ["rope_base.py", model, "text", "--out", str(tmp_path / "out")])
    with pytest.raises(SystemExit):
        script("rope_base").main()
    [recipe] = asked
    stages = {name: recipe.stages[name] for name in ("unchanged", "base-1e6", "interpolated")}
    assert [stage.rope_theta for stage in stages.values()] == [None, 1e6, None]
    assert [stage.rope_scaling_factor for stage in stages.values()] == [None, None, 4.0]
    assert len({(stage.parent, stage.training, stage.sequence_length) for stage in stages.values()}) == 1
    assert stages["unchanged"].parent == ("base" if model == "mini" else None)


def test_the_stages_of_infilling_cost_differ_in_infilling(asked, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "argv", ["infilling_cost.py", "code", "--out", str(tmp_path / "out")])
    with pytest.raises(SystemExit):
        script("infilling_cost").main()
    infilled, plain = asked[0].stages.values()
    assert infilled.infilling.rate == 0.9
    assert plain.infilling is None
    assert (infilled.training, infilled.seed, infilled.mixture) == (plain.training, plain.seed, plain.mixture)


def test_the_public_test_is_the_first_assert_of_each_problem():
    public_test = script("best_of_n").public_test
    for task in FIRST_STEPS.load(None):
        cut = public_test(task.data["test"])
        assert task.data["test"].startswith(cut)
        assert cut.count("    assert ") == 1
        compile(cut, task.task_id, "exec")


def test_the_new_dialect_runs_what_it_may_and_refuses_the_rest(capsys, monkeypatch):
    from chaku.sql.engines.known import ENGINES

    monkeypatch.setattr(sys, "argv", ["new_dialect.py"])
    try:
        script("new_dialect").main()
    finally:
        ENGINES.pop("athena", None)
    shown = capsys.readouterr().out
    assert "rows:    [(25,)]" in shown
    assert "nearest is name" in shown
    assert shown.count("refuses it") == 3
    assert "function table is not on the list" in shown


def test_every_script_explains_itself():
    scripts = sorted(EXAMPLES.glob("*.py"))
    assert len(scripts) == 4
    for path in scripts:
        assert f"python examples/{path.name}" in path.read_text(encoding="utf-8").split('"""')[1]
