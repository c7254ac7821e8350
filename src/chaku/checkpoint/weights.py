"""Read and write the weight files of a checkpoint directory: one file or shards, safetensors or PyTorch's `.bin`."""

import pickle
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from chaku.errors import ChakuError
from chaku.files import atomic_file, read_json, refuse_lfs_pointer, write_json

MAX_SHARD_BYTES = 5_000_000_000  # bytes per weight file: huggingface_hub's default
REOPEN_BYTES = 2**28  # bytes read through one memory map, whose pages count as memory beside the copies made of them


def weight_files(directory: Path) -> list[Path]:
    """The weight files of a checkpoint: safetensors, else `.bin`. Raises ChakuError when a file is missing."""
    for stem, ending in (("model", ".safetensors"), ("pytorch_model", ".bin")):
        single, index = directory / f"{stem}{ending}", directory / f"{stem}{ending}.index.json"
        if single.is_file():
            return [single]
        if index.is_file():
            files = [directory / name for name in sorted(set(read_json(index)["weight_map"].values()))]
            if missing := [file.name for file in files if not file.is_file()]:
                raise ChakuError(f"{index} names {', '.join(missing)}, which {directory} lacks: copy the rest")
            return files
    raise ChakuError(
        f"{directory} has no weights: neither model.safetensors nor pytorch_model.bin, whole or in shards; copy them "
        "there"
    )


def read_tensors(paths: Iterable[Path]) -> Iterator[tuple[str, Tensor]]:
    """(name, tensor) of all tensors in some files, memory-mapped: a tensor is read from disk when it is used.

    If a tensor is changed, the system copies its pages; the file stays as it is. Raises ChakuError for a file that is
    truncated or damaged.
    """
    for path in paths:
        try:
            opening = _open_safetensors if path.suffix == ".safetensors" else open_torch
            names, get = opening(path)
            mapped = 0
            for name in names:
                if mapped > REOPEN_BYTES:
                    _, get = opening(path)
                    mapped = 0
                tensor = get(name)
                mapped += tensor.nbytes
                yield name, tensor
        except (SafetensorError, OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
            refuse_lfs_pointer(path)
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ChakuError(f"{path} cannot be read ({reason}); it is truncated or damaged: copy it again") from error


def _open_safetensors(path: Path) -> tuple[list[str], Callable[[str], Tensor]]:
    file = safe_open(path, framework="pt")
    return list(file.keys()), file.get_tensor


def open_torch(path: Path) -> tuple[list[str], Callable[[str], Tensor]]:
    """(names, function from name to tensor) for a file of torch.save; no code in the file is run."""
    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except RuntimeError as error:
        if "mmap" not in str(error):
            raise
        tensors = torch.load(path, map_location="cpu", weights_only=True)  # torch before 1.6 wrote it: cannot be mapped
    return list(tensors), tensors.__getitem__


def write_tensors(
    tensors: Iterable[tuple[str, Tensor]], directory: Path, max_shard_bytes: int = MAX_SHARD_BYTES
) -> None:
    """Write `model.safetensors`, or shards of at most `max_shard_bytes` and their index; remove older weight files.

    Memory holds one shard. The index is written last, so that incomplete shards are never found.
    """
    directory.mkdir(parents=True, exist_ok=True)
    written: list[dict[str, int]] = []
    shard: dict[str, Tensor] = {}

    def flush() -> None:
        write_shard(shard, directory, len(written))
        written.append({name: tensor.nbytes for name, tensor in shard.items()})
        shard.clear()

    for name, tensor in tensors:
        if shard and sum(other.nbytes for other in shard.values()) + tensor.nbytes > max_shard_bytes:
            flush()
        shard[name] = tensor.detach().cpu().contiguous()
    flush()
    finish_shards(directory, written)


def plan_shards(sizes: dict[str, int], max_shard_bytes: int) -> list[list[str]]:
    """The names of each shard's tensors. `sizes`: bytes of each tensor."""
    shards: list[list[str]] = [[]]
    free = max_shard_bytes
    for name, size in sizes.items():
        if shards[-1] and size > free:
            shards.append([])
            free = max_shard_bytes
        shards[-1].append(name)
        free -= size
    return shards


def write_shard(tensors: dict[str, Tensor], directory: Path, number: int) -> None:
    """Write shard `number`, from 0, under a name that no reader looks for until `finish_shards`."""
    with atomic_file(directory / f".shard-{number + 1}.safetensors") as temporary:
        save_tensors(tensors, temporary)


def save_tensors(tensors: dict[str, Tensor], path: Path) -> None:
    """Write one safetensors file with the permissions of any new file: the library's are for the owner alone."""
    path.touch()
    mode = path.stat().st_mode
    save_file(tensors, path, metadata={"format": "pt"})
    path.chmod(mode & 0o777)


def finish_shards(directory: Path, shards: list[dict[str, int]]) -> None:
    """Give the written shards their names, write their index, and remove older weight files.

    `shards`: the bytes of each shard's tensors, by name.
    """
    before = {path for pattern in ("model*.safetensors*", "pytorch_model*.bin*") for path in directory.glob(pattern)}
    written = set()
    weight_map: dict[str, str] = {}
    for number, sizes in enumerate(shards, start=1):
        name = "model.safetensors" if len(shards) == 1 else f"model-{number:05}-of-{len(shards):05}.safetensors"
        written.add((directory / f".shard-{number}.safetensors").replace(directory / name))
        weight_map |= dict.fromkeys(sizes, name)
    if len(shards) > 1:
        index = directory / "model.safetensors.index.json"
        total = sum(size for sizes in shards for size in sizes.values())
        for stale in before & {directory / "model.safetensors"}:
            stale.unlink()  # a reader would prefer it to the shards
        write_json(index, {"metadata": {"total_size": total}, "weight_map": weight_map})
        written.add(index)
    for stale in before - written:
        stale.unlink(missing_ok=True)
