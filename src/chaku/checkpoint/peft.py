"""Write LoRA adapters in PEFT's format: `adapter_config.json` and `adapter_model.safetensors`."""

from pathlib import Path

from torch import Tensor

from chaku.checkpoint.weights import save_tensors
from chaku.errors import ChakuError
from chaku.files import atomic_file, write_json
from chaku.model.config import LoraConfig
from chaku.model.llama import Llama
from chaku.model.lora import lora_layers

PREFIX = "base_model.model."  # PEFT's two wrappers around the model


def save_adapter(model: Llama, config: LoraConfig, directory: Path, base_model_name: str) -> None:
    """Write a model's adapter as `write_adapter`."""
    write_adapter(adapter_tensors(model), config, directory, base_model_name)


def write_adapter(tensors: dict[str, Tensor], config: LoraConfig, directory: Path, base_model_name: str) -> None:
    """Write the adapter in float32, each file atomically. `base_model_name`: the name or path of the base, for PEFT.

    Raises ChakuError when there are no tensors.
    """
    if not tensors:
        raise ChakuError("the model has no LoRA to save; save the whole checkpoint instead")
    tensors = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
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
        save_tensors(tensors, temporary)
    write_json(directory / "adapter_config.json", fields)


def adapter_tensors(model: Llama) -> dict[str, Tensor]:
    """The matrices of a model's LoRA by PEFT's names."""
    return {
        f"{PREFIX}{name}.lora_{half}.weight": matrix.detach()
        for name, layer in lora_layers(model)
        for half, matrix in (("A", layer.lora_A), ("B", layer.lora_B))
    }
