"""Estimates the memory that a stage's training needs on one device; docs/log.md compares it with measurements."""

from dataclasses import dataclass

import torch

from chaku.checkpoint.weights import MAX_SHARD_BYTES
from chaku.model.config import LlamaConfig, LoraConfig
from chaku.model.fused import ROWS
from chaku.model.memory import model_memory, num_projection_weights, projection_shapes
from chaku.training.config import OptimizerName
from chaku.training.step import score_rows
from chaku.training.workload import Workload

STATE_BYTES = 12  # per trained weight, besides the weight: its gradient and AdamW's two moments, in float32
MOMENT_BYTES_8BIT = 2.04  # per weight: two bytes, and two shares of the scales of blocks of 256
# In an uncompiled step of "adamw8bit", per weight of the largest matrix: indices of 8 bytes and values of 4.
UNCOMPILED_BYTES_8BIT = 54


def training_memory(work: Workload, device: str = "cpu") -> int:
    """Bytes at the peak of a stage: the model, gradients, optimizer state, activations, and the merge of an adapter.

    Weights are float32. The merge reads the base again, and holds one weight file of the result beside the model. The
    allocator's gaps are not counted: a process may take half as much again.
    """
    config, training, lora = work.shape, work.training, work.lora
    trained = num_trained(config, lora)
    model = model_memory(config, torch.float32, work.scheme) + (trained * 4 if lora else 0)
    held = model + moments_memory(config, training.optimizer, lora)
    kept = activations(work, device)
    if kept.narrow:  # autocast keeps a copy of each projection
        held += 2 * num_projection_weights(config)
    gradients = trained * 4
    head = 0 if lora else config.vocab_size * config.hidden_size * 4
    together, times = work.micro_batches()
    accumulated = gradients if times > 1 else 0
    rows = min(score_rows(config.vocab_size), together * work.sequence_length)
    scores = rows * config.vocab_size * (4 if training.precision == "float32" else 6)  # in 32 bits, and in 16
    largest = config.vocab_size * config.hidden_size if training.optimizer == "adamw8bit" and device == "cpu" else 0
    peak = held + max(
        accumulated + 2 * head + kept.all_layers + max(scores, kept.working),  # the backward pass begins
        max(gradients, accumulated) + kept.last_layer + kept.working,  # it ends
        gradients + largest * UNCOMPILED_BYTES_8BIT,  # the optimizer's step
    )
    merge = model + min(model_memory(config), MAX_SHARD_BYTES) if lora and device == "cpu" else 0
    return max(int(peak), merge)


def num_trained(config: LlamaConfig, lora: LoraConfig | None) -> int:
    """The number of weights that a stage trains: all weights, or LoRA's two matrices for each target."""
    if lora is None:
        return config.num_parameters
    return config.num_hidden_layers * sum(lora.rank * (rows + columns) for rows, columns in _targets(config, lora))


def moments_memory(config: LlamaConfig, optimizer: OptimizerName, lora: LoraConfig | None = None) -> int:
    """Bytes of the optimizer's state."""
    trained = num_trained(config, lora)
    if optimizer == "adamw8bit":
        return int(trained * MOMENT_BYTES_8BIT)
    momentum_only = num_projection_weights(config) if optimizer == "muon" else 0
    return (2 * trained - momentum_only) * 4


@dataclass(frozen=True)
class Activations:
    """Bytes of the activations of one micro-batch.

    `all_layers`: what the forward pass keeps for the backward pass, with the states around the loss. `last_layer`:
    what is left of it for the first layer, whose backward pass is the last. `working`: what one layer's backward pass
    takes besides, with the activations that it computes again. `narrow`: whether most of them have 16 bits.
    """

    all_layers: int
    last_layer: int
    working: int
    narrow: bool


def activations(work: Workload, device: str = "cpu") -> Activations:
    """The activations of one micro-batch, in the decoder that trains: `model/fused.py`, or the plain decoder.

    The numbers of floats that each token keeps in each layer were counted with hooks on saved tensors. On a GPU, they
    follow from the operations: they were not measured there.
    """
    config, training, lora = work.shape, work.training, work.lora
    hidden, ffn = config.hidden_size, config.intermediate_size
    q, kv = config.num_attention_heads * config.head_dim, config.num_key_value_heads * config.head_dim
    tokens = work.micro_batches()[0] * work.sequence_length
    on_gpu = device != "cpu"
    dropped = sum(columns for _, columns in _targets(config, lora)) if lora and lora.dropout else 0
    fused = not on_gpu and not training.compile and not dropped
    narrow = on_gpu and training.precision != "float32"
    # Both decoders keep the inputs of both norms, queries, keys and values, and the output of attention. The fused one
    # adds gate and up; the plain one the norms' values before and after scaling, gate, its activation, up and their
    # product. A frozen projection keeps no input, but LoRA's dropout keeps its output and its mask.
    both = 2 * q + 2 * kv
    if fused:
        whole = 2 * hidden + both + 2 * ffn
        kept = {"none": whole, "selective": whole - 2 * ffn}.get(training.recompute, hidden)
        part = min(tokens, ROWS)
        working = part * (hidden + 4 * ffn) + tokens * 2 * hidden
        again = part * 2 * ffn if training.recompute == "selective" else tokens * (whole - kept)
    else:
        norms = 0 if dropped else 2 * hidden if narrow or lora else 4 * hidden
        whole = 2 * hidden + norms + both + (3 if dropped else 4) * ffn + 2 * dropped
        # Attention's output, and of the seven products every second: queries, values, gate and down.
        selected = 2 * hidden + 2 * q + kv + ffn
        offloaded = 0 if on_gpu else hidden
        kept = {"none": whole, "selective": selected, "full": hidden, "offload": offloaded}[training.recompute]
        working, again = tokens * 2 * ffn, tokens * (whole - kept)
    size = 4 if not narrow else 2
    # The residual stream has 32 bits in either case: a layer's two inputs of norms count twice in 16 bits.
    stream = (4 - size) * tokens * config.num_hidden_layers * (2 * hidden if training.recompute == "none" else hidden)
    states = 3 * tokens * hidden * 4  # the last layer's output, its norm, and the gradient of the norm
    return Activations(
        all_layers=tokens * config.num_hidden_layers * kept * size + stream + states,
        last_layer=tokens * kept * size,
        working=(working + again) * size,
        narrow=narrow,
    )


def _targets(config: LlamaConfig, lora: LoraConfig) -> list[tuple[int, int]]:
    return [shape for name, shape in projection_shapes(config).items() if name.endswith(tuple(lora.targets))]
