"""`LlamaConfig`, the shape of a model, with named shapes; `LoraConfig`, the shape of an adapter."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from chaku.errors import ChakuError

PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")  # of every layer

# What is kept of a layer besides its input. "none": everything, nothing is computed again. "selective": the outputs of
# attention and of every second matrix product (torchtitan's choice); the decoder for CPUs keeps everything but gate and
# up. "full": nothing. "offload": nothing, and the input waits in the host's memory.
Recompute = Literal["none", "selective", "full", "offload"]
RECOMPUTE: tuple[Recompute, ...] = get_args(Recompute)


@dataclass(frozen=True)
class RopeScaling:
    """How to scale rotary frequencies for positions beyond the trained length; field names are Hugging Face's.

    "linear" divides positions by `factor` (position interpolation, arXiv 2306.15595). "llama3" (Llama 3.1's released
    code) and "yarn" (arXiv 2309.00071) divide only the slow frequencies. A frequency's speed is its number of rotations
    within `original_max_position_embeddings`; the other fields set the limits between slow and fast. "longrope" (arXiv
    2402.13753) divides each frequency by its own factor; chaku supports one set of factors for short and long texts.

    Raises ChakuError when a field that `rope_type` needs is missing.
    """

    rope_type: Literal["linear", "llama3", "yarn", "longrope"]
    factor: float
    original_max_position_embeddings: int | None = None
    low_freq_factor: float = 1.0  # llama3
    high_freq_factor: float = 4.0  # llama3
    beta_fast: float = 32.0  # yarn
    beta_slow: float = 1.0  # yarn
    attention_factor: float | None = None  # yarn, longrope
    truncate: bool = True  # yarn: round the limits to whole dimensions
    factors: tuple[float, ...] | None = None  # longrope: one factor per pair of dimensions

    def __post_init__(self) -> None:
        if self.rope_type != "linear" and not self.original_max_position_embeddings:
            raise ChakuError(f"{self.rope_type} rotary scaling needs original_max_position_embeddings")
        if (self.rope_type == "longrope") != (self.factors is not None):
            raise ChakuError("rotary scaling needs factors, one per pair of dimensions, if and only if it is longrope")

    @property
    def attention_scale(self) -> float:
        """The factor of queries and keys: `attention_factor`, or YaRN's 0.1 ln(factor) + 1 (section 3.4)."""
        if self.attention_factor is not None:
            return self.attention_factor
        return 0.1 * math.log(self.factor) + 1.0 if self.factor > 1 else 1.0


