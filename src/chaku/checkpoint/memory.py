"""Whether a model fits into the memory, said before its weights are read."""

from pathlib import Path

import torch

from chaku.checkpoint.catalogue import CATALOGUE
from chaku.checkpoint.weights import weight_files
from chaku.console import short
from chaku.errors import ChakuError
from chaku.files import read_json
from chaku.machine import total_memory
from chaku.model.config import LlamaConfig
from chaku.model.memory import free_memory, gigabytes, model_memory
from chaku.model.quantization import Scheme


def check_memory(
    config: LlamaConfig,
    path: Path,
    dtype: torch.dtype | None,
    device: torch.device | str = "cpu",
    scheme: Scheme | None = None,
) -> None:
    """Raises ChakuError, with what would fit, when a checkpoint's weights are larger than the memory of a device.

    Copied weights must fit into what is free. Weights that stay in their mapped files never exhaust the memory, as the
    system can drop them and read them again; they are refused only when they are larger than all of the memory, since
    every token would then read them from the disk. On a GPU all weights are copies.
    """
    device = torch.device(device)
    mapped = device.type == "cpu" and scheme is None and stays_mapped(path, dtype)
    room = total_memory() if mapped else free_memory(device)
    dtype = dtype or stored_dtype(path) or torch.float32
    needed = model_memory(config, dtype, scheme)
    if room is None or needed <= room:
        return
    smaller = {
        "--quantize int8": model_memory(config, dtype, "int8"),
        "--quantize int4": model_memory(config, dtype, "int4"),
    }
    fitting = [f"{option} ({gigabytes(size)})" for option, size in smaller.items() if size <= room]
    models = [model for model in CATALOGUE if 2 * model.num_parameters <= room][-3:]
    advice = " or ".join(fitting or [model.name for model in models]) or "no model of the catalogue"
    raise ChakuError(
        f"{path}: {short(config.num_parameters).replace('G', 'B')} parameters as {scheme or _name(dtype)} need "
        f"{gigabytes(needed)} of memory, and {'all of it is' if mapped else 'free are'} {gigabytes(room)}; "
        f"what would fit: {advice}"
    )


def stays_mapped(path: Path, dtype: torch.dtype | None) -> bool:
    """Whether weights that become `dtype` stay in the file: those of a Hugging Face directory as they are stored."""
    if not (path / "config.json").is_file() or weight_files(path)[0].suffix != ".safetensors":
        return False
    return dtype is None or dtype == stored_dtype(path)


def stored_dtype(path: Path) -> torch.dtype | None:
    """The dtype that a directory's `config.json` states; None where there is none."""
    if not (path / "config.json").is_file():
        return None
    fields = read_json(path / "config.json")
    name = str(fields.get("dtype") or fields.get("torch_dtype")).removeprefix("torch.")
    return {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}.get(name)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
