"""Read and write a GGUF file's rotary scaling: metadata for linear and YaRN, a tensor of divisors for other scalings.

The tensor `rope_freqs.weight` divides each frequency by its own number. Llama 3.1's scaling is stored in this way; its
parameters are recovered from the divisors. Divisors that fit no parameters are kept as longrope factors.
"""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from chaku.checkpoint.gguf_dequantize import read_stored
from chaku.checkpoint.gguf_names import ROPE_FREQS
from chaku.errors import ChakuError
from chaku.gguf_file import GgufFile
from chaku.model.config import LlamaConfig, RopeScaling
from chaku.model.rope import rotary_frequencies

# Llama 3.1 divides by 8, Llama 3.2 by 32, with 8,192 original positions; other models may have other lengths.
_LLAMA3_FACTORS = (8.0, 32.0)
_LLAMA3_LENGTHS = (8192, *(2**power for power in range(5, 21) if power != 13))
_ROUNDING = 1e-5  # the relative rounding error of divisors that were computed in float32


def read_rope_scaling(file: GgufFile, plain: LlamaConfig) -> RopeScaling | None:
    """The scaling of a model's rotary frequencies; `plain` is its configuration without scaling.

    Raises ChakuError for a scaling that chaku does not support.
    """
    prefix = f"{file.metadata['general.architecture']}.rope.scaling"
    factor = file.get(f"{prefix}.factor", float) or file.get(f"{prefix[:-8]}.scale_linear", float) or 1.0
    kind = file.get(f"{prefix}.type", str, "linear")
    attention = file.get(f"{prefix}.attn_factor", float, 1.0)
    if kind not in ("none", "linear", "yarn"):
        raise ChakuError(
            f"{file.path}: {prefix}.type is {kind!r}; chaku supports linear, yarn, and {ROPE_FREQS}: use another model"
        )
    for key in ("yarn_log_multiplier", "alpha"):
        if file.get(f"{prefix}.{key}", float, 0.0) not in (0.0, 1.0) or factor <= 0:
            raise ChakuError(
                f"{file.path}: the value of {prefix}.{key if factor > 0 else 'factor'} is not supported; use another "
                "model"
            )
    divisors = _divisors(file, plain)
    if divisors is not None and (kind == "yarn" or (kind == "linear" and factor != 1.0)):
        raise ChakuError(
            f"{file.path} scales rotary frequencies both by {ROPE_FREQS} and by {prefix}.type {kind!r}; convert the "
            "model again"
        )
    if kind == "yarn" and factor != 1.0:
        scaling = RopeScaling(
            "yarn",
            factor,
            file.get(f"{prefix}.original_context_length", int) or plain.max_position_embeddings,
            beta_fast=file.get(f"{prefix}.yarn_beta_fast", float, 32.0),
            beta_slow=file.get(f"{prefix}.yarn_beta_slow", float, 1.0),
        )
        # The file's attention factor multiplies the factor of the paper.
        return scaling if attention == 1.0 else replace(scaling, attention_factor=attention * scaling.attention_scale)
    if kind == "linear" and factor != 1.0 and attention == 1.0:
        return RopeScaling("linear", factor)
    if divisors is None and attention == 1.0:
        return None
    if divisors is None:
        divisors = torch.full((plain.head_dim // 2,), factor if kind == "linear" else 1.0)
    if attention == 1.0 and (found := _llama3(plain, divisors)):
        return found
    length = plain.max_position_embeddings
    return RopeScaling("longrope", 1.0, length, attention_factor=attention, factors=tuple(divisors.tolist()))


def _divisors(file: GgufFile, plain: LlamaConfig) -> Tensor | None:
    stored = next((tensor for tensor in file.tensors if tensor.name == ROPE_FREQS), None)
    if stored is None:
        return None
    if stored.shape != (plain.head_dim // 2,):
        raise ChakuError(
            f"{file.path}: {ROPE_FREQS} has shape {stored.shape}, but a head has {plain.head_dim} dimensions; get the "
            "file again"
        )
    divisors = read_stored(stored, torch.float32).clone()
    if not (divisors.isfinite().all() and (divisors > 0).all()):
        raise ChakuError(
            f"{file.path}: {ROPE_FREQS} has values that are not positive numbers; the file is damaged: get it again"
        )
    return divisors


def _llama3(plain: LlamaConfig, divisors: Tensor) -> RopeScaling | None:
    """The llama3 scaling that gives these divisors; None when there is none."""
    frequencies, _ = rotary_frequencies(plain)
    for factor in dict.fromkeys((round(float(divisors.max()), 4), *_LLAMA3_FACTORS)):
        for length in _LLAMA3_LENGTHS:
            scaling = RopeScaling("llama3", factor, length)
            scaled, _ = rotary_frequencies(replace(plain, rope_scaling=scaling))
            if torch.allclose(frequencies / scaled, divisors, rtol=_ROUNDING, atol=0):
                return scaling
    return None


def add_rope_scaling(writer: Any, config: LlamaConfig) -> list[tuple[str, Tensor]]:
    """Write the metadata of the rotary scaling; for scalings other than linear and YaRN, return the tensor of divisors.

    Raises ChakuError for a scaling that llama.cpp does not support.
    """
    import gguf

    scaling = config.rope_scaling
    if scaling is None:
        return []
    scaled, scale = rotary_frequencies(config)
    if scaling.rope_type == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(scaling.factor)
        return []
    # llama.cpp reads YaRN's limits from the command line only, and rounds them.
    if scaling.rope_type == "yarn" and (scaling.beta_fast, scaling.beta_slow, scaling.truncate) == (32, 1, True):
        writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        writer.add_rope_scaling_factor(scaling.factor)
        writer.add_rope_scaling_orig_ctx_len(scaling.original_max_position_embeddings)
        # llama.cpp computes the paper's factor itself and multiplies it by this one.
        writer.add_rope_scaling_attn_factors(scale / replace(scaling, attention_factor=None).attention_scale)
        return []
    if config.model_type == "qwen2":
        raise ChakuError(
            "llama.cpp's qwen2 architecture supports only linear rotary scaling and YaRN with its usual limits "
            f"(beta_fast 32, beta_slow 1, truncate), not this {scaling.rope_type}; serve the checkpoint as it is"
        )
    writer.add_rope_scaling_type(gguf.RopeScalingType.NONE)  # the default is linear
    writer.add_rope_scaling_attn_factors(scale)
    plain, _ = rotary_frequencies(replace(config, rope_scaling=None))
    return [(ROPE_FREQS, plain / scaled)]