@dataclass(frozen=True)
class LlamaConfig:
    """The shape of a model. Field names and defaults are those of Hugging Face's `config.json`.

    `model_type` is the family, which decides the form of `config.json`: "llama", "mistral" (Llama with an optional
    `sliding_window`: the number of tokens that a token attends to, itself included) or "qwen2" (Llama with biases on
    queries, keys and values). `attention_bias` puts biases on queries, keys and values, and in the "llama" family on
    the output too. Raises ChakuError when the sizes do not fit each other.
    """

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    max_position_embeddings: int
    rope_theta: float = 10_000.0
    rms_norm_eps: float = 1e-5
    rope_scaling: RopeScaling | None = None
    tie_word_embeddings: bool = False
    bos_token_id: int | None = 1
    eos_token_id: int | tuple[int, ...] | None = 2
    head_dim: int = 0  # 0: hidden_size / num_attention_heads
    attention_bias: bool = False
    mlp_bias: bool = False
    sliding_window: int | None = None
    model_type: Literal["llama", "mistral", "qwen2"] = "llama"

    def __post_init__(self) -> None:
        divides = self.hidden_size % self.num_attention_heads == 0
        if self.head_dim == 0 and divides:
            object.__setattr__(self, "head_dim", self.hidden_size // self.num_attention_heads)
        if self.head_dim == 0 or self.head_dim % 2:
            raise ChakuError(
                f"hidden_size {self.hidden_size} must divide into num_attention_heads {self.num_attention_heads} "
                "heads of even size; change one of them in the model's shape"
            )
        if self.num_attention_heads % self.num_key_value_heads:
            raise ChakuError(
                f"num_attention_heads {self.num_attention_heads} must be a multiple of num_key_value_heads "
                f"{self.num_key_value_heads}; change one of them in the model's shape"
            )
        factors = self.rope_scaling.factors if self.rope_scaling else None
        if factors is not None and len(factors) != self.head_dim // 2:
            raise ChakuError(
                f"longrope rotary scaling has {len(factors)} factors, but a head has {self.head_dim // 2} pairs of "
                "dimensions; get the model's config.json again"
            )

    @property
    def output_bias(self) -> bool:
        """Whether the attention's output projection has a bias."""
        return self.attention_bias and self.model_type == "llama"

    @property
    def eos_token_ids(self) -> tuple[int, ...]:
        """All ids that end a text."""
        if self.eos_token_id is None:
            return ()
        return self.eos_token_id if isinstance(self.eos_token_id, tuple) else (self.eos_token_id,)

    @property
    def num_parameters(self) -> int:
        """The number of weights, embeddings included."""
        d, ffn = self.hidden_size, self.intermediate_size
        q, kv = self.num_attention_heads * self.head_dim, self.num_key_value_heads * self.head_dim
        layer = 2 * d * q + 2 * d * kv + 3 * d * ffn + 2 * d
        layer += (q + 2 * kv) * self.attention_bias + d * self.output_bias + (2 * ffn + d) * self.mlp_bias
        embeddings = self.vocab_size * d * (1 if self.tie_word_embeddings else 2)
        return self.num_hidden_layers * layer + embeddings + d

    def flops_per_token(self, sequence_length: int, *, trains_all: bool = True) -> float:
        """Floating-point operations of a training step per token (PaLM, appendix B).

        6 per weight, without the input embedding, which is only a look-up; and 6 * layers * hidden * sequence for
        causal attention (PaLM's 12 counts the masked half too).
        """
        matrix_weights = self.num_parameters - (0 if self.tie_word_embeddings else self.vocab_size * self.hidden_size)
        width = self.num_attention_heads * self.head_dim
        whole = 6.0 * matrix_weights + 6.0 * self.num_hidden_layers * width * sequence_length
        return whole if trains_all else whole * 2 / 3  # a frozen weight has no gradient: one of three products


def ffn_hidden(hidden_size: int, multiple_of: int, multiplier: float = 1.0) -> int:
    """The feed-forward width by Meta's released code: 2/3 of 4 d, times `multiplier`, rounded up to `multiple_of`."""
    width = int(multiplier * int(2 * 4 * hidden_size / 3))
    return multiple_of * -(-width // multiple_of)


def _llama(
    hidden: int,
    layers: int,
    heads: int,
    kv: int,
    vocab: int,
    positions: int = 4096,
    multiple: int = 256,
    mult: float = 1.0,
) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=vocab,
        hidden_size=hidden,
        intermediate_size=ffn_hidden(hidden, multiple, mult),
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv,
        max_position_embeddings=positions,
    )


# Code Llama's four sizes (table 1 of the Llama 2 paper; released params.json), and shapes for a laptop. The code stages
# begin with the shape of Llama 2: 4,096 positions and rotary base 1e4.
PRESETS: dict[str, LlamaConfig] = {
    "7b": _llama(4096, 32, 32, 32, 32016),
    "13b": _llama(5120, 40, 40, 40, 32016),
    "34b": _llama(8192, 48, 64, 8, 32000),
    "70b": _llama(8192, 80, 64, 8, 32016, multiple=4096, mult=1.3),
    "demo": _llama(192, 4, 3, 1, 2048, positions=512, multiple=64),
    "mini": _llama(128, 4, 4, 4, 512, positions=256, multiple=32),
    "tiny": _llama(64, 2, 4, 2, 512, positions=64, multiple=32),
}


@dataclass(frozen=True)
class LoraConfig:
    """Settings of LoRA. The update of a projection is `scale * B A`, with A (rank, in) and B (out, rank).

    By default every projection is a target, as arXiv 2405.09673 advises for code. A target is the name of a module or
    the end of its name. `rslora` divides alpha by the square root of the rank, so that a large rank learns as fast as a
    small rank (arXiv 2312.03732). `dropout` applies to the update's input, in training only. Raises ChakuError for a
    value out of range.
    """

    rank: int = 16
    alpha: float = 32
    dropout: float = 0.0
    targets: tuple[str, ...] = PROJECTIONS
    rslora: bool = False

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise ChakuError(f"LoRA's rank is {self.rank}; it must be 1 or more")
        if not 0 <= self.dropout < 1:
            raise ChakuError(f"LoRA's dropout is {self.dropout}; it must be at least 0 and less than 1")
        if not self.targets:
            raise ChakuError("LoRA has no targets; choose from " + ", ".join(PROJECTIONS))

    @property
    def scale(self) -> float:
        """The factor of B A."""
        return self.alpha / (math.sqrt(self.rank) if self.rslora else self.rank)
