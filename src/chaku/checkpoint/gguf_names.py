"""Map tensor names between GGUF and Hugging Face, and tell which tensors differ in the order of their rows."""

from chaku.model.config import LlamaConfig

# GGUF's architecture by model_type: llama.cpp treats Mistral as "llama".
ARCHITECTURES = {"llama": "llama", "mistral": "llama", "qwen2": "qwen2"}
ROPE_FREQS = "rope_freqs.weight"  # divisors of the rotary frequencies, (head_dim / 2,)

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
    """GGUF's name of a tensor, given Hugging Face's: model.layers.3.mlp.up_proj.weight is blk.3.ffn_up.weight."""
    module, _, leaf = name.rpartition(".")
    if module.startswith("model.layers."):
        _, _, layer, within = module.split(".", 3)
        return f"blk.{layer}.{_LAYER[within]}.{leaf}"
    return f"{_OTHERS[module]}.{leaf}"


def from_gguf(name: str) -> str:
    """Hugging Face's name of a tensor, given GGUF's; an unknown name is returned as it is."""
    module, _, leaf = name.rpartition(".")
    if module.startswith("blk.") and module.count(".") == 2:
        _, layer, within = module.split(".")
        return f"model.layers.{layer}.{_BACK[within]}.{leaf}" if within in _BACK else name
    return f"{_BACK[module]}.{leaf}" if module in _BACK else name


def rotary_heads(config: LlamaConfig, architecture: str, name: str) -> int:
    """The number of heads of a tensor whose rows have another order in GGUF; 0 for other tensors.

    `name` is Hugging Face's. Hugging Face rotates dimension i of a head together with i + head_dim / 2. GGUF's llama
    architecture, like Meta's code, rotates 2i with 2i + 1, so that rows and biases of queries and keys are reordered.
    GGUF's qwen2 architecture has Hugging Face's order.
    """
    if architecture != "llama":
        return 0
    if ".q_proj." in name:
        return config.num_attention_heads
    return config.num_key_value_heads if ".k_proj." in name else 0
