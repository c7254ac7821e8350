"""Rotary position embedding (RoPE), with its scalings for positions beyond the trained length."""

import math

import torch
from torch import Tensor

from chaku.model.config import LlamaConfig, RopeScaling


def rotary_table(config: LlamaConfig, positions: Tensor) -> tuple[Tensor, Tensor]:
    """Cosines and sines of the rotary angles for (..., seq) positions, each (..., seq, 1, head_dim / 2), float32."""
    frequencies, scale = rotary_frequencies(config, positions.device)
    angles = positions.float()[..., None] * frequencies
    return angles.cos().unsqueeze(-2) * scale, angles.sin().unsqueeze(-2) * scale


def rotate(heads: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
    """Rotate (batch, seq, heads, head_dim) in pairs of dimensions i and i + head_dim / 2 (Hugging Face's layout)."""
    cos, sin = (table.to(heads.dtype) for table in rotary)
    first, second = heads.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


def rotary_frequencies(config: LlamaConfig, device: torch.device | None = None) -> tuple[Tensor, float]:
    """(radians per position, (head_dim / 2,) float32; the factor of cosines and sines, 1 except YaRN and LongRoPE)."""
    exponents = torch.arange(0, config.head_dim, 2, device=device, dtype=torch.float32) / config.head_dim
    frequencies = 1.0 / (config.rope_theta**exponents)
    scaling = config.rope_scaling
    if scaling is None:
        return frequencies, 1.0
    if scaling.rope_type == "linear":
        return frequencies / scaling.factor, 1.0
    if scaling.rope_type == "llama3":
        return _llama3(frequencies, scaling), 1.0
    if scaling.factors is not None:
        return frequencies / torch.tensor(scaling.factors, device=device), scaling.attention_scale
    return _yarn(frequencies, config, scaling), scaling.attention_scale


def _llama3(frequencies: Tensor, scaling: RopeScaling) -> Tensor:
    """Divide slow frequencies by the factor, keep fast frequencies, blend in between (Llama 3.1's released code)."""
    assert scaling.original_max_position_embeddings is not None
    rotations = scaling.original_max_position_embeddings * frequencies / (2 * math.pi)  # in the trained length
    blend = (rotations - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor)
    blend = blend.clamp(0, 1)
    return (1 - blend) * frequencies / scaling.factor + blend * frequencies


def _yarn(frequencies: Tensor, config: LlamaConfig, scaling: RopeScaling) -> Tensor:
    """As `_llama3`, but blend by dimension instead of rotations (arXiv 2309.00071, section 3.2)."""
    assert scaling.original_max_position_embeddings is not None

    def dimension(rotations: float) -> float:
        """The pair of dimensions, as a fraction, that makes so many rotations in the trained length."""
        length = scaling.original_max_position_embeddings or 0
        return config.head_dim * math.log(length / (rotations * 2 * math.pi)) / (2 * math.log(config.rope_theta))

    low, high = dimension(scaling.beta_fast), dimension(scaling.beta_slow)
    if scaling.truncate:
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, config.head_dim - 1)
    pairs = torch.arange(len(frequencies), device=frequencies.device, dtype=torch.float32)
    stretched = ((pairs - low) / max(high - low, 0.001)).clamp(0, 1)
    return stretched * frequencies / scaling.factor + (1 - stretched) * frequencies
