"""Packs the samples of a step into a batch for the trainer."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from chaku.reinforcement.groups import Drawn, Group, Reply
from chaku.training.grpo import SampleBatch, group_advantages, loss_weights
from chaku.training.grpo_config import GrpoConfig

MOST_CORRECTION = 2.0  # the bound of truncated importance sampling, on the factor of a token


@dataclass(frozen=True)
class Place:
    """Where a sample's reply is in a batch: its row, and the columns of its tokens."""

    row: int
    columns: slice
    reply: Reply


def pack(
    groups: Sequence[Group], grpo: GrpoConfig, sequence_length: int, step: int, notes: dict[str, float]
) -> SampleBatch:
    """The batch of a step's groups. Samples without a loss are left out. `step` (0-based) decides `first_sample`.

    A sample without a loss counts neither in the mean of its group: else the advantages of the others would not sum to
    0, and a group of wrong samples would only be pushed down. A step with fewer groups than `grpo.prompts` has a
    smaller loss in proportion: a few samples must not move the model as far as a whole step.
    """
    samples: list[tuple[Drawn, int, float]] = []
    lengths: list[int] = []
    for group in groups:
        counted = group.counted(mask_overlong=grpo.mask_overlong)
        advantages = dict(
            zip(counted, group_advantages([group.rewards[at] for at in counted], scale=grpo.scale), strict=True)
        )
        for number, reply in enumerate(group.drawn.replies):
            samples.append((group.drawn, number, advantages.get(number, 0.0)))
            lengths.append(len(reply.ids) if number in advantages else 0)
    share = len(groups) / grpo.prompts
    weights = [share * weight for weight in loss_weights(lengths, grpo.loss, grpo.max_tokens)]
    kept = [place for place, length in enumerate(lengths) if length]
    batch, places = place_samples(
        [(samples[place][0], samples[place][1]) for place in kept],
        sequence_length,
        step * grpo.prompts * grpo.group_size,
    )
    token_weights, advantages_by_token, old, correction = (torch.zeros(batch.tokens.shape) for _ in range(4))
    for place, at in zip(kept, places, strict=True):
        token_weights[at.row, at.columns] = weights[place]
        advantages_by_token[at.row, at.columns] = samples[place][2]
        logs, sampler_logs = at.reply.logs, at.reply.sampler_logs
        if logs is not None:
            old[at.row, at.columns] = torch.tensor(logs)
        if logs is not None and sampler_logs is not None:
            ratio = torch.exp(torch.tensor(logs) - torch.tensor(sampler_logs))
            correction[at.row, at.columns] = ratio.clamp(max=MOST_CORRECTION)
    has_old = any(at.reply.logs is not None for at in places)
    has_correction = any(at.reply.sampler_logs is not None for at in places)
    return SampleBatch(
        batch.tokens,
        batch.document_ids,
        0,
        batch.first_sample,
        batch.trained,
        token_weights=token_weights,
        advantages=advantages_by_token,
        old=old if has_old else None,
        correction=correction if has_correction else None,
        notes=notes,
    )


def place_samples(
    samples: Sequence[tuple[Drawn, int]], sequence_length: int, first_sample: int = 0
) -> tuple[SampleBatch, list[Place]]:
    """Pack (drawn, number of the reply) one after another into rows; returns the batch and the place of each reply.

    A group's samples stay together: on a CPU, samples in one micro-batch share the rows of their prompt.
    """
    room = sequence_length + 1
    rows: list[tuple[list[int], list[int], list[bool]]] = []
    places: list[Place] = []
    for drawn, number in samples:
        prompt, reply = drawn.task.prompt.ids, drawn.replies[number]
        size = len(prompt) + len(reply.ids)
        assert size <= room
        if not rows or len(rows[-1][0]) + size > room:
            rows.append(([], [], []))
        ids, owners, trained = rows[-1]
        begin = len(ids) + len(prompt)
        places.append(Place(len(rows) - 1, slice(begin, begin + len(reply.ids)), reply))
        owner = owners[-1] + 1 if owners else 0
        ids += [*prompt, *reply.ids]
        owners += [owner] * size
        trained += [False] * len(prompt) + [True] * len(reply.ids)
    tokens = np.zeros((len(rows), room), np.int64)
    documents = np.full((len(rows), room), -1, np.int64)
    mask = np.zeros((len(rows), room), np.bool_)
    for number, (ids, owners, trained) in enumerate(rows):
        tokens[number, : len(ids)], documents[number, : len(ids)], mask[number, : len(ids)] = ids, owners, trained
    batch = SampleBatch(torch.from_numpy(tokens), torch.from_numpy(documents), 0, first_sample, torch.from_numpy(mask))
    return batch, places


def logs_of(values: Tensor, places: Sequence[Place]) -> list[tuple[float, ...]]:
    """The values of each reply's tokens, from (rows, sequence_length + 1) values."""
    return [tuple(values[at.row, at.columns].tolist()) for at in places]
