"""Tiny random models of every family that chaku loads, as transformers makes them."""

from pathlib import Path
from typing import Any

import torch

TINY = {
    "vocab_size": 131,
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "rms_norm_eps": 1e-5,
}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
FACTORS = [1.0, 1.0, 1.2, 1.5, 2.0, 4.5, 9.0, 9.25]
LONGROPE = {
    "rope_type": "longrope",
    "short_factor": FACTORS,
    "long_factor": FACTORS,
    "factor": 1.0,
    "attention_factor": 1.1,
    "original_max_position_embeddings": 64,
}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}

# name -> (class prefix in transformers, what differs from TINY, rotary settings)
FAMILIES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "llama-2": ("Llama", {"num_key_value_heads": 4}, {"rope_theta": 1e4}),
    "code-llama": ("Llama", {"num_key_value_heads": 4}, {"rope_theta": 1e6}),  # 7B, 13B
    "code-llama-70b": ("Llama", {"num_attention_heads": 8, "num_key_value_heads": 1}, {"rope_theta": 1e6}),  # 34B too
    "code-llama-70b-python": ("Llama", {"num_attention_heads": 8, "num_key_value_heads": 1}, {"rope_theta": 1e4}),
    "llama-3": ("Llama", {"eos_token_id": [2, 5, 7]}, {"rope_theta": 5e5}),
    "llama-3.1": ("Llama", {"head_dim": 16}, {"rope_theta": 5e5, **LLAMA3}),
    "llama-3.2": ("Llama", {"tie_word_embeddings": True}, {"rope_theta": 5e5, **LLAMA3, "factor": 32.0}),
    "deepseek-coder": ("Llama", {"num_key_value_heads": 4}, {"rope_theta": 1e5, "rope_type": "linear", "factor": 4.0}),
    "yi-coder": ("Llama", {"num_key_value_heads": 1}, {"rope_theta": 1e7}),
    "opencoder": ("Llama", {"vocab_size": 192}, {"rope_theta": 5e5}),
    "granite-code": (
        "Llama",
        {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True},
        {"rope_theta": 1e7},
    ),
    "smollm2": (
        "Llama",
        {"num_attention_heads": 3, "hidden_size": 48, "num_key_value_heads": 1, "tie_word_embeddings": True},
        {"rope_theta": 1e5},
    ),
    "mistral": ("Mistral", {"sliding_window": 20}, {"rope_theta": 1e4}),
    "codestral": ("Mistral", {"sliding_window": None, "head_dim": 32}, {"rope_theta": 1e6}),
    "qwen2": ("Qwen2", {}, {"rope_theta": 1e6}),
    "qwen2.5-coder": ("Qwen2", {"tie_word_embeddings": True, "vocab_size": 160}, {"rope_theta": 1e6, **YARN}),
    "llama-longrope": ("Llama", {}, {"rope_theta": 1e4, **LONGROPE}),
    "llama-yarn": ("Llama", {}, {"rope_theta": 1e4, **YARN, "beta_fast": 16, "attention_factor": 1.2}),
}


def make(name: str, directory: Path | None = None) -> Any:
    """The model, in evaluation mode, float32; saved into `directory` too."""
    import transformers

    prefix, changes, rope = FAMILIES[name]
    rope = {"rope_type": "default", **rope}
    config = getattr(transformers, f"{prefix}Config")(**{**TINY, **changes}, rope_parameters=rope)
    config._attn_implementation = "eager"
    torch.manual_seed(3)
    model = getattr(transformers, f"{prefix}ForCausalLM")(config).eval()
    with torch.no_grad():  # larger than the usual initialisation, so that positions, biases and layers matter
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * (0.08 if parameter.ndim > 1 else 0.2))
    if directory is not None:
        model.save_pretrained(directory)
    return model
