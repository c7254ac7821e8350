"""Estimates the memory that a stage's training needs; docs/log.md compares the estimate with measurements."""

import torch

from chaku.model.config import LlamaConfig, LoraConfig
from chaku.model.memory import model_memory, projection_shapes
from chaku.model.quantization import Scheme
from chaku.training.config import TrainingConfig
from chaku.training.step import score_rows

STATE_BYTES = 12  # per trained weight, besides the weight: its gradient and AdamW's two moments, in float32


def training_memory(
    config: LlamaConfig,
    training: TrainingConfig,
    sequence_length: int,
    lora: LoraConfig | None = None,
    scheme: Scheme | None = None,
) -> int:
    """Bytes at the peak of a stage: the model, gradients, optimizer state, activations, and the merge of an adapter.

    Weights are float32. With a `scheme`, the merge loads the base model again without quantisation; the quantised
    base model has been freed by then.
    """
    model = model_memory(config, torch.float32, scheme)
    trained = num_trained(config, lora)
    adapter = trained * 4 if lora else 0
    head = 0 if lora else 2 * config.vocab_size * config.hidden_size * 4  # two copies of the output weights' gradient
    scores = 2 * score_rows(config.vocab_size) * config.vocab_size * 4
    peak = model + adapter + trained * STATE_BYTES + head + scores
    peak += activations(config, training, sequence_length, lora)
    return max(peak, model_memory(config)) if scheme else peak


def num_trained(config: LlamaConfig, lora: LoraConfig | None) -> int:
    """The number of weights that a stage trains: all weights, or LoRA's two matrices for each target."""
    if lora is None:
        return config.num_parameters
    return config.num_hidden_layers * sum(lora.rank * (rows + columns) for rows, columns in _targets(config, lora))


def activations(
    config: LlamaConfig, training: TrainingConfig, sequence_length: int, lora: LoraConfig | None = None
) -> int:
    """Bytes that the forward pass of one micro-batch keeps for the backward pass.

    Each token keeps in each layer, in float32: the inputs of both norms, queries, keys and values, the output of
    attention, and gate and up of the feed-forward part (`model/fused.py`). On a GPU, the plain decoder keeps about
    twice as many numbers in 16 bits. LoRA with dropout uses the plain decoder too, and also keeps each target's
    input after dropout, and the dropout mask. The backward pass needs two more layers of activations. The allocator's
    gaps are not counted: a process may take half as much again.
    """
    rows = max(1, min(training.micro_batch_tokens, training.batch_tokens) // sequence_length)
    q, kv = config.num_attention_heads * config.head_dim, config.num_key_value_heads * config.head_dim
    kept = 2 * config.hidden_size + 2 * q + 2 * kv + 2 * config.intermediate_size
    if lora and lora.dropout:
        kept = 5 * config.hidden_size + 2 * q + 3 * kv + 4 * config.intermediate_size
        kept += 2 * sum(columns for _, columns in _targets(config, lora))
    return rows * sequence_length * (config.num_hidden_layers + 2) * kept * 4


def _targets(config: LlamaConfig, lora: LoraConfig) -> list[tuple[int, int]]:
    return [shape for name, shape in projection_shapes(config).items() if name.endswith(tuple(lora.targets))]
