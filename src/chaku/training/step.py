"""One optimizer step: loss, gradients, update."""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.optim import Optimizer

from chaku.errors import ChakuError
from chaku.model.fused import can_fuse, fused_states
from chaku.model.layout import shared_beginnings, whole_rows
from chaku.model.llama import Llama
from chaku.tokens.loader import Batch
from chaku.training.config import TrainingConfig
from chaku.training.micro_batches import measuring, micro_batches, never
from chaku.training.optimizers import set_learning_rate
from chaku.training.ranks import ALONE, Ranks

# Logits (tokens x vocabulary) in memory at one time: 8 MB in float32 stay in the cache. A product of fewer rows than
# MIN_ROWS waits for the output weights: 64 rows with a vocabulary of 49,152 take 1.2 times as long on an idle
# machine, and twice as long beside other programs that read memory.
SCORES = 2**21
NO_LOSS = -100  # the label of a token without a loss
MIN_ROWS = 512


def training_step_loss(
    model: Llama,
    tokens: Tensor,
    document_ids: Tensor | None = None,
    num_valid: int | None = None,
    document_masking: bool = False,
    trained: Tensor | None = None,
) -> Tensor:
    """Summed cross-entropy of the next tokens, in nats, divided by `num_valid`.

    `tokens`: (batch, seq + 1). `document_ids`: the same shape; a negative id marks padding, which has no loss.
    `document_masking`: attention stays inside each document. `num_valid`: the number of predicted tokens of the
    *global* batch, so that the losses of micro-batches and ranks add up to the mean; the default is the number in
    `tokens`. `trained`: a loss mask of the same shape. With `trained`, attention stays inside each document, and
    the positions of each document count from 0.
    """
    inputs, labels = tokens[:, :-1], tokens[:, 1:]
    if document_ids is not None:
        labels = labels.masked_fill(document_ids[:, 1:] < 0, NO_LOSS)
    if trained is not None:
        labels = labels.masked_fill(~trained[:, 1:], NO_LOSS)
    valid = num_valid if num_valid is not None else int((labels >= 0).sum())
    if document_ids is not None and (document_masking or trained is not None):
        hidden, labels = document_states(model, inputs, document_ids[:, :-1], labels)
    elif can_fuse(model, inputs.shape[1]):
        hidden = fused_states(model, whole_rows(inputs))
    else:
        hidden = _hidden(model, inputs).flatten(0, 1)  # (batch * seq, hidden)
        labels = model.context.cut(labels) if model.context else labels
    weight, vocabulary = output_weight(model)
    return _LinearCrossEntropy.apply(hidden, weight, labels.flatten(), valid, vocabulary)


def accumulate(
    forward: Callable[..., Tensor],
    model: Llama,
    batch: Batch,
    config: TrainingConfig,
    device: torch.device,
    ranks: Ranks = ALONE,
    stop: Callable[[], bool] = never,
) -> float:
    """Add up the gradients of a batch in micro-batches; returns its mean loss over all valid tokens, in nats.

    `batch` is this rank's part; the mean is over the parts of all ranks. `stop` is asked after each micro-batch: when
    it is true on any rank, raises Stopped on all.
    """
    # The ranks of a context group count the same rows.
    num_valid = round(ranks.sum([batch.num_valid / ranks.num_context])[0])
    if num_valid == 0:
        raise ChakuError(
            f"the batch that begins with sample {batch.first_sample} has no token with a loss; raise "
            "training.batch_tokens in the recipe, or look at these samples"
        )
    total = 0.0
    for part in micro_batches(model, batch, config, ranks, stop):
        chat = {} if part.trained is None else {"trained": part.trained.to(device)}
        loss = forward(
            model, part.tokens.to(device), part.document_ids.to(device), num_valid, config.document_masking, **chat
        )
        loss.backward()
        total += float(loss.detach())
    return ranks.sum([total])[0]


