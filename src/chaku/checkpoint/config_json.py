"""Read and write Hugging Face's `config.json` for the model families that chaku supports."""

from pathlib import Path
from typing import Any

from chaku.errors import ChakuError
from chaku.model.config import LlamaConfig, RopeScaling

# By model_type: the class in transformers, and the fields whose defaults in transformers differ from Llama's.
ARCHITECTURES = {"llama": "LlamaForCausalLM", "mistral": "MistralForCausalLM", "qwen2": "Qwen2ForCausalLM"}
_DEFAULTS: dict[str, dict[str, Any]] = {
    "llama": {"max_position_embeddings": 2048},
    "mistral": {"max_position_embeddings": 131_072, "num_key_value_heads": 8, "sliding_window": 4096},
    "qwen2": {"max_position_embeddings": 32_768, "attention_bias": True, "bos_token_id": None, "eos_token_id": None},
}


def config_to_json(config: LlamaConfig, dtype: str = "torch.float32") -> dict[str, Any]:
    """The content of `config.json`. `rope_theta` is always written out."""
    eos = config.eos_token_id
    fields: dict[str, Any] = {
        "architectures": [ARCHITECTURES[config.model_type]],
        "model_type": config.model_type,
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size,
        "num_hidden_layers": config.num_hidden_layers,
        "num_attention_heads": config.num_attention_heads,
        "num_key_value_heads": config.num_key_value_heads,
        "head_dim": config.head_dim,
        "max_position_embeddings": config.max_position_embeddings,
        "rope_theta": config.rope_theta,
        "rope_scaling": _scaling_to_json(config.rope_scaling),
        "rms_norm_eps": config.rms_norm_eps,
        "tie_word_embeddings": config.tie_word_embeddings,
        "hidden_act": "silu",
        "bos_token_id": config.bos_token_id,
        "eos_token_id": list(eos) if isinstance(eos, tuple) else eos,
        "torch_dtype": dtype.removeprefix("torch."),
    }
    if config.model_type == "llama":
        fields |= {"attention_bias": config.attention_bias, "mlp_bias": config.mlp_bias}
    if config.model_type == "mistral":
        fields["sliding_window"] = config.sliding_window
    if config.model_type == "qwen2":
        fields["use_sliding_window"] = False
    return fields


def config_from_json(fields: dict[str, Any], directory: Path) -> LlamaConfig:
    """The configuration in a `config.json`. Raises ChakuError, naming the file, for settings that chaku lacks."""
    where = f"{directory}/config.json"
    model_type = fields.get("model_type")
    if model_type not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise ChakuError(f"{where}: the architecture {model_type!r} is not one that chaku knows ({known})")
    if fields.get("quantization_config"):
        method = fields["quantization_config"].get("quant_method", "an unknown method")
        raise ChakuError(f"{where}: the weights are quantised ({method}); get the unquantised checkpoint")
    if (activation := fields.get("hidden_act", "silu")) != "silu":
        raise ChakuError(f"{where}: hidden_act is {activation!r}; chaku supports only 'silu'. Use another model")
    if fields.get("use_sliding_window"):
        raise ChakuError(
            f"{where}: use_sliding_window (a window in some layers only) is not supported; use another model"
        )
    get = {**_DEFAULTS[model_type], **fields}.get
    # transformers 5 writes rotary settings as one dictionary, earlier versions as two fields.
    rope = {**(fields.get("rope_scaling") or {}), **(fields.get("rope_parameters") or {})}
    eos = get("eos_token_id", 2)
    try:
        return LlamaConfig(
            vocab_size=fields["vocab_size"],
            hidden_size=fields["hidden_size"],
            intermediate_size=fields["intermediate_size"],
            num_hidden_layers=fields["num_hidden_layers"],
            num_attention_heads=fields["num_attention_heads"],
            num_key_value_heads=get("num_key_value_heads") or fields["num_attention_heads"],
            max_position_embeddings=get("max_position_embeddings") or 0,
            rope_theta=float(fields.get("rope_theta") or rope.get("rope_theta") or 10_000.0),
            rms_norm_eps=get("rms_norm_eps", 1e-6),
            rope_scaling=_scaling_from_json(rope, get("max_position_embeddings") or 0, where),
            tie_word_embeddings=get("tie_word_embeddings", False),
            bos_token_id=get("bos_token_id", 1),
            eos_token_id=tuple(eos) if isinstance(eos, list) else eos,
            head_dim=get("head_dim") or 0,
            attention_bias=get("attention_bias", False),
            mlp_bias=get("mlp_bias", False),
            sliding_window=get("sliding_window") if model_type == "mistral" else None,
            model_type=model_type,
        )
    except KeyError as error:
        raise ChakuError(f"{where} lacks the field {error}; get the file again") from None


def _scaling_to_json(scaling: RopeScaling | None) -> dict[str, Any] | None:
    if scaling is None:
        return None
    fields: dict[str, Any] = {"rope_type": scaling.rope_type, "type": scaling.rope_type, "factor": scaling.factor}
    if scaling.rope_type != "linear":
        fields["original_max_position_embeddings"] = scaling.original_max_position_embeddings
    if scaling.rope_type == "llama3":
        fields |= {"low_freq_factor": scaling.low_freq_factor, "high_freq_factor": scaling.high_freq_factor}
    if scaling.rope_type == "yarn":
        fields |= {"beta_fast": scaling.beta_fast, "beta_slow": scaling.beta_slow, "truncate": scaling.truncate}
    if scaling.factors is not None:
        fields |= {"short_factor": list(scaling.factors), "long_factor": list(scaling.factors)}
    if scaling.attention_factor is not None:
        fields["attention_factor"] = scaling.attention_factor
    return fields


def _scaling_from_json(rope: dict[str, Any], max_positions: int, where: str) -> RopeScaling | None:
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind in ("default", "dynamic"):  # "dynamic" only changes positions beyond max_position_embeddings
        return None
    if kind not in ("linear", "llama3", "yarn", "longrope"):
        raise ChakuError(
            f"{where}: rotary scaling {kind!r} is not supported; chaku supports dynamic, linear, llama3, yarn and "
            "longrope"
        )
    if kind == "longrope":
        return _longrope_from_json(rope, max_positions, where)
    if rope.get("mscale") or rope.get("mscale_all_dim"):
        raise ChakuError(f"{where}: rotary scaling with mscale (DeepSeek V2 and later) is not supported")
    names = ("low_freq_factor", "high_freq_factor", "beta_fast", "beta_slow", "attention_factor", "truncate")
    given = {name: rope[name] for name in names if rope.get(name) is not None}
    original = None if kind == "linear" else rope.get("original_max_position_embeddings") or max_positions
    try:
        return RopeScaling(kind, float(rope["factor"]), original, **given)
    except KeyError as error:
        raise ChakuError(f"{where}: rotary scaling lacks {error}; get the file again") from None


def _longrope_from_json(rope: dict[str, Any], max_positions: int, where: str) -> RopeScaling:
    short, long = rope.get("short_factor"), rope.get("long_factor")
    if not short or short != long or rope.get("attention_factor") is None:
        raise ChakuError(
            f"{where}: longrope needs an attention_factor and the same factors for short and long texts; use another "
            "model"
        )
    original = rope.get("original_max_position_embeddings") or max_positions
    factor, attention = float(rope.get("factor") or 1.0), float(rope["attention_factor"])
    return RopeScaling("longrope", factor, original, attention_factor=attention, factors=tuple(map(float, short)))
