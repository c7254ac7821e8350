"""The engines that measure a run's stages; many ranks share a model that is too large for one GPU."""

from pathlib import Path

import torch

from chaku.checkpoint.formats import open_checkpoint
from chaku.checkpoint.memory import stored_dtype
from chaku.inference.engine import Engine
from chaku.inference.load import load_engine
from chaku.inference.shared_decoder import SharedDecoder, WriteWork, most_sharing
from chaku.launcher import num_ranks
from chaku.model.memory import free_memory, model_memory
from chaku.tokens.load import load_tokenizer
from chaku.training.ranks import announce

WEIGHTS_SHARE = 0.8  # of a GPU's free memory: the cache of keys and values needs the rest


class Engines:
    """The engines of rank 0, one at a time."""

    def __init__(self, device: torch.device):
        self._device = device
        self._shared: SharedDecoder | None = None

    def open(self, path: Path) -> Engine:
        """The engine of a checkpoint; the ranks share the model if it is too large for one GPU. Closes the last one.

        Raises ChakuError as `load_engine`.
        """
        self.close()
        dtype = stored_dtype(path) or torch.bfloat16
        if (size := self._sharing(path, dtype)) == 1:
            return load_engine(path, device=str(self._device))
        work = WriteWork(path, dtype, size)
        announce(work)
        self._shared = SharedDecoder(work, self._device)
        return Engine(self._shared, load_tokenizer(path))

    def close(self) -> None:
        """Let the other ranks go."""
        if self._shared is not None:
            self._shared.close()
            self._shared = None

    def _sharing(self, path: Path, dtype: torch.dtype) -> int:
        """The number of ranks that share a checkpoint."""
        if num_ranks() == 1 or self._device.type != "cuda":
            return 1
        room = free_memory(self._device) or 0
        config = open_checkpoint(path).config
        return 1 if model_memory(config, dtype) < WEIGHTS_SHARE * room else most_sharing(config, num_ranks())
