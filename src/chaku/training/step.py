"""One optimizer step: loss, gradients, AdamW."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from torch import Tensor

from chaku.errors import ChakuError
from chaku.model.fused import can_fuse, fused_states
from chaku.model.layout import shared_beginnings, whole_rows
from chaku.model.llama import Llama
from chaku.tokens.loader import Batch
from chaku.training.config import TrainingConfig

# Logits (tokens x vocabulary) in memory at one time: 8 MB in float32 stay in the cache. A product of fewer rows than
# MIN_ROWS waits for the output weights: 64 rows with a vocabulary of 49,152 take 1.2 times as long on an idle
# machine, and twice as long beside other programs that read memory.
SCORES = 2**21
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
        labels = labels.masked_fill(document_ids[:, 1:] < 0, -100)
    if trained is not None:
        assert document_ids is not None
        hidden, labels = chat_states(model, tokens, document_ids, trained)
        valid = num_valid if num_valid is not None else len(labels)
        return _LinearCrossEntropy.apply(hidden, model.lm_head.weight, labels, valid)
    valid = num_valid if num_valid is not None else int((labels >= 0).sum())
    if document_masking and document_ids is not None:
        hidden = _states(model, inputs, document_ids[:, :-1], labels >= 0)
        labels = labels[labels >= 0]
    elif can_fuse(model, inputs.shape[1]):
        hidden = fused_states(model, whole_rows(inputs))
    else:
        hidden = model.forward_hidden(inputs).flatten(0, 1)  # (batch * seq, hidden)
    return _LinearCrossEntropy.apply(hidden, model.lm_head.weight, labels.flatten(), valid)


def accumulate(
    forward: Callable[..., Tensor], model: Llama, batch: Batch, config: TrainingConfig, device: torch.device
) -> float:
    """Add up the gradients of a batch in micro-batches; returns its mean loss over all valid tokens, in nats."""
    valid = batch.document_ids[:, 1:] >= 0
    if batch.trained is not None:
        valid &= batch.trained[:, 1:]
    num_valid = int(valid.sum())
    if num_valid == 0:
        raise ChakuError(
            f"the batch that begins with sample {batch.first_sample} has no token with a loss; raise "
            "training.batch_tokens in the recipe, or look at these samples"
        )
    rows = max(1, config.micro_batch_tokens // (batch.tokens.shape[1] - 1))
    total = 0.0
    for part in batch.split(rows):
        chat = {} if part.trained is None else {"trained": part.trained.to(device)}
        loss = forward(
            model, part.tokens.to(device), part.document_ids.to(device), num_valid, config.document_masking, **chat
        )
        loss.backward()
        total += float(loss.detach())
    return total


def chat_states(model: Llama, tokens: Tensor, document_ids: Tensor, trained: Tensor) -> tuple[Tensor, Tensor]:
    """The trained tokens, (trained,), and the final states that predict them, (trained, hidden); the states first.

    The arguments have the shape (batch, seq + 1). Attention stays inside each document, whose positions count from 0.
    """
    valid = trained[:, 1:] & (document_ids[:, 1:] >= 0)
    return _states(model, tokens[:, :-1], document_ids[:, :-1], valid), tokens[:, 1:][valid]


def _states(model: Llama, tokens: Tensor, document_ids: Tensor, wanted: Tensor) -> Tensor:
    """The final states of the `wanted` tokens, (wanted, hidden). Attention stays inside each document.

    The arguments have the shape (batch, seq); `wanted` is bool.
    """
    if can_fuse(model, tokens.shape[1]):
        layout = shared_beginnings(tokens, document_ids)
        return fused_states(model, layout, layout.places[wanted])
    places = torch.arange(tokens.shape[1], device=tokens.device).expand_as(tokens)
    begins = torch.ones_like(document_ids, dtype=torch.bool)
    begins[:, 1:] = document_ids[:, 1:] != document_ids[:, :-1]
    positions = places - torch.where(begins, places, 0).cummax(dim=1).values
    return model.forward_hidden(tokens, positions=positions, document_ids=document_ids)[wanted]


class _LinearCrossEntropy(torch.autograd.Function):
    """Cross-entropy of `hidden @ weight.T`. The forward pass computes both gradients too, a few rows at a time.

    The logits (tokens x vocabulary) are the largest tensor of a small model's step; here they are written once and
    never kept.
    """

    @staticmethod
    def forward(ctx, hidden: Tensor, weight: Tensor, labels: Tensor, num_valid: int) -> Tensor:  # type: ignore[no-untyped-def]
        device = hidden.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else weight.dtype
        with torch.autocast(device, enabled=False):
            states, matrix = hidden.to(dtype), weight.to(dtype)
            hidden_grad = torch.empty_like(states)
            weight_grad = torch.zeros_like(weight) if ctx.needs_input_grad[1] else None  # None: frozen, as under LoRA
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
                target_scores, highest = scores.gather(1, index), scores.amax(1, keepdim=True)
                torch.softmax(scores, dim=-1, out=scores)
                # The highest logit's probability is 1 / sum(exp(logits - highest)), and never less than 1 / vocab:
                # its logarithm is the normaliser, without a second pass over the logits.
                log_probabilities = target_scores - highest + scores.amax(1, keepdim=True).log_()
                loss -= (log_probabilities * valid).sum()
                scores.scatter_(1, index, log_probabilities.expm1())  # the target's gradient: probability - 1
                if wide is not buffer:
                    slopes.copy_(scores)
                share = (valid / num_valid).to(dtype)
                torch.mm(slopes, matrix, out=hidden_grad[start : start + num_rows]).mul_(share)
                if weight_grad is not None:
                    weight_grad += slopes.t() @ (rows * share)
        ctx.save_for_backward(hidden_grad.to(hidden.dtype), weight_grad)
        return loss / num_valid

    @staticmethod
    def backward(ctx, *grads: Tensor):  # type: ignore[no-untyped-def]
        hidden_grad, weight_grad = ctx.saved_tensors
        return hidden_grad * grads[0], None if weight_grad is None else weight_grad * grads[0], None, None


def score_rows(vocab_size: int) -> int:
    """The number of tokens whose logits are computed at one time."""
    return max(MIN_ROWS, SCORES // vocab_size)


def make_optimizer(model: Llama, config: TrainingConfig) -> torch.optim.AdamW:
    """AdamW over the weights that are not frozen, with weight decay on matrices and none on norms."""
    trainable = [p for p in model.parameters() if p.requires_grad]
    matrices = [p for p in trainable if p.ndim >= 2]
    vectors = [p for p in trainable if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": config.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(
        groups, lr=config.learning_rate, betas=(config.beta1, config.beta2), eps=config.eps, fused=True
    )


def autocast(device: torch.device, precision: str) -> AbstractContextManager[None]:
    """Mixed precision for "bfloat16": float32 weights, bfloat16 matrix products. Changes nothing for "float32"."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16")


def optimizer_step(model: Llama, optimizer: torch.optim.AdamW, rate: float, max_grad_norm: float) -> float:
    """Clip the gradients, update the weights with learning rate `rate`, clear the gradients. Returns the norm before
    clipping.
    """
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return float(norm)
