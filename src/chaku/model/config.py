"""The shape of a Llama, and the published shapes by name."""

from dataclasses import dataclass

from chaku.errors import ChakuError


@dataclass(frozen=True)
class LlamaConfig:
    """Field names are those of Hugging Face's `config.json`.

    `rope_scaling_factor` divides positions (linear position interpolation, arXiv 2306.15595); 1.0 is off.
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
    rope_scaling_factor: float = 1.0
    tie_word_embeddings: bool = False
    bos_token_id: int = 1
    eos_token_id: int = 2

    def __post_init__(self) -> None:
        if self.hidden_size % self.num_attention_heads or self.head_dim % 2:
            raise ChakuError(
                f"hidden_size {self.hidden_size} must divide into num_attention_heads {self.num_attention_heads} "
                "heads of even size; change one of them in the model's shape"
            )
        if self.num_attention_heads % self.num_key_value_heads:
            raise ChakuError(
                f"num_attention_heads {self.num_attention_heads} must be a multiple of num_key_value_heads "
                f"{self.num_key_value_heads}; change one of them in the model's shape"
            )

    @property
    def head_dim(self) -> int:
        return self.hidden_size // self.num_attention_heads

    @property
    def num_parameters(self) -> int:
        """Trainable weights, embeddings included."""
        d, kv = self.hidden_size, self.num_key_value_heads * self.head_dim
        layer = 2 * d * d + 2 * d * kv + 3 * d * self.intermediate_size + 2 * d
        embeddings = self.vocab_size * d * (1 if self.tie_word_embeddings else 2)
        return self.num_hidden_layers * layer + embeddings + d

    def flops_per_token(self, sequence_length: int) -> float:
        """Floating-point operations of one training step per token: 6 a weight that multiplies (PaLM, appendix B),

        without the input embedding, which is a look-up, and 6 * layers * hidden * sequence for causal attention
        (12 counts the masked half too).
        """
        matrix_weights = self.num_parameters - (0 if self.tie_word_embeddings else self.vocab_size * self.hidden_size)
        return 6.0 * matrix_weights + 6.0 * self.num_hidden_layers * self.hidden_size * sequence_length


def ffn_hidden(hidden_size: int, multiple_of: int, multiplier: float = 1.0) -> int:
    """The feed-forward width of Meta's released code: 2/3 of 4 d, times a multiplier, rounded up to a multiple."""
    width = int(multiplier * int(2 * 4 * hidden_size / 3))
    return multiple_of * -(-width // multiple_of)


def _code_llama(
    hidden: int, layers: int, heads: int, kv: int, vocab: int, multiple: int = 256, mult: float = 1.0
) -> LlamaConfig:
    # Llama 2, before the code stages: 4,096 positions and base 1e4.
    return LlamaConfig(
        vocab_size=vocab,
        hidden_size=hidden,
        intermediate_size=ffn_hidden(hidden, multiple, mult),
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv,
        max_position_embeddings=4096,
    )


# Code Llama's four sizes (paper table 1 of Llama 2; released params.json), and shapes for a laptop.
PRESETS: dict[str, LlamaConfig] = {
    "7b": _code_llama(4096, 32, 32, 32, 32016),
    "13b": _code_llama(5120, 40, 40, 40, 32016),
    "34b": _code_llama(8192, 48, 64, 8, 32000),
    "70b": _code_llama(8192, 80, 64, 8, 32016, multiple=4096, mult=1.3),
    "demo": LlamaConfig(
        vocab_size=2048,
        hidden_size=192,
        intermediate_size=ffn_hidden(192, 64),
        num_hidden_layers=4,
        num_attention_heads=3,
        num_key_value_heads=1,
        max_position_embeddings=512,
    ),
    "tiny": LlamaConfig(
        vocab_size=512,
        hidden_size=64,
        intermediate_size=ffn_hidden(64, 32),
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
    ),
}
