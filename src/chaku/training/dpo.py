"""Direct preference optimisation (arXiv 2305.18290): raises the chosen reply's probability over the rejected one's."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from chaku.console import progress
from chaku.files import atomic_file
from chaku.model.context_parallel import SumOverContext
from chaku.model.llama import Llama
from chaku.tokens.loader import Batch, collate
from chaku.tokens.packed_dataset import ChatSet, PackedDataset
from chaku.training.config import DpoConfig, TrainingConfig
from chaku.training.micro_batches import measuring, micro_batches, never
from chaku.training.ranks import ALONE, Ranks
from chaku.training.step import (
    NO_LOSS,
    VocabularyPart,
    autocast,
    document_states,
    output_weight,
    score_rows,
    wide_zeros,
)


def dpo_losses(policy: Tensor, reference: Tensor, beta: float) -> Tensor:
    """The losses of pairs, (pairs,).

    `policy` and `reference`: (pairs, 2) log-probabilities, in nats, of the chosen and the rejected reply, each summed
    over the tokens of the reply. A reply's gain is its policy minus its reference log-probability. Equation 7 of the
    paper: -log sigmoid(beta * (gain of the chosen reply - gain of the rejected reply)).
    """
    gains = policy - reference
    return -F.logsigmoid(beta * (gains[:, 0] - gains[:, 1]))


def accumulate_pairs(
    model: Llama,
    batch: Batch,
    dpo: DpoConfig,
    config: TrainingConfig,
    device: torch.device,
    ranks: Ranks = ALONE,
    stop: Callable[[], bool] = never,
) -> tuple[float, dict[str, Any]]:
    """Add up the gradients of a batch of pairs in micro-batches; returns the mean loss of a pair, and values to log.
    Stops as `accumulate` does.

    `dpo_accuracy`: the share of pairs whose chosen reply gained more than the rejected reply. `dpo_margin`: beta times
    the mean difference of the two gains.
    """
    [num_pairs] = ranks.sum([int((batch.document_ids.amax(dim=1) + 1).sum()) // 2 / ranks.num_context])
    total = right = margin = 0.0
    for part in micro_batches(model, batch, config, ranks, stop):
        losses, gains = pair_losses(model, part, dpo, device)
        loss = losses.sum() / num_pairs
        loss.backward()
        total += float(loss.detach())
        right += float((gains[:, 0] > gains[:, 1]).sum())
        margin += dpo.beta * float((gains[:, 0] - gains[:, 1]).sum())
    # The ranks of a context group have computed the same numbers.
    total, right, margin = (value / ranks.num_context for value in ranks.sum([total, right, margin]))
    return total, {"dpo_accuracy": right / num_pairs, "dpo_margin": margin / num_pairs}


def pair_losses(model: Llama, part: Batch, dpo: DpoConfig, device: torch.device) -> tuple[Tensor, Tensor]:
    """The losses of the pairs in a batch, (pairs,), and the gains of their replies, (pairs, 2) without a gradient."""
    assert part.reference is not None
    scores, held = reply_log_probabilities(model, part, device)
    pairs = held.view(-1, 2)[:, 0]
    policy = scores.view(-1, 2)[pairs]
    reference = part.reference.to(device)[:, : held.shape[1]].reshape(-1, 2)[pairs]
    return dpo_losses(policy, reference, dpo.beta), (policy - reference).detach()


def reply_log_probabilities(model: Llama, part: Batch, device: torch.device) -> tuple[Tensor, Tensor]:
    """The log-probability, in nats, of each document's trained tokens, and a mask of the documents that exist.

    Both have the shape (rows, documents): float32 and bool. `documents` is the largest number of documents in a row;
    it is even, as documents come in pairs.
    """
    assert part.trained is not None
    documents, trained = part.document_ids.to(device), part.trained.to(device)
    tokens = part.tokens.to(device)
    width = int(documents.max()) + 1
    valid = trained[:, 1:] & (documents[:, 1:] >= 0)
    labels = tokens[:, 1:].masked_fill(~valid, NO_LOSS)
    hidden, found = document_states(model, tokens[:, :-1], documents[:, :-1], labels)
    weight, vocabulary = output_weight(model)
    scores = token_log_probabilities(hidden, weight, found, vocabulary)
    owners = documents[:, 1:]
    if model.context:
        owners, valid = model.context.cut(owners), model.context.cut(valid)
    membership = F.one_hot(owners.clamp(min=0), width) * valid[..., None]  # (rows, seq, documents)
    counts = membership.sum(dim=1)  # (rows, documents)
    # The trained tokens are sorted by row and document, so segments can be summed in the same order on every device.
    sums = torch.segment_reduce(scores, "sum", lengths=counts.flatten(), unsafe=True, initial=0).view(counts.shape)
    if model.context:
        sums, counts = (SumOverContext.apply(part, model.context) for part in (sums, counts))
    return sums, counts > 0


def token_log_probabilities(
    hidden: Tensor, weight: Tensor, labels: Tensor, vocabulary: VocabularyPart | None = None
) -> Tensor:
    """Log-probabilities, (tokens,) float32 nats, of `labels` (tokens,).

    `hidden`: (tokens, hidden) final states. `weight`: (vocab, hidden) output weights, or the rows of `vocabulary`.
    """
    return _TokenLogProbabilities.apply(hidden, weight, labels, vocabulary)[0]


def token_log_probabilities_and_entropies(hidden: Tensor, weight: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """`token_log_probabilities`, and the entropies, in nats, of the distributions of the labels: two (tokens,) float32.

    The entropies have no gradient.
    """
    return _TokenLogProbabilities.apply(hidden, weight, labels, None, True)


class _TokenLogProbabilities(torch.autograd.Function):
    """Computes the logits a few rows at a time, and again in the backward pass, so they never fill the memory."""

    @staticmethod
    def forward(  # type: ignore[no-untyped-def]
        ctx,
        hidden: Tensor,
        weight: Tensor,
        labels: Tensor,
        vocabulary: VocabularyPart | None,
        with_entropies: bool = False,
    ) -> tuple[Tensor, Tensor]:
        device = hidden.device.type
        ctx.dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else weight.dtype
        ctx.save_for_backward(hidden, weight, labels)
        ctx.vocabulary = vocabulary
        nothing = hidden.new_zeros(0, dtype=torch.float32)
        scores, entropies = [nothing], [nothing]
        for probabilities, found, *_ in _scores(ctx, hidden, weight, labels):
            scores.append(found.squeeze(1))
            if with_entropies:
                entropies.append(torch.special.entr(probabilities).sum(1))
        entropy = torch.cat(entropies)
        ctx.mark_non_differentiable(entropy)
        return torch.cat(scores), entropy

    @staticmethod
    def backward(ctx, *grads: Tensor):  # type: ignore[no-untyped-def]
        hidden, weight, labels = ctx.saved_tensors
        hidden_grad = torch.empty_like(hidden, dtype=ctx.dtype)
        weight_grad = wide_zeros(weight) if ctx.needs_input_grad[1] else None
        matrix = weight.to(ctx.dtype)
        for probabilities, _, index, here, part in _scores(ctx, hidden, weight, labels):
            slopes = probabilities.neg_().scatter_add_(1, index, here.to(probabilities.dtype))
            slopes = (slopes * grads[0][part, None]).to(ctx.dtype)  # (rows, vocab)
            torch.mm(slopes, matrix, out=hidden_grad[part])
            if weight_grad is not None:
                weight_grad += slopes.t() @ hidden[part].to(ctx.dtype)
        grad = None if weight_grad is None else weight_grad.to(weight.dtype)
        return hidden_grad.to(hidden.dtype), grad, None, None, None


def _scores(ctx, hidden: Tensor, weight: Tensor, labels: Tensor):  # type: ignore[no-untyped-def]
    """Yields chunks of rows as (probabilities, log-probabilities of the labels, columns of the labels, whether these
    columns are in this rank's part of the vocabulary, slice of the rows): (rows, vocab), then three times (rows, 1).
    """
    with torch.autocast(hidden.device.type, enabled=False):
        matrix = weight.to(ctx.dtype)
        num_rows = score_rows(len(weight))
        for start in range(0, len(hidden), num_rows):
            part = slice(start, start + num_rows)
            scores, index = (hidden[part].to(ctx.dtype) @ matrix.t()).float(), labels[part, None]
            if ctx.vocabulary:
                found, index, here = ctx.vocabulary.pick(scores, index)
                yield scores, found - ctx.vocabulary.softmax(scores), index, here, part
            else:
                scores = torch.log_softmax(scores, dim=-1)
                found = scores.gather(1, index)
                yield scores.exp_(), found, index, torch.ones_like(index), part


def with_reference(
    model: Llama, dataset: PackedDataset, config: TrainingConfig, directory: Path, ranks: Ranks = ALONE
) -> PackedDataset:
    """Add each reply's log-probability under `model`, the model before training, to the data set.

    `config.precision` is not "auto". The log-probabilities are computed once and stored in
    DIRECTORY/reference-SET.npy. Pairs that are too long for a sequence have NaN. Many ranks share the sequences.
    """
    device = model.lm_head.weight.device
    sets = list(dataset.sets)
    for source, (pairs, plan) in enumerate(zip(dataset.sets, dataset.plans, strict=True)):
        assert isinstance(pairs, ChatSet)
        path = directory / f"reference-{pairs.name}.npy"
        if not ranks.from_first(path.exists()):
            found = np.full(len(pairs.store), np.nan, np.float32)
            precision = "float32" if model.distributed else config.precision  # FSDP2 casts the weights itself
            with measuring(model), progress(f"reference of {pairs.name}", len(plan), "sequences") as bar:
                for first in range(0, len(plan), ranks.num_data):
                    number = min(first + ranks.data_rank, len(plan) - 1)  # a rank without a sequence repeats the last
                    with autocast(device, precision):
                        batch = collate([(number, dataset.conversations(source, number))])
                        scores, _ = reply_log_probabilities(model, batch, device)
                    found[dataset.rows(source, number)] = scores[0].cpu()
                    bar.advance(ranks.num_data)
            for part in ranks.all_objects(found):
                found = np.where(np.isnan(found), part, found)
            if ranks.is_first:
                with atomic_file(path) as temporary, temporary.open("wb") as file:
                    np.save(file, found)
            ranks.from_first(None)  # the file is there
        sets[source] = replace(pairs, reference=np.load(path))
    dataset.sets = sets
    return dataset
