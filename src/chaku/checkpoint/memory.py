"""Check, before a model's weights are read, that they fit into the memory."""

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
    """Raises ChakuError, with advice, when a checkpoint's weights do not fit into the memory of a device.

    Copied weights must fit into the free memory. On a GPU all weights are copies. Weights that stay in their mapped
    files can never exhaust the memory, because the system can drop them and read them again. They are refused only when
    they are larger than the whole memory, because every token would then read them from the disk.
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
        f"{gigabytes(needed)} of memory, but only {gigabytes(room)} {'exist' if mapped else 'are free'}; "
        f"this would fit: {advice}"
    )


def stays_mapped(path: Path, dtype: torch.dtype | None) -> bool:
    """Whether weights loaded as `dtype` stay in their mapped file: safetensors weights that are stored in `dtype`."""
    if not (path / "config.json").is_file() or weight_files(path)[0].suffix != ".safetensors":
        return False
    return dtype is None or dtype == stored_dtype(path)


def stored_dtype(path: Path) -> torch.dtype | None:
    """The dtype in a directory's `config.json`; None when there is no such file or dtype."""
    if not (path / "config.json").is_file():
        return None
    fields = read_json(path / "config.json")
    name = str(fields.get("dtype") or fields.get("torch_dtype")).removeprefix("torch.")
    return {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}.get(name)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
