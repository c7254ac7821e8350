"""Open a checkpoint in any format that chaku reads: Hugging Face's or Meta's directory, a GGUF file, a Hub id."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from chaku.checkpoint.find import find_checkpoint
from chaku.checkpoint.gguf_read import read_gguf, read_packed_gguf
from chaku.checkpoint.huggingface import build_model, load_config, untie_if_different
from chaku.checkpoint.memory import check_memory
from chaku.checkpoint.meta import is_meta, meta_files, read_meta
from chaku.checkpoint.weights import read_tensors, weight_files
from chaku.files import sha256_file, sha256_json
from chaku.gguf_file import gguf_files, is_gguf
from chaku.model.config import LlamaConfig
from chaku.model.llama import Llama
from chaku.model.packing import Packed
from chaku.model.quantization import Scheme


@dataclass(frozen=True)
class Checkpoint:
    """An opened checkpoint. `path`: a directory or a GGUF file.

    `tensors` can be iterated once. They have Hugging Face's names and are memory-mapped if the format allows it.
    """

    path: Path
    config: LlamaConfig
    tensors: Iterable[tuple[str, Tensor]]


@dataclass(frozen=True)
class PackedCheckpoint:
    """As `Checkpoint`, but some matrices may be packed."""

    path: Path
    config: LlamaConfig
    tensors: Iterable[tuple[str, Tensor | Packed]]


def open_checkpoint(name: str | Path, dtype: torch.dtype | None = None) -> Checkpoint:
    """Open a checkpoint without reading its weights. Raises ChakuError when `name` is no checkpoint, or incomplete.

    Quantised weights of a GGUF file become `dtype`, or (None) float32; other weights keep their stored dtype.
    """
    path = find_checkpoint(name)
    if is_gguf(path):
        return Checkpoint(path, *read_gguf(path, dtype))
    if is_meta(path):
        return Checkpoint(path, *read_meta(path))
    config = untie_if_different(load_config(path), read_tensors(weight_files(path)), path)
    return Checkpoint(path, config, read_tensors(weight_files(path)))


def open_packed(path: Path) -> PackedCheckpoint:
    """As `open_checkpoint`, but a GGUF file's matrices of signed codes of up to 8 bits stay packed."""
    if is_gguf(path):
        return PackedCheckpoint(path, *read_packed_gguf(path))
    opened = open_checkpoint(path)
    return PackedCheckpoint(opened.path, opened.config, opened.tensors)


def load_model(
    name: str | Path,
    *,
    dtype: torch.dtype | None = torch.float32,
    device: torch.device | str = "cpu",
    scheme: Scheme | None = None,
) -> Llama:
    """Load a model from any format. `dtype` None keeps the checkpoint's dtypes; `scheme` quantises the projections.

    Every tensor moves from its file directly to its dtype and device, so that memory holds the weights once. If neither
    changes, the weights stay in the mapped file (except Meta's, which are merged and rearranged). Quantised weights of
    a GGUF file become `dtype`, or (None) float32. Raises ChakuError, before any weight is read, for an unknown
    architecture and for a model that is larger than the memory; and, naming file and tensor, for a checkpoint that is
    incomplete or has a tensor of the wrong shape.
    """
    opened = open_checkpoint(name, dtype)
    check_memory(opened.config, opened.path, dtype, device, scheme)
    return build_model(opened.config, opened.tensors, opened.path, dtype, device, scheme)


def sha256_checkpoint(path: Path) -> str:
    """The SHA-256 of a checkpoint's weight files."""
    find_files = gguf_files if is_gguf(path) else meta_files if is_meta(path) else weight_files
    hashes = [sha256_file(file) for file in find_files(path)]
    return hashes[0] if len(hashes) == 1 else sha256_json(hashes)
