"""A GRPO stage journals its samples first, resumes to the bit after kill -9, and stops at its limits."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch

from chaku.errors import Interrupted
from chaku.training.grpo_config import LimitsConfig
from chaku.training.metrics import read_metrics
from killing import killed_at
from reinforcement.little_stage import GRPO, Odd, stage

OFF_POLICY = dataclasses.replace(GRPO, off_policy_steps=1, beta=0.05)


def untimed(directory: Path) -> list[dict[str, object]]:
    timed = ("second", "flops", "mfu")
    return [
        {key: value for key, value in line.items() if not any(word in key for word in timed)}
        for line in read_metrics(directory / "metrics.jsonl")
    ]


@pytest.fixture(scope="module", params=[GRPO, OFF_POLICY], ids=["on policy", "one step off"])
def grpo_and_whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    """Settings, the directory of the stage that nothing killed, and its model."""
    directory = tmp_path_factory.mktemp("whole")
    return request.param, directory, stage(directory, request.param)


@pytest.mark.parametrize(
    ("function", "number"),
    [
        ("chaku.training.trainer.optimizer_step", 4),  # between two saved states
        ("chaku.reinforcement.rollouts.judge", 6),  # replies are drawn, and not judged
        ("chaku.reinforcement.sample_journal.write_lines", 5),
    ],
)
def test_killed_anywhere_it_ends_the_same(tmp_path: Path, grpo_and_whole, function: str, number: int) -> None:
    grpo, directory, whole = grpo_and_whole
    assert killed_at(function, number, stage, tmp_path / "cut", grpo)
    again = stage(tmp_path / "cut", grpo)
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in whole.state_dict().items())
    assert untimed(tmp_path / "cut") == untimed(directory)


def test_samples_and_verdicts_are_written_before_the_update(tmp_path: Path) -> None:
    assert killed_at("chaku.training.trainer.optimizer_step", 3, stage, tmp_path / "cut")
    lines = (tmp_path / "cut" / "samples" / "step-00000003.jsonl").read_text().splitlines()
    head, groups = json.loads(lines[0]), [json.loads(line) for line in lines[1:]]
    assert head["step"] == 3
    assert len([group for group in groups if not group["dropped"]]) == GRPO.prompts
    for group in groups:
        assert len(group["replies"]) == len(group["scored"]) == GRPO.group_size
    assert not (tmp_path / "cut" / "samples" / "step-00000004.jsonl").exists()


def test_a_stage_stops_at_a_limit_and_goes_on_with_a_higher_one(tmp_path: Path) -> None:
    whole = stage(tmp_path / "whole", dataclasses.replace(GRPO, steps=3, rounds=1))
    limited = dataclasses.replace(GRPO, steps=3, rounds=1, limits=LimitsConfig(samples=20))
    with pytest.raises(Interrupted, match=r"at step 2 of 3 because its sampling has cost 24 samples, and grpo\.limits"):
        stage(tmp_path / "cut", limited)
    again = stage(tmp_path / "cut", dataclasses.replace(limited, limits=LimitsConfig(samples=100)))
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in whole.state_dict().items())
    head = json.loads((tmp_path / "cut" / "samples" / "step-00000003.jsonl").read_text().splitlines()[0])
    assert head["spent"]["samples"] == 36
    assert head["spent"]["tokens"] >= head["spent"]["verdicts"] > 0


def test_held_out_tasks_are_sampled_for_pass_at_10(tmp_path: Path) -> None:
    grpo = dataclasses.replace(GRPO, steps=1, rounds=1, max_tokens=1, heldout_samples=12)
    stage(tmp_path, grpo, reward=Odd())
    [line] = [line for line in read_metrics(tmp_path / "metrics.jsonl") if "heldout_pass_rate" in line]
    assert 0 <= line["heldout_pass_at_1"]["tasks"] <= line["heldout_pass_at_10"]["tasks"] <= 1
    assert line["heldout_pass_at_10"]["tasks"] > 0
