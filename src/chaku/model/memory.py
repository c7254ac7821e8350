"""The memory that a model needs, and the memory that is free."""

import torch

from chaku.machine import available_memory
from chaku.model.config import LlamaConfig
from chaku.model.quantization import Scheme

# Bits per projection weight, scales included. int8: one scale per row; int4: a scale and a zero of 16 bits per 32
# weights; nf4: measured (docs/log.md).
SCHEME_BITS: dict[Scheme, float] = {"int8": 8.05, "int4": 5.0, "nf4": 4.13}


def model_memory(config: LlamaConfig, dtype: torch.dtype = torch.float32, scheme: Scheme | None = None) -> int:
    """Bytes of a model's weights in memory; `scheme` quantises only the projections."""
    projections = num_projection_weights(config) if scheme else 0
    quantized = projections * SCHEME_BITS[scheme] / 8 if scheme else 0
    return int((config.num_parameters - projections) * dtype.itemsize + quantized)


def num_projection_weights(config: LlamaConfig) -> int:
    """The number of weights in all layers' projections, without biases."""
    return config.num_hidden_layers * sum(rows * columns for rows, columns in projection_shapes(config).values())


def projection_shapes(config: LlamaConfig) -> dict[str, tuple[int, int]]:
    """(out, in) of each projection of a layer, by its name in the layer."""
    width, ffn = config.hidden_size, config.intermediate_size
    q, kv = config.num_attention_heads * config.head_dim, config.num_key_value_heads * config.head_dim
    return {
        "self_attn.q_proj": (q, width),
        "self_attn.k_proj": (kv, width),
        "self_attn.v_proj": (kv, width),
        "self_attn.o_proj": (width, q),
        "mlp.gate_proj": (ffn, width),
        "mlp.up_proj": (ffn, width),
        "mlp.down_proj": (width, ffn),
    }


def free_memory(device: torch.device | str) -> int | None:
    """Bytes of free memory on a device; None when the system does not say."""
    device = torch.device(device)
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return available_memory() if device.type == "cpu" else None


def gigabytes(size: float) -> str:
    """A number of bytes in words: 58.2 MB, 27.0 GB."""
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"
