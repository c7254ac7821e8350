"""Whether a model fits into the memory, said before its weights are read."""

import os
from contextlib import suppress
from pathlib import Path

import torch

from chaku.checkpoint.catalogue import CATALOGUE
from chaku.checkpoint.weights import weight_files
from chaku.console import short
from chaku.errors import ChakuError
from chaku.files import read_json
from chaku.model import LlamaConfig
from chaku.model.quantization import Scheme

# Bytes of a weight in the layers' matrices, scales included (int4: a scale and a zero of 16 bits for 32 weights).
_QUANTIZED: dict[Scheme, float] = {"int8": 1.01, "int4": 0.625, "nf4": 0.52}
_GROUPS = Path("/sys/fs/cgroup")  # where Linux tells the limits of containers and services


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
    if device.type == "cuda":
        room: int | None = torch.cuda.mem_get_info(device)[0]
    else:
        room = (total_memory() if mapped else available_memory()) if device.type == "cpu" else None
    dtype = dtype or stored_dtype(path) or torch.float32
    needed = weights_bytes(config, dtype, scheme)
    if room is None or needed <= room:
        return
    smaller = {
        "--quantize int8": weights_bytes(config, dtype, "int8"),
        "--quantize int4": weights_bytes(config, dtype, "int4"),
    }
    fitting = [f"{option} ({_gigabytes(size)})" for option, size in smaller.items() if size <= room]
    models = [model for model in CATALOGUE if 2 * model.num_parameters <= room][-3:]
    advice = " or ".join(fitting or [model.name for model in models]) or "no model of the catalogue"
    raise ChakuError(
        f"{path}: {short(config.num_parameters).replace('G', 'B')} parameters as {scheme or _name(dtype)} need "
        f"{_gigabytes(needed)} of memory, and {'all of it is' if mapped else 'free are'} {_gigabytes(room)}; "
        f"what would fit: {advice}"
    )


def weights_bytes(config: LlamaConfig, dtype: torch.dtype, scheme: Scheme | None = None) -> int:
    """Bytes of the weights in memory; a scheme quantises the layers and leaves embeddings and output in `dtype`."""
    embeddings = config.vocab_size * config.hidden_size * (1 if config.tie_word_embeddings else 2)
    of_layers = _QUANTIZED[scheme] if scheme else dtype.itemsize
    return int(embeddings * dtype.itemsize + (config.num_parameters - embeddings) * of_layers)


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


def total_memory() -> int | None:
    """Bytes of memory of this machine, within its control groups' limits; None where the system does not tell."""
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None
    return min([total, *(limit for limit, _ in _group_limits())])


def available_memory(meminfo: Path = Path("/proc/meminfo")) -> int | None:
    """Bytes of memory that can be taken without swapping: Linux says so, elsewhere it is the machine's memory.

    Within a control group (a container, a service) what its limit leaves; the files that it has in the page cache do
    not count as used, because the system drops them when memory is asked for.
    """
    try:
        fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        available = int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return total_memory()
    return min([available, *(limit - used for limit, used in _group_limits())])


def _group_limits(own: Path = Path("/proc/self/cgroup"), groups: Path = _GROUPS) -> list[tuple[int, int]]:
    """(limit, used) in bytes of this process's control group and those above it, in both versions of control groups."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, controllers, name = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        root = groups / "memory" if controllers else groups
        files = (
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_")  # version 1
            if controllers
            else ("memory.max", "memory.current", "")
        )
        folder = root / name.lstrip("/")
        for group in (folder, *folder.parents):
            with suppress(OSError, ValueError):  # no such file; "max": no limit
                found.append(_limit(group, *files))
            if group == root:
                break
    return found


def _limit(group: Path, limit_file: str, used_file: str, prefix: str) -> tuple[int, int]:
    limit, used = int((group / limit_file).read_text()), int((group / used_file).read_text())
    stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    cached = sum(int(stat.get(f"{prefix}{kind}_file", 0)) for kind in ("active", "inactive"))
    return limit, max(0, used - cached)


def _gigabytes(num_bytes: float) -> str:
    return f"{num_bytes / 1e9:.1f} GB" if num_bytes >= 1e8 else f"{num_bytes / 1e6:.1f} MB"


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
