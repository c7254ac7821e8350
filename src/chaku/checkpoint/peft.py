"""LoRA adapters in PEFT's format: `adapter_config.json` and `adapter_model.safetensors`."""

import re
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from chaku.checkpoint.weights import read_tensors
from chaku.errors import ChakuError
from chaku.files import atomic_file, read_json, write_json
from chaku.model import Llama
from chaku.model.lora import LoraConfig, add_lora, find_targets, lora_layers
from chaku.model.quantization import PROJECTIONS

_PREFIX = "base_model.model."  # PEFT's two wrappers around the model
# Fields that change nothing in what a saved adapter computes; any other that is set must be one that is read below.
_NO_EFFECT = {
    "task_type",
    "auto_mapping",
    "base_model_name_or_path",
    "revision",
    "inference_mode",
    "peft_version",
    "megatron_core",
    "qalora_group_size",
    "loftq_config",
    "eva_config",
    "corda_config",
    "lora_ga_config",
    "runtime_config",
}
_READ = {"peft_type", "r", "lora_alpha", "lora_dropout", "target_modules", "use_rslora", "bias", "init_lora_weights"}
# Initialisations that leave the base's weights alone. The others (pissa, olora, loftq...) change them on loading.
_INITIALISATIONS = (None, True, False, "gaussian", "eva", "orthogonal", "mica")


def save_adapter(model: Llama, config: LoraConfig, directory: Path, base_model_name: str) -> None:
    """Write the adapter, in float32, each file atomically; `base_model_name` is where PEFT finds its base.

    Raises ChakuError for a model without LoRA.
    """
    tensors = {
        f"{_PREFIX}{name}.lora_{each}.weight": matrix.detach().cpu().contiguous()
        for name, layer in lora_layers(model)
        for each, matrix in (("A", layer.lora_A), ("B", layer.lora_B))
    }
    if not tensors:
        raise ChakuError("the model has no LoRA to save; merged into the base it is saved as a whole checkpoint")
    fields = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base_model_name,
        "inference_mode": True,
        "r": config.rank,
        "lora_alpha": config.alpha,
        "lora_dropout": config.dropout,
        "target_modules": list(config.targets),
        "use_rslora": config.rslora,
        "use_dora": False,
        "bias": "none",
        "fan_in_fan_out": False,
        "init_lora_weights": True,
        "modules_to_save": None,
        "rank_pattern": {},
        "alpha_pattern": {},
    }
    with atomic_file(directory / "adapter_model.safetensors") as temporary:
        save_file(tensors, temporary, metadata={"format": "pt"})
    write_json(directory / "adapter_config.json", fields)


def load_adapter(model: Llama, directory: Path) -> LoraConfig:
    """Add an adapter that PEFT or `save_adapter` wrote, ready to train further or to merge.

    Raises ChakuError, before the model changes, for anything that chaku does not compute, naming the field, and for
    tensors that do not fit the model, naming the tensor.
    """
    where = f"{directory}/adapter_config.json"
    fields = read_json(directory / "adapter_config.json")
    try:
        config = _config(model, fields, where)
        targets = find_targets(model, config.targets)
    except KeyError as error:
        raise ChakuError(f"{where} lacks the field {error}") from None
    except ChakuError as error:
        raise ChakuError(f"{where}: {error}") from None
    tensors = _tensors(targets, config.rank, directory)
    add_lora(model, config)
    with torch.no_grad():
        for name, layer in lora_layers(model):
            layer.lora_A.copy_(tensors[f"{_PREFIX}{name}.lora_A.weight"])
            layer.lora_B.copy_(tensors[f"{_PREFIX}{name}.lora_B.weight"])
    return config


def _config(model: Llama, fields: dict[str, Any], where: str) -> LoraConfig:
    if (kind := fields.get("peft_type")) != "LORA":
        raise ChakuError(f"peft_type is {kind!r}; chaku computes 'LORA'")
    if (bias := fields.get("bias", "none")) != "none":
        raise ChakuError(f"bias is {bias!r}; chaku trains no biases ('none')")
    if (start := fields.get("init_lora_weights")) not in _INITIALISATIONS:
        raise ChakuError(f"init_lora_weights is {start!r}, which changes the base; convert the adapter with PEFT")
    for name, value in fields.items():
        if value and name not in _NO_EFFECT | _READ:
            raise ChakuError(f"{name} is {value!r}, which chaku does not compute; merge this adapter with PEFT")
    return LoraConfig(
        rank=fields["r"],
        alpha=fields["lora_alpha"],
        dropout=fields.get("lora_dropout", 0.0),
        targets=_targets(model, fields["target_modules"]),
        rslora=fields.get("use_rslora", False),
    )


def _targets(model: Llama, modules: list[str] | str) -> tuple[str, ...]:
    """PEFT's `target_modules`: names or ends of names, "all-linear", or an expression that a whole name matches."""
    if modules == "all-linear":
        return PROJECTIONS
    if not isinstance(modules, str):
        return tuple(sorted(modules or ()))
    try:
        found = tuple(name for name in find_targets(model, PROJECTIONS) if re.fullmatch(modules, name))
    except re.error as error:
        raise ChakuError(f"target_modules {modules!r} is not a regular expression ({error})") from None
    if not found:
        raise ChakuError(f"target_modules {modules!r} matches no projection of the model")
    return found


def _tensors(targets: dict[str, nn.Linear], rank: int, directory: Path) -> dict[str, Tensor]:
    """The adapter's tensors under PEFT's names, all of them and of the right shape."""
    candidates = [directory / "adapter_model.safetensors", directory / "adapter_model.bin"]
    path = next((each for each in candidates if each.is_file()), None)
    if path is None:
        raise ChakuError(f"{directory} has no weights: neither adapter_model.safetensors nor adapter_model.bin")
    shapes = {}
    for name, linear in targets.items():
        shapes[f"{_PREFIX}{name}.lora_A.weight"] = (rank, linear.in_features)
        shapes[f"{_PREFIX}{name}.lora_B.weight"] = (linear.out_features, rank)
    tensors = {}
    for name, tensor in read_tensors([path]):
        if name not in shapes:
            raise ChakuError(f"{path} has the tensor {name}, which its configuration does not ask for")
        if tuple(tensor.shape) != shapes[name]:
            raise ChakuError(
                f"{path}: {name} has shape {tuple(tensor.shape)}, but rank and model ask for {shapes[name]}; "
                "the adapter belongs to another model"
            )
        tensors[name] = tensor
    if missing := shapes.keys() - tensors.keys():
        raise ChakuError(f"{path} lacks the tensor {min(missing)}, which its configuration asks for")
    return tensors