def not_finite_samples(
    model: Llama, batch: Batch, config: TrainingConfig, device: torch.device, ranks: Ranks = ALONE
) -> str:
    """The samples of the micro-batches whose loss is not finite, and the ranks that have them, in words."""
    start = batch.first_sample + ranks.data_rank * len(batch.tokens)
    bad: list[int] = []
    with measuring(model):
        for part in micro_batches(model, batch, config, ranks, never):
            trained = None if part.trained is None else part.trained.to(device)
            masked = config.document_masking
            loss = training_step_loss(model, part.tokens.to(device), part.document_ids.to(device), 1, masked, trained)
            if not math.isfinite(float(loss)):
                bad += range(start, start + len(part.tokens))
            start += len(part.tokens)
    found = [(rank, samples) for rank, samples in enumerate(ranks.all_objects(bad)) if samples]
    if not found:  # computed again, the loss is finite
        return f"samples {batch.first_sample} to {batch.first_sample + len(batch.tokens) * ranks.num_data - 1}"
    texts = [f"samples {samples[0]} to {samples[-1]}" for _, samples in found]
    if ranks.size == 1:
        return texts[0]
    return ", ".join(f"{text} of rank {rank}" for text, (rank, _) in zip(texts, found, strict=True))


def document_states(model: Llama, tokens: Tensor, document_ids: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The labels that have a loss, (labels,), and the final states that predict them, (labels, hidden); states first.

    The arguments have the shape (batch, seq); a label below 0 has no loss. Attention stays inside each document, whose
    positions count from 0. Where ranks share the rows, only this rank's part of them.
    """
    wanted = labels >= 0
    if can_fuse(model, tokens.shape[1]):
        layout = shared_beginnings(tokens, document_ids)
        return fused_states(model, layout, layout.places[wanted]), labels[wanted]
    places = torch.arange(tokens.shape[1], device=tokens.device).expand_as(tokens)
    begins = torch.ones_like(document_ids, dtype=torch.bool)
    begins[:, 1:] = document_ids[:, 1:] != document_ids[:, :-1]
    positions = places - torch.where(begins, places, 0).cummax(dim=1).values
    hidden = _hidden(model, tokens, positions=positions, document_ids=document_ids)
    if model.context:
        labels = model.context.cut(labels)
        wanted = labels >= 0
    return hidden[wanted], labels[wanted]


def _hidden(
    model: Llama, tokens: Tensor, positions: Tensor | None = None, document_ids: Tensor | None = None
) -> Tensor:
    hidden = model.forward_hidden(tokens, positions=positions, document_ids=document_ids)
    if not model.distributed:
        return hidden
    from chaku.training.parallel import whole_sequence  # half a second, which one process does not need

    return whole_sequence(hidden)


@dataclass(frozen=True)
class VocabularyPart:
    """Under tensor parallelism, this rank's output weights are those of the tokens from `first` on."""

    group: dist.ProcessGroup
    first: int

    def pick(self, scores: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The scores of (rows, 1) labels from whichever rank has them; and their columns here, if they are here."""
        column = labels - self.first
        here = (column >= 0) & (column < scores.shape[1])
        column = column.clamp(0, scores.shape[1] - 1)
        found = scores.gather(1, column).where(here, 0.0)
        dist.all_reduce(found, group=self.group)
        return found, column, here

    def softmax(self, scores: Tensor) -> Tensor:
        """In place, scores become probabilities; returns the logarithm of each row's normaliser, (rows, 1)."""
        highest = scores.amax(1, keepdim=True)
        dist.all_reduce(highest, op=dist.ReduceOp.MAX, group=self.group)
        total = scores.sub_(highest).exp_().sum(1, keepdim=True)
        dist.all_reduce(total, group=self.group)
        scores.div_(total)
        return highest + total.log()


def output_weight(model: Llama) -> tuple[Tensor, VocabularyPart | None]:
    """The output weights, (vocab, hidden); or this rank's rows of them, and which rows these are."""
    weight: Any = model.lm_head.weight
    if not model.distributed or not hasattr(weight, "to_local"):
        return weight, None
    mesh = weight.device_mesh
    rows = -(-len(weight) // mesh.size())
    return weight.to_local(), VocabularyPart(mesh.get_group(), min(len(weight), rows * mesh.get_local_rank()))


class _LinearCrossEntropy(torch.autograd.Function):
    """Cross-entropy of `hidden @ weight.T`. The forward pass computes both gradients too, a few rows at a time.

    The logits (tokens x vocabulary) are the largest tensor of a small model's step; here they are written once and
    never kept.
    """

    @staticmethod
    def forward(  # type: ignore[no-untyped-def]
        ctx, hidden: Tensor, weight: Tensor, labels: Tensor, num_valid: int, vocabulary: VocabularyPart | None
    ) -> Tensor:
        device = hidden.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else weight.dtype
        with torch.autocast(device, enabled=False):
            states, matrix = hidden.to(dtype), weight.to(dtype)
            hidden_grad = torch.empty_like(states)
            weight_grad = wide_zeros(weight) if ctx.needs_input_grad[1] else None  # None: frozen, as under LoRA
            loss = hidden.new_zeros((), dtype=torch.float32)
            num_rows = min(score_rows(len(weight)), max(1, len(states)))
            buffer = states.new_empty(num_rows, len(weight))  # reused: fresh memory costs more than a softmax
            wide = buffer.float()  # the same object when the dtype is float32
            for start in range(0, len(states), num_rows):
                rows, targets = states[start : start + num_rows], labels[start : start + num_rows]
                valid = (targets >= 0)[:, None]
                index = targets.clamp(min=0)[:, None]
                slopes = torch.mm(rows, matrix.t(), out=buffer[: len(rows)])  # (rows, vocab)
                scores = wide[: len(rows)]
                if wide is not buffer:
                    scores.copy_(slopes)
                if vocabulary:
                    target_scores, index, here = vocabulary.pick(scores, index)
                    log_probabilities = target_scores - vocabulary.softmax(scores)
                    scores.scatter_add_(1, index, -here.to(scores.dtype))
                else:
                    target_scores, highest = scores.gather(1, index), scores.amax(1, keepdim=True)
                    torch.softmax(scores, dim=-1, out=scores)
                    # The highest logit's probability is 1 / sum(exp(logits - highest)), and never less than 1 / vocab:
                    # its logarithm is the normaliser, without a second pass over the logits.
                    log_probabilities = target_scores - highest + scores.amax(1, keepdim=True).log_()
                    scores.scatter_(1, index, log_probabilities.expm1())  # the target's gradient: probability - 1
                loss -= (log_probabilities * valid).sum()
                if wide is not buffer:
                    slopes.copy_(scores)
                share = (valid / num_valid).to(dtype)
                torch.mm(slopes, matrix, out=hidden_grad[start : start + num_rows]).mul_(share)
                if weight_grad is not None:
                    weight_grad += slopes.t() @ (rows * share)
        ctx.save_for_backward(hidden_grad.to(hidden.dtype), weight_grad)
        ctx.weight_dtype = weight.dtype
        return loss / num_valid

    @staticmethod
    def backward(ctx, *grads: Tensor):  # type: ignore[no-untyped-def]
        hidden_grad, weight_grad = ctx.saved_tensors
        if weight_grad is not None:
            weight_grad = (weight_grad * grads[0]).to(ctx.weight_dtype)
        return hidden_grad * grads[0], weight_grad, None, None, None


def wide_zeros(weight: Tensor) -> Tensor:
    """Zeros for the sum of a weight's gradient over many pieces: in 16 bits, small pieces would be rounded away."""
    return torch.zeros_like(weight, dtype=torch.promote_types(weight.dtype, torch.float32))


def score_rows(vocab_size: int) -> int:
    """The number of tokens whose logits are computed at one time."""
    return max(MIN_ROWS, SCORES // vocab_size)


def autocast(device: torch.device, precision: str) -> AbstractContextManager[None]:
    """Mixed precision for "bfloat16": float32 weights, bfloat16 matrix products. Changes nothing for "float32".

    For "float8" too: only the projections of the layers multiply in float8 (`training/float8.py`).
    """
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision != "float32")


def optimizer_step(model: Llama, optimizer: Optimizer, rate: float, max_grad_norm: float) -> float:
    """Clip the gradients, update the weights with learning rate `rate`, clear the gradients. Returns the norm before
    clipping.
    """
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    set_learning_rate(optimizer, rate)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return float(norm.full_tensor() if hasattr(norm, "full_tensor") else norm)
