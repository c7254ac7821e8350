"""A checkpoint in any format that chaku reads: Hugging Face's directory, Meta's directory, a Hub id."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from chaku.checkpoint.huggingface import build_model, find_checkpoint, load_config
from chaku.checkpoint.meta import is_meta, meta_files, read_meta
from chaku.checkpoint.weights import read_tensors, weight_files
from chaku.files import sha256_file, sha256_json
from chaku.model import Llama, LlamaConfig
from chaku.model.memory import check_fits
from chaku.model.quantization import Scheme


@dataclass(frozen=True)
class Checkpoint:
    """`tensors` come once, under Hugging Face's names, memory-mapped where the format allows."""

    directory: Path
    config: LlamaConfig
    tensors: Iterable[tuple[str, Tensor]]


def open_checkpoint(name: str | Path) -> Checkpoint:
    """Look at a checkpoint; no weight is read. Raises ChakuError for what is none, or not whole."""
    directory = find_checkpoint(name)
    if is_meta(directory):
        return Checkpoint(directory, *read_meta(directory))
    config = load_config(directory)
    return Checkpoint(directory, config, read_tensors(weight_files(directory)))


def load_model(
    name: str | Path,
    *,
    dtype: torch.dtype | None = torch.float32,
    device: torch.device | str = "cpu",
    scheme: Scheme | None = None,
) -> Llama:
    """A model from any format. `dtype` None keeps the checkpoint's own; `scheme` quantises each tensor as it comes.

    Each tensor goes from its file straight to its dtype and device, so that memory holds the weights once; where
    neither changes, they stay in the mapped file (Meta's tensors, which are merged or turned, are copied). Raises
    ChakuError for an architecture that is not known or a model larger than the memory (before any weight is read) and
    for a missing, truncated or misshapen checkpoint, naming file and tensor.
    """
    opened = open_checkpoint(name)
    if dtype is not None:
        check_fits(opened.config, name, dtype=dtype, device=device, scheme=scheme)
    return build_model(opened.config, opened.tensors, opened.directory, dtype, device, scheme)


def sha256_checkpoint(directory: Path) -> str:
    """The hash of a checkpoint's weight files."""
    hashes = [sha256_file(path) for path in (meta_files if is_meta(directory) else weight_files)(directory)]
    return hashes[0] if len(hashes) == 1 else sha256_json(hashes)
