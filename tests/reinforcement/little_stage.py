"""A GRPO stage that takes a second: a tiny random model learns to write short replies with many of one letter."""

from dataclasses import replace
from pathlib import Path

import torch

from chaku.inference.prompts import Prompt
from chaku.model.config import PRESETS
from chaku.model.llama import Llama
from chaku.reinforcement.rewards import Judged, Reward, Rewards, Waiting
from chaku.reinforcement.rollouts import Rollouts
from chaku.reinforcement.tasks import Task
from chaku.reinforcement.writer import EngineWriter
from chaku.tokens.chat import Message
from chaku.tokens.tokenizer import Tokenizer
from chaku.tokens.tokenizer_training import train_tokenizer
from chaku.training.config import TrainingConfig
from chaku.training.grpo_config import GrpoConfig
from chaku.training.state import Progress
from chaku.training.trainer import train

SEQUENCE = 40
GRPO = GrpoConfig(steps=6, prompts=3, group_size=4, max_tokens=10, rounds=2, mask_overlong=False)
TRAINING = TrainingConfig(
    learning_rate=3e-3,
    warmup_steps=1,
    precision="float32",
    micro_batch_tokens=80,
    checkpoint_every=2,
    heldout_every=3,
    weight_decay=0.0,
)


class Letters:
    """The share of the reply's letters that are vowels: a reward that a random model can raise."""

    def problem(self, task: Task) -> str:
        return ""

    def submit(self, task: Task, text: str) -> Waiting:
        share = sum(letter in "aeiou" for letter in text) / max(len(text), 1)
        return lambda: Judged(share, share > 0.5, "" if share > 0.5 else "few vowels", shown=True)

    def close(self) -> None:
        pass


def odd(text: str) -> float:
    """A reward that half of the vocabulary gets, so that few samples show its gradient."""
    return float(sum(text.encode()) % 2)


class Odd(Letters):
    def submit(self, task: Task, text: str) -> Waiting:
        return lambda: Judged(odd(text), bool(odd(text)))


def little_tokenizer() -> Tokenizer:
    return train_tokenizer(["def add(a, b):\n    return a + b\n"], 285)


def tasks(number: int, first: int = 0) -> list[Task]:
    return [
        Task(str(key), (Message("user", f"task {key}"),), Prompt((1, 3 + key, 7, 9)), {})
        for key in range(first, first + number)
    ]


def stage(
    directory: Path, grpo: GrpoConfig = GRPO, training: TrainingConfig = TRAINING, reward: Reward | None = None
) -> Llama:
    """Train the stage to its end in `directory`, or go on there."""
    torch.manual_seed(3)
    tokenizer = little_tokenizer()
    model = Llama(replace(PRESETS["tiny"], vocab_size=tokenizer.vocab_size))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.5)  # the texts of a fresh model are all alike
    batch = grpo.prompts * grpo.group_size * SEQUENCE
    training = replace(training, tokens=grpo.steps * batch, batch_tokens=batch)
    initial = Llama(model.config)
    initial.load_state_dict(model.state_dict())
    rollouts = Rollouts(
        model,
        EngineWriter(model, tokenizer),
        Rewards([("letters", 1.0, reward or Letters())]),
        {"tasks": tasks(5)},
        {"tasks": 1.0},
        {"tasks": tasks(4, first=100)},
        grpo,
        training,
        SEQUENCE,
        directory,
        7,
        initial if grpo.beta else None,
    )
    directory.mkdir(exist_ok=True)
    train("rl", model, rollouts, training, directory)
    return model


def reached(directory: Path) -> Progress:
    from chaku.training.state import saved_states

    return max(saved_states(directory / "state"), key=lambda state: state.step)
