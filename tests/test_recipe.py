"""Recipes: the shipped ones hold the paper's numbers; every mistake has its message."""

import dataclasses
from pathlib import Path

import pytest

from chaku import ChakuError
from chaku.model.config import PRESETS
from chaku.recipe.family import stage_order, stage_shape
from chaku.recipe.load import load_recipe
from chaku.training.schedule import learning_rate, num_steps

RECIPES = Path(__file__).parent.parent / "recipes"
CODE = {"code": 0.85, "code_prose": 0.08, "prose": 0.07}
PYTHON = {"python": 0.75, "code": 0.10, "code_prose": 0.10, "prose": 0.05}


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_every_recipe_loads(path):
    recipe = load_recipe(path)
    assert recipe.name == path.stem
    order = stage_order(recipe)
    assert all(
        stage.parent is None or order.index(stage.parent) < order.index(name) for name, stage in recipe.stages.items()
    )


@pytest.mark.parametrize(
    ("size", "peak", "infilling", "long_batch", "long_steps"),
    [("7b", 3e-4, True, 2**21, 3_000), ("13b", 3e-4, True, 2**21, 10_000), ("34b", 1.5e-4, False, 2**20, 11_000)],
)
def test_paper_numbers(size, peak, infilling, long_batch, long_steps):
    recipe = load_recipe(RECIPES / f"codellama-{size}.toml")
    code, python = recipe.stages["code"], recipe.stages["python"]
    assert code.mixture == CODE
    assert python.mixture == PYTHON
    assert python.parent == "code"
    assert (code.training.tokens, python.training.tokens) == (500_000_000_000, 100_000_000_000)
    assert (code.sequence_length, code.training.batch_tokens) == (4096, 4 * 2**20)
    assert num_steps(code.training, 4096) == 119_210
    assert num_steps(python.training, 4096) == 23_842
    assert (code.infilling is not None, python.infilling) == (infilling, None)
    if code.infilling:
        assert (code.infilling.rate, code.infilling.spm_rate) == (0.9, 0.5)
    assert learning_rate(1000, 119_210, code.training) == pytest.approx(peak)
    assert learning_rate(119_209, 119_210, code.training) == pytest.approx(peak / 30)
    assert python.training.learning_rate == 1e-4
    assert (code.training.beta1, code.training.beta2) == (0.9, 0.95)
    for name, parent in (("long", "code"), ("python-long", "python")):
        long = recipe.stages[name]
        assert (long.parent, long.sequence_length, long.rope_theta) == (parent, 16384, 1e6)
        assert (long.training.batch_tokens, num_steps(long.training, 16384)) == (long_batch, long_steps)
        assert long.training.learning_rate == 2e-5
        shape = stage_shape(recipe, name, PRESETS[size])
        assert (shape.rope_theta, shape.max_position_embeddings) == (1e6, 16384)
    assert stage_shape(recipe, "code", PRESETS[size]).rope_theta == 1e4


def test_instruct_has_the_papers_batch_and_rehearsal():
    recipe = load_recipe(RECIPES / "codellama-7b-instruct.toml")
    instruct = recipe.stages["instruct"]
    assert instruct.mixture == {"talks": 0.92, "code": 0.06, "prose": 0.02}
    assert (instruct.training.tokens, instruct.training.batch_tokens) == (5_000_000_000, 524_288)
    assert recipe.sets["talks"].template == recipe.sets["pairs"].template == "llama2"


def test_demo_family():
    recipe = load_recipe(RECIPES / "demo-family.toml")
    assert [recipe.stages[name].parent for name in ("base", "code", "long", "python", "python-long")] == [
        None,
        "base",
        "code",
        "code",
        "python",
    ]
    assert recipe.stages["long"].sequence_length == 4 * recipe.stages["code"].sequence_length
    mixture = dict(recipe.stages["code"].mixture)
    mixture["code"] += mixture.pop("pieces")  # whole documents for a small context
    assert mixture == pytest.approx(CODE)
    long = dict(recipe.stages["long"].mixture)
    assert recipe.sets["repositories"].repositories
    assert {"code": long.pop("repositories"), **long} == CODE
    assert recipe.stages["python"].mixture == PYTHON


def test_rehearsal_pairs_differ_in_one_thing():
    recipe = load_recipe(RECIPES / "rehearsal.toml")
    for seed in (1, 2):
        stages = {name: recipe.stages[f"{name}-{seed}"] for name in ("code", "ltr", "scratch", "long", "unchanged")}
        assert stages["ltr"] == dataclasses.replace(stages["code"], infilling=None)
        assert stages["scratch"] == dataclasses.replace(stages["code"], parent=None)
        assert stages["unchanged"] == dataclasses.replace(stages["long"], rope_theta=None)
        interpolated = recipe.stages[f"interpolated-{seed}"]
        assert interpolated == dataclasses.replace(stages["unchanged"], rope_scaling_factor=4.0)
        python, more = recipe.stages[f"python-{seed}"], recipe.stages[f"more-{seed}"]
        assert dataclasses.replace(python, mixture=CODE) == more


