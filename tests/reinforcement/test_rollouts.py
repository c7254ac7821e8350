"""A GRPO stage learns what is rewarded, journals its samples first, and resumes to the bit after kill -9."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch

from chaku.training.metrics import read_metrics
from killing import killed_at
from reinforcement.little_stage import GRPO, stage

OFF_POLICY = dataclasses.replace(GRPO, off_policy_steps=1, beta=0.05)


def rewards(directory: Path) -> list[float]:
    return [line["reward"] for line in read_metrics(directory / "metrics.jsonl") if "reward" in line]


def untimed(directory: Path) -> list[dict[str, object]]:
    timed = ("second", "flops", "mfu")
    return [
        {key: value for key, value in line.items() if not any(word in key for word in timed)}
        for line in read_metrics(directory / "metrics.jsonl")
    ]


def test_it_learns_what_is_rewarded(tmp_path: Path) -> None:
    stage(tmp_path, dataclasses.replace(GRPO, steps=24, prompts=4, group_size=8))
    found = rewards(tmp_path)
    assert sum(found[-4:]) / 4 > sum(found[:4]) / 4 + 0.2
    pass_rates = [
        line["heldout_pass_rate"]["tasks"]
        for line in read_metrics(tmp_path / "metrics.jsonl")
        if "heldout_pass_rate" in line
    ]
    assert pass_rates[-1] > 0.5


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
        ("chaku.reinforcement.journal.write_lines", 5),
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
