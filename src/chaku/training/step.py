"""One optimizer step: loss, gradients, AdamW."""

from contextlib import AbstractContextManager

import torch
from torch import Tensor

from chaku.model import Llama
from chaku.training.config import TrainingConfig

# Scores (tokens x vocabulary) that exist at one time: 8 MB in float32 stay in the cache, and below the 32 MB from which
# glibc takes fresh pages from the system for every tensor.
SCORES = 2**21


def training_step_loss(
    model: Llama,
    tokens: Tensor,
    document_ids: Tensor | None = None,
    num_valid: int | None = None,
    document_masking: bool = False,
    trained: Tensor | None = None,
) -> Tensor:
    """Summed cross-entropy of the next tokens, in nats, divided by `num_valid`.

    `tokens`: (batch, seq + 1). `document_ids`: the same shape; a negative one marks padding, which has no loss.
    `document_masking`: attention stays inside each document. `num_valid` is the number of predicted tokens of the
    *global* batch, so that losses of micro-batches and ranks add up to the mean; by default this batch's own.
    `trained`, the same shape: the loss is on these tokens alone; attention stays inside each document, whose positions
    count from 0, as if it stood alone.
    """
    inputs, labels = tokens[:, :-1], tokens[:, 1:]
    if document_ids is not None:
        labels = labels.masked_fill(document_ids[:, 1:] < 0, -100)
    if trained is not None:
        assert document_ids is not None
        hidden, labels = chat_states(model, tokens, document_ids, trained)
        valid = num_valid if num_valid is not None else len(labels)
        return _LinearCrossEntropy.apply(hidden, model.lm_head.weight, labels, valid)
    seen = document_ids[:, :-1] if document_masking and document_ids is not None else None
    hidden = model.forward_hidden(inputs, document_ids=seen)  # (batch, seq, hidden)
    valid = num_valid if num_valid is not None else int((labels >= 0).sum())
    return _LinearCrossEntropy.apply(hidden.flatten(0, 1), model.lm_head.weight, labels.flatten(), valid)


def chat_states(model: Llama, tokens: Tensor, document_ids: Tensor, trained: Tensor) -> tuple[Tensor, Tensor]:
    """Where the next token is trained on: the final states there, (number of such, hidden), and those tokens.

    All (batch, seq + 1). Documents do not see each other, and the positions of each count from 0.
    """
    seen = document_ids[:, :-1]
    places = torch.arange(seen.shape[1], device=seen.device).expand_as(seen)
    begins = torch.ones_like(seen, dtype=torch.bool)
    begins[:, 1:] = seen[:, 1:] != seen[:, :-1]
    positions = places - torch.where(begins, places, 0).cummax(dim=1).values
    hidden = model.forward_hidden(tokens[:, :-1], positions=positions, document_ids=seen)  # (batch, seq, hidden)
    valid = trained[:, 1:] & (document_ids[:, 1:] >= 0)
    return hidden[valid], tokens[:, 1:][valid]


class _LinearCrossEntropy(torch.autograd.Function):
    """Cross-entropy of `hidden @ weight.T`, with both gradients made in the forward pass, some rows at a time.

    The scores (tokens x vocabulary) are the largest tensor of a small model's step; this way they are written once
    and never kept.
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
            num_rows = max(64, SCORES // len(weight))
            for start in range(0, len(states), num_rows):
                rows, targets = states[start : start + num_rows], labels[start : start + num_rows]
                valid = (targets >= 0)[:, None]
                index = targets.clamp(min=0)[:, None]
                scores = torch.log_softmax((rows @ matrix.t()).float(), dim=-1)  # (rows, vocab)
                loss -= (scores.gather(1, index) * valid).sum()
                slopes = scores.exp_().scatter_add_(1, index, scores.new_full(index.shape, -1.0)).to(dtype)
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


def make_optimizer(model: Llama, config: TrainingConfig) -> torch.optim.AdamW:
    """AdamW over what is not frozen, with weight decay on the matrices and none on the norms."""
    trainable = [p for p in model.parameters() if p.requires_grad]
    matrices = [p for p in trainable if p.ndim >= 2]
    vectors = [p for p in trainable if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": config.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(
        groups, lr=config.learning_rate, betas=(config.beta1, config.beta2), eps=config.eps, fused=True
    )


def autocast(device: torch.device, precision: str) -> AbstractContextManager[None]:
    """Mixed precision: float32 weights, bfloat16 matrix products; nothing for "float32"."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16")


def optimizer_step(model: Llama, optimizer: torch.optim.AdamW, rate: float, max_grad_norm: float) -> float:
    """Clip the gradients, update the weights at the given rate, clear the gradients. Returns the unclipped norm."""
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return float(norm)