def test_set_overrides_by_stage_name():
    recipe = load_recipe(RECIPES / "demo-family.toml", ["code.training.learning_rate=1e-4", "name=other", "seed=7"])
    assert (recipe.stages["code"].training.learning_rate, recipe.name, recipe.seed) == (1e-4, "other", 7)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("code.training.learning_rat=1", "unknown key 'learning_rat'; the nearest known one is 'learning_rate'"),
        ("code.training.learning_rate=fast", "learning_rate must be a number, not 'fast'"),
        ("code.training.precision=float16", "must be one of 'auto', 'float32', 'bfloat16', 'float8'"),
        ("code.training.optimizer=lion", "must be one of 'adamw', 'adamw8bit', 'muon'"),
        ("code.training.recompute=some", "must be one of 'none', 'selective', 'full', 'offload'"),
        ("code.parent=nobody", "parent 'nobody' is not a stage"),
        ("code.parent=long", "is its own ancestor"),
        ("code.mixture={ cobol = 1.0 }", "the set 'cobol' is not defined"),
        ("code.mixture={ code = 0.0 }", "every weight must be above 0"),
        ("code.training.tokens=100", "one of `tokens`, `share` and `epochs`"),
        ("code.training.batch_tokens=100", "less than one sequence"),
        ("model.preset=8b", "is unknown; presets"),
        ("corpus.sources=[]", "corpus.sources is empty"),
        ("evals.benchmarks=['humanevil']", "did you mean humaneval"),
        ("nonsense", "is not KEY=VALUE"),
        ("code.training.learning_rate=-1", "training: learning_rate is -1.0; it must be above 0"),
        ("code.training.learning_rate=nan", "learning_rate is nan; it must be a finite number"),
        ("code.training.checkpoint_every=0", "checkpoint_every is 0; it must be at least 1"),
        ("code.training.beta2=1", "beta2 is 1.0; it must be at least 0 and below 1"),
        ("code.training.log_every=0", "log_every is 0; it must be at least 1"),
        ("code.training.micro_batch_tokens=0", "micro_batch_tokens is 0"),
        ("code.training.schedule=wds", "must be one of 'cosine', 'linear', 'wsd'"),
        (
            "code.training.trackers=['wandbb']",
            "'tensorboard', 'wandb', 'mlflow', 'trackio', not 'wandbb'",
        ),
        ("code.training.profile_steps=[3]", "profile_steps is [3]; give the first and the last step"),
        ("code.training.profile_steps=[3, 2]", "profile_steps is [3, 2]; give the first and the last step"),
        ("code.sequence_length=0", "sequence_length is 0; it must be at least 2"),
        ("code.infilling.rate=1.5", "rate is 1.5; it must be at least 0 and at most 1"),
        ("corpus.num_workers=0", "num_workers is 0; it must be at least 1"),
        ("corpus.heldout_fraction=1", "heldout_fraction is 1.0; it must be at least 0 and below 1"),
        ("evals.num_examples=0", "num_examples is 0"),
        ("budget.minutes=0", "minutes is 0.0; it must be above 0"),
        ("seed.deep=1", "is a value, not a table"),
        ("seed=true", "must be a whole number"),
    ],
)
def test_mistakes_are_named(override, message):
    with pytest.raises(ChakuError) as caught:
        load_recipe(RECIPES / "demo-family.toml", [override])
    assert message in str(caught.value)
    assert str(caught.value).startswith("--set ")


@pytest.mark.parametrize("setting", ["optimizer=muon", "precision=float8"])
def test_an_adapter_is_not_trained_by_what_needs_whole_matrices(setting):
    override = f"sql.training.{setting}"
    with pytest.raises(ChakuError, match=rf"stages\.sql\.training\.{setting.split('=')[0]}.*with `lora`"):
        load_recipe(RECIPES / "demo.toml", [override])


def test_the_file_and_each_option_are_blamed_for_their_own_mistakes(tmp_path):
    good = (RECIPES / "demo-family.toml").read_text()
    (tmp_path / "bad.toml").write_text(f"{good}\n[nonsense]\n")
    (tmp_path / "short.toml").write_text("name = 'x'\n")

    def mistake(path, *overrides):
        with pytest.raises(ChakuError) as caught:
            load_recipe(path, list(overrides))
        return str(caught.value)

    family = RECIPES / "demo-family.toml"
    assert mistake(family, "seed=4", "corpus.max_bytes=5", "name=y") == (
        "--set corpus.max_bytes=5: corpus: max_bytes must be a table, not 5"
    )
    assert load_recipe(family, ["corpus.max_bytes=5", "corpus.max_bytes={}"]).corpus.max_bytes == {}
    assert mistake(tmp_path / "bad.toml", "seed=4").startswith(f"{tmp_path / 'bad.toml'}: unknown key 'nonsense'")
    assert mistake(tmp_path / "short.toml", "modle.preset=tiny").startswith(
        f"{tmp_path / 'short.toml'} --set modle.preset=tiny: unknown key 'modle'"
    )


def test_missing_and_broken_files(tmp_path):
    with pytest.raises(ChakuError, match="does not exist"):
        load_recipe(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("name = ")
    with pytest.raises(ChakuError, match=r"bad\.toml"):
        load_recipe(tmp_path / "bad.toml")
    (tmp_path / "short.toml").write_text('name = "x"')
    with pytest.raises(ChakuError, match="the key 'model' is missing"):
        load_recipe(tmp_path / "short.toml")


def test_recipes_are_plain_data():
    assert dataclasses.asdict(load_recipe(RECIPES / "demo-family.toml"))["stages"]["code"]["parent"] == "base"
