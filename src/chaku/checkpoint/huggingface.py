"""Read and write Hugging Face model directories: `config.json` and `model.safetensors`."""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from chaku.errors import ChakuError
from chaku.files import atomic_file, read_json, write_json
from chaku.model import Llama, LlamaConfig


def save_model(model: Llama, directory: Path) -> None:
    """Write `config.json`, `generation_config.json` and `model.safetensors` into a directory, each file atomically."""
    write_json(directory / "config.json", config_to_json(model.config, str(model.lm_head.weight.dtype)))
    generation = {"bos_token_id": model.config.bos_token_id, "eos_token_id": model.config.eos_token_id}
    write_json(directory / "generation_config.json", generation)
    tensors = {name: tensor.detach().contiguous() for name, tensor in model.state_dict().items()}
    if model.config.tie_word_embeddings:
        del tensors["lm_head.weight"]
    with atomic_file(directory / "model.safetensors") as temporary:
        save_file(tensors, temporary, metadata={"format": "pt"})


def load_config(directory: Path) -> LlamaConfig:
    """The shape of a checkpoint. Raises ChakuError for a directory without a `config.json` that describes a Llama."""
    if not (directory / "config.json").is_file():
        raise ChakuError(f"{directory} is not a checkpoint: it has no config.json; name a model directory")
    return config_from_json(read_json(directory / "config.json"), directory)


def load_model(directory: Path, *, dtype: torch.dtype = torch.float32) -> Llama:
    """Load a Llama. Raises ChakuError for a missing, truncated or misshapen checkpoint, naming the file and tensor."""
    config = load_config(directory)
    with torch.device("meta"):
        model = Llama(config)
    expected = model.state_dict()
    if config.tie_word_embeddings:
        del expected["lm_head.weight"]
    loaded = {name: tensor.to(dtype) for name, tensor in _read_tensors(directory / "model.safetensors").items()}
    for name, tensor in expected.items():
        if name not in loaded:
            raise ChakuError(f"{directory}/model.safetensors lacks the tensor {name}, which its config.json asks for")
        if loaded[name].shape != tensor.shape:
            raise ChakuError(
                f"{directory}/model.safetensors: {name} has shape {tuple(loaded[name].shape)}, but config.json "
                f"asks for {tuple(tensor.shape)}; the two files do not belong together"
            )
    if unknown := sorted(loaded.keys() - expected.keys()):
        raise ChakuError(f"{directory}/model.safetensors has tensors that a Llama has not: {', '.join(unknown[:5])}")
    model.load_state_dict(loaded, assign=True, strict=False)
    if config.tie_word_embeddings:
        model.lm_head.weight = model.model.embed_tokens.weight
    return model.requires_grad_(True)


def _read_tensors(path: Path) -> dict[str, torch.Tensor]:
    if not path.is_file():
        raise ChakuError(f"{path} does not exist: the checkpoint has no weights")
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError) as error:
        raise ChakuError(f"{path} cannot be read ({error}); it is truncated or damaged: copy it again") from error


def config_to_json(config: LlamaConfig, dtype: str = "torch.float32") -> dict[str, Any]:
    """The configuration as Hugging Face's `config.json`. `rope_theta` is always written out."""
    scaling = None
    if config.rope_scaling_factor != 1.0:
        scaling = {"type": "linear", "rope_type": "linear", "factor": config.rope_scaling_factor}
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size,
        "num_hidden_layers": config.num_hidden_layers,
        "num_attention_heads": config.num_attention_heads,
        "num_key_value_heads": config.num_key_value_heads,
        "head_dim": config.head_dim,
        "max_position_embeddings": config.max_position_embeddings,
        "rope_theta": config.rope_theta,
        "rope_scaling": scaling,
        "rms_norm_eps": config.rms_norm_eps,
        "tie_word_embeddings": config.tie_word_embeddings,
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "bos_token_id": config.bos_token_id,
        "eos_token_id": config.eos_token_id,
        "torch_dtype": dtype.removeprefix("torch."),
    }


def config_from_json(fields: dict[str, Any], directory: Path) -> LlamaConfig:
    """Read Hugging Face's `config.json`. Raises ChakuError for another architecture or a missing field."""
    if fields.get("model_type") != "llama":
        raise ChakuError(
            f"{directory}/config.json: model_type is {fields.get('model_type')!r}; chaku loads 'llama' checkpoints"
        )
    # transformers 5 writes rotary settings as one dictionary, earlier versions as two fields.
    rope = {**(fields.get("rope_scaling") or {}), **(fields.get("rope_parameters") or {})}
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind not in ("default", "linear"):
        raise ChakuError(f"{directory}/config.json: rotary scaling {kind!r} is not supported; 'linear' is")
    try:
        return LlamaConfig(
            vocab_size=fields["vocab_size"],
            hidden_size=fields["hidden_size"],
            intermediate_size=fields["intermediate_size"],
            num_hidden_layers=fields["num_hidden_layers"],
            num_attention_heads=fields["num_attention_heads"],
            num_key_value_heads=fields.get("num_key_value_heads") or fields["num_attention_heads"],
            max_position_embeddings=fields["max_position_embeddings"],
            rope_theta=float(fields.get("rope_theta") or rope.get("rope_theta") or 10_000.0),
            rms_norm_eps=fields["rms_norm_eps"],
            rope_scaling_factor=float(rope.get("factor", 1.0)) if kind == "linear" else 1.0,
            tie_word_embeddings=fields.get("tie_word_embeddings", False),
            bos_token_id=fields.get("bos_token_id", 1),
            eos_token_id=fields.get("eos_token_id", 2),
        )
    except KeyError as error:
        raise ChakuError(f"{directory}/config.json lacks the field {error}") from None
