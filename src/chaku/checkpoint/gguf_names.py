"""GGUF's names of a Llama's tensors, and the order of rows in which its two architectures differ."""

from chaku.model.config import LlamaConfig

# GGUF's architecture by ours: llama.cpp has Mistral as "llama".
ARCHITECTURES = {"llama": "llama", "mistral": "llama", "qwen2": "qwen2"}
ROPE_FREQS = "rope_freqs.weight"  # a divisor of each rotary frequency, (head_dim / 2,)

_LAYER = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}
_OTHERS = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
_BACK = {theirs: ours for ours, theirs in (_LAYER | _OTHERS).items()}


def to_gguf(name: str) -> str:
    """GGUF's name of a tensor: model.layers.3.mlp.up_proj.weight is blk.3.ffn_up.weight."""
    module, _, leaf = name.rpartition(".")
    if module.startswith("model.layers."):
        _, _, layer, within = module.split(".", 3)
        return f"blk.{layer}.{_LAYER[within]}.{leaf}"
    return f"{_OTHERS[module]}.{leaf}"


def from_gguf(name: str) -> str:
    """Hugging Face's name of a tensor; a tensor that no Llama has keeps its own."""
    module, _, leaf = name.rpartition(".")
    if module.startswith("blk.") and module.count(".") == 2:
        _, layer, within = module.split(".")
        return f"model.layers.{layer}.{_BACK[within]}.{leaf}" if within in _BACK else name
    return f"{_BACK[module]}.{leaf}" if module in _BACK else name


def rotary_heads(config: LlamaConfig, architecture: str, name: str) -> int:
    """How many heads a tensor has whose rows GGUF has in another order, else 0. `name` is Hugging Face's.

    Hugging Face turns i with i + head_dim / 2; GGUF's llama architecture, as Meta, 2i with 2i + 1: the rows of queries
    and keys, and their biases, move. Its qwen2 architecture turns as Hugging Face does.
    """
    if architecture != "llama":
        return 0
    if ".q_proj." in name:
        return config.num_attention_heads
    return config.num_key_value_heads if ".k_proj." in name else 0
