"""A plan's arithmetic, by hand; the layouts that it chooses; and what a recipe would take."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch

from chaku import api
from chaku.errors import ChakuError
from chaku.model.config import PRESETS
from chaku.pipeline.plan_words import in_lines
from chaku.pipeline.room import memory_needed
from chaku.recipe.load import load_recipe
from chaku.training.config import ParallelConfig, TrainingConfig
from chaku.training.gpus import Cluster, cluster_of, read_cluster
from chaku.training.plan import USABLE, choose
from chaku.training.rank_memory import rank_memory
from chaku.training.step_time import messages, step_time
from chaku.training.workload import Workload

RECIPES = Path(__file__).parents[2] / "recipes"
PAPER = TrainingConfig(batch_tokens=4_194_304, micro_batch_tokens=4096)
SMALL = Workload(PRESETS["7b"], PAPER, 4096)


def test_a_weight_takes_16_bytes_shared_among_the_ranks() -> None:
    shape = PRESETS["7b"]
    alone = rank_memory(SMALL, ParallelConfig(), 1)
    assert alone.weights + alone.gradients + alone.optimizer == pytest.approx(108e9, rel=0.01)
    for parallel, shared in (
        (ParallelConfig(), 64),
        (ParallelConfig(replicate=8), 8),
        (ParallelConfig(tensor=8, context=2), 64),
    ):
        found = rank_memory(SMALL, parallel, 64)
        assert found.weights * shared == pytest.approx(shape.num_parameters * 4, rel=0.001)
        assert found.optimizer == pytest.approx(2 * found.weights, rel=0.001)
    # Two layers and the outer weights are gathered in 16 bits, and a layer's gradient is sent in 32.
    layer = (shape.num_parameters - 2 * 32016 * 4096 - 4096) // 32
    gathered = rank_memory(SMALL, ParallelConfig(), 64).buffers
    assert gathered == pytest.approx(8 * layer + 2 * 2 * 32016 * 4096, rel=0.001)


def test_micro_batches_are_those_of_the_training_step() -> None:
    assert SMALL.micro_batches(num_data=64, num_context=1) == (1, 16)
    assert SMALL.micro_batches(num_data=64, num_context=4) == (4, 4)
    assert SMALL.micro_batches(num_data=1024, num_context=4) == (1, 1)


def test_messages_and_time_by_hand() -> None:
    shape = PRESETS["7b"]
    sent = messages(SMALL, ParallelConfig(replicate=2), 16)
    layers = shape.num_hidden_layers * (4 * 4096 * 4096 + 3 * 4096 * 11008)
    times = 4_194_304 // 4096 // 16
    assert sent["all-gather shard"] == pytest.approx(
        times * 2 * (2 * layers + shape.num_parameters - layers) * 7 / 8, rel=1e-6
    )
    assert sent["reduce-scatter shard"] == pytest.approx(times * 4 * shape.num_parameters * 7 / 8, rel=1e-6)
    assert sent["all-reduce replicate"] == pytest.approx(4 * shape.num_parameters / 8, rel=1e-6)
    assert set(sent) == {"all-gather shard", "reduce-scatter shard", "all-reduce replicate"}

    time = step_time(SMALL, ParallelConfig(replicate=2), Cluster(nodes=2), 0.5)
    flops = 4_194_304 * shape.flops_per_token(4096)
    assert time.compute == pytest.approx(flops / (16 * 989e12 * 0.5))
    inside = (sent["all-gather shard"] + sent["reduce-scatter shard"]) / (0.7 * 450e9)
    assert time.hidden == pytest.approx(inside)
    between = sent["all-reduce replicate"] / (0.7 * 50e9)
    assert time.exposed == pytest.approx(between + shape.num_parameters / 8 * 28 / 3.35e12)
    assert time.seconds == max(time.compute, time.hidden) + time.exposed
    full = dataclasses.replace(SMALL, training=dataclasses.replace(PAPER, recompute="full"))
    slower = step_time(full, ParallelConfig(replicate=2), Cluster(nodes=2), 0.5)
    assert slower.compute == pytest.approx(time.compute * 4 / 3)


def test_the_chosen_layout_fits_and_divides() -> None:
    for size, cluster in (("7b", Cluster()), ("34b", Cluster(nodes=32)), ("70b", Cluster("h200", 4))):
        for length in (4096, 16384):
            training = dataclasses.replace(PAPER, batch_tokens=1_048_576)
            layout = choose(Workload(PRESETS[size], training, length), cluster).layout
            assert layout is not None
            assert layout.memory.total <= USABLE * cluster.kind.memory
            replicate, shard, context, tensor = layout.parallel.sizes(cluster.num_gpus)
            assert (1_048_576 // length) % (replicate * shard) == 0
            assert length % (2 * context) == 0
            assert tensor <= cluster.gpus_per_node


def test_less_memory_costs_recomputation_then_nothing_fits() -> None:
    choices = [choose(SMALL, Cluster(), room=room) for room in (70e9, 30e9, 22e9, 10e9)]
    taken = [choice.layout.recompute if choice.layout else None for choice in choices]
    assert taken[0] == "none"
    assert taken[1] in ("selective", "full")
    assert taken[3] is None
    assert "the smallest layout needs" in choices[3].why


def test_a_long_sequence_is_shared_where_its_batch_has_too_few() -> None:
    training = TrainingConfig(batch_tokens=1_048_576, micro_batch_tokens=16384)
    choice = choose(Workload(PRESETS["34b"], training, 16384), Cluster(nodes=32))
    assert choice.layout is not None
    assert choice.layout.together == 4  # 64 sequences among 256 GPUs


def test_a_recipe_is_planned_stage_by_stage(tmp_path: Path) -> None:
    plan = api.plan(RECIPES / "codellama-7b.toml", gpus=64, shape="7b", price=2.0)
    assert [stage.name for stage in plan.stages] == ["code", "long", "python", "python-long"]
    code = plan.stages[0]
    assert code.tokens == pytest.approx(500e9, rel=1e-4)
    assert code.dollars == pytest.approx(2.0 * code.gpu_hours)
    assert code.days * 24 * 64 == pytest.approx(code.gpu_hours)
    assert code.tokens / code.tokens_per_second / 86400 == pytest.approx(code.days)
    assert code.mfu < 0.45
    assert plan.total("days") == pytest.approx(sum(stage.days for stage in plan.stages))
    text = "\n".join(in_lines(plan))
    assert "all stages: " in text
    assert "a GPU hour costs $2" in text
    assert plan.as_json()["stages"][0]["choice"]["layout"]["memory"]["weights"] > 0
    cluster = tmp_path / "cluster.toml"
    cluster.write_text('gpu = "a100-80g"\nnodes = 8\nnetwork = 25\n')
    slower = api.plan(RECIPES / "codellama-7b.toml", cluster=cluster, shape="7b")
    assert slower.stages[0].days > 2 * code.days


def test_a_plan_says_how_many_gpus_would_be_enough() -> None:
    plan = api.plan(RECIPES / "codellama-34b.toml", gpus=2, shape="34b")
    small = plan.stages[0]
    assert small.choice.layout is None
    assert small.enough in (8, 16)  # 540 GB of weights, gradients and moments, in 72 GB each
    assert f"{small.enough} GPUs would be enough" in "\n".join(in_lines(plan))


def test_mistakes_of_the_command_line(tmp_path: Path) -> None:
    with pytest.raises(ChakuError, match="choose from h100"):
        cluster_of(8, "h1000")
    with pytest.raises(ChakuError, match="pass --cluster"):
        cluster_of(12, "h100")
    with pytest.raises(ChakuError, match="--shape"):
        api.plan(RECIPES / "codellama-7b.toml")
    with pytest.raises(ChakuError, match="choose from"):
        api.plan(RECIPES / "codellama-7b.toml", shape="8b")
    (tmp_path / "wrong.toml").write_text("gpus = 8\n")
    with pytest.raises(ChakuError, match="gpus"):
        read_cluster(tmp_path / "wrong.toml")


def test_a_run_on_ranks_refuses_a_stage_that_cannot_fit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WORLD_SIZE", "8")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "8")
    recipe = load_recipe(RECIPES / "codellama-7b.toml")
    for free, words in ((80e9, "set in stages.long: parallel = { "), (12e9, "GPUs of this size")):
        monkeypatch.setattr("chaku.pipeline.room.free_memory", lambda device, free=free: int(free))
        found = list(memory_needed(recipe, PRESETS["7b"], tmp_path, torch.device("cuda")))
        long = next(requirement for requirement in found if requirement.needed_by[0].name == "long")
        assert not long.is_there
        assert words in long.how_to_get
    monkeypatch.setattr("chaku.pipeline.room.free_memory", lambda device: int(141e9))
    assert all(
        requirement.is_there for requirement in memory_needed(recipe, PRESETS["7b"], tmp_path, torch.device("cuda"))
    )


def test_a_grpo_stage_is_planned_with_its_samples_and_the_rates_of_a_run(tmp_path: Path) -> None:
    """100 steps of 16 prompts by 8, three rounds; a run whose sample took 0.5 s and whose verdict 0.1 s."""
    recipe = RECIPES / "rehearsal-grpo.toml"
    sampling = api.plan(recipe).stages[-1].sampling
    assert sampling is not None
    assert (sampling.samples, sampling.most_samples, sampling.tokens) == (12_800, 38_400, 38_400 * 96)
    assert sampling.hours is None
    (tmp_path / "stages" / "rl").mkdir(parents=True)
    step = {"num_samples": 10, "num_verdicts": 8, "num_tokens": 200, "seconds_sampling": 5.0, "seconds_judging": 0.8}
    (tmp_path / "stages" / "rl" / "metrics.jsonl").write_text(f"{json.dumps({'step': 1, **step})}\n")
    plan = api.plan(recipe, measured=tmp_path, overrides=["base-rl.grpo.limits.samples=6000"])
    limited, whole = (stage.sampling for stage in plan.stages if stage.sampling)
    assert whole is not None
    assert limited is not None
    assert whole.hours == pytest.approx(12_800 * 0.6 / 3600)
    assert whole.tokens == 38_400 * 20
    assert (limited.samples, limited.most_samples) == (6000, 6000)
    assert any("12,800 replies, to 38,400 with all rounds" in line for line in in_lines(plan))
    with pytest.raises(ChakuError, match="has no step of a stage with `grpo`"):
        api.plan(recipe, measured=tmp_path / "stages")
