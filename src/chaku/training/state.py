"""Saves and loads the state of an unfinished stage: weights, optimizer moments, step.

A state is a directory of torch's distributed checkpoints (DCP), so that it loads on another number of ranks and in
another layout. Its progress.json is written last: a directory without it is not a state.
"""

import dataclasses
import errno
import json
import os
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from fsspec.core import url_to_fs
from torch.optim import Optimizer

from chaku.console import say
from chaku.errors import ChakuError
from chaku.files import sha256_file, sha256_json
from chaku.model.llama import Llama
from chaku.model.lora import trainable_parameters
from chaku.training.optimizers import set_learning_rate
from chaku.training.ranks import ALONE, Ranks
from chaku.training.storage import error_of_one_rank, explained, is_local, reader, writer

_PROGRESS = "progress.json"


@dataclass(frozen=True)
class Progress:
    """The optimizer steps that a stage has done, and the seconds spent on them. The steps give the next sample's index.

    `precision`: the precision that "auto" chose. It is saved, so that a resumed stage goes on in the same precision.
    `heldout`: the mean held-out loss, in nats, when it was last measured. `num_steps`: the length of the stage, on
    which the learning rates depend.
    """

    step: int
    seconds: float
    precision: str | None = None
    heldout: float | None = None
    num_steps: int = 0


_PROGRESS_FIELDS = tuple(field.name for field in dataclasses.fields(Progress))


class States:
    """The saved states of a stage: a directory, or a URL that fsspec opens ("s3://bucket/run").

    `keep_last`: the number of newest states to keep; with `keep_best`, also the state with the lowest held-out loss.
    `keep_step`: the state after this number of steps is kept too.
    On many ranks and on a GPU, saving copies the state and writes it while training goes on. All ranks must call every
    method together.
    """

    def __init__(
        self,
        directory: str | Path,
        model: Llama,
        optimizer: Optimizer,
        ranks: Ranks = ALONE,
        *,
        keep_last: int = 1,
        keep_best: bool = False,
        keep_step: int | None = None,
    ):
        self.model, self.optimizer, self.ranks = model, optimizer, ranks
        self._keep_last, self._keep_best, self._keep_step = keep_last, keep_best, keep_step
        self._files, self._root = url_to_fs(str(directory))
        self._local = is_local(self._files)
        self._pending: tuple[Progress, Future] | None = None
        self._in_background = ranks.size > 1 or model.lm_head.weight.device.type == "cuda"
        if self._in_background:
            self._thread = ThreadPoolExecutor(1)
            # A group of its own: its messages must not mix with those of the training steps.
            self._group = dist.new_group(backend="gloo") if ranks.size > 1 else None

    def load(self, usable: Callable[[Progress], bool] = lambda _: True) -> Progress:
        """Load the newest usable state into model and optimizer. Without one, change nothing and return step 0.

        Raises ChakuError for a damaged state.
        """
        newest = self.ranks.from_first(self._newest(usable) if self.ranks.is_first else None)
        if newest is None:
            return Progress(0, 0.0)
        where = self._path(newest)
        problem, fields = "", {}
        try:
            fields = self._checked(newest)
            begin_state(self.optimizer)
            self._dcp("load", where)
        except Exception as error:
            if isinstance(error, MemoryError):
                raise
            problem = str(error).splitlines()[0] if str(error) else type(error).__name__
        if problem := next((text for text in self.ranks.all_objects(problem) if text), ""):
            raise ChakuError(
                f"{where} is damaged ({problem}): put it back from a copy, or remove it to start this stage again"
            )
        if (before := fields.pop("num_threads")) != (now := torch.get_num_threads()) and self.ranks.size == 1:
            say(f"this stage began on {before} threads and resumes on {now}: rounding will change losses very slightly")
        return Progress(**fields)

    def save(self, progress: Progress) -> None:
        """Save the state; `finish` tells when it is whole."""
        self.finish()
        where = self._path(progress.step)
        if self.ranks.is_first and self._files.exists(where):
            self._files.rm(where, recursive=True)  # left by a kill
        if not self._in_background:
            with self._writing():
                self._dcp("save", where)
                self._complete(progress, self._hashes(where))
            return
        from torch.distributed.checkpoint.state_dict_saver import async_save

        alone = self.ranks.size == 1
        written: Any = async_save(
            self._tensors(), storage_writer=writer(self._files, where), process_group=self._group, no_dist=alone
        )

        def hash_when_written() -> dict[str, Any]:
            with error_of_one_rank():
                written.result()
            return self._hashes(where)

        self._pending = progress, self._thread.submit(hash_when_written)

    def poll(self) -> None:
        """Complete the state that is being saved, if every rank has written its part."""
        if self._pending and not self.ranks.any(not self._pending[1].done()):
            self.finish()

    def finish(self) -> None:
        """Wait until the state that is being saved is whole, then remove the states that need not be kept."""
        if self._pending is None:
            return
        progress, hashes = self._pending
        self._pending = None
        with self._writing():
            parts = self.ranks.all_objects(hashes.result())
            self._complete(progress, {name: value for part in parts for name, value in part.items()})

    def _complete(self, progress: Progress, files: dict[str, Any]) -> None:
        """Write progress.json, and remove the states that need not be kept."""
        if not self.ranks.is_first:
            return
        fields = {**asdict(progress), "num_threads": torch.get_num_threads(), "files": files}
        text = json.dumps({**fields, "sha256": sha256_json(fields)})
        temporary = f"{self._path(progress.step)}/.{_PROGRESS}"
        self._files.pipe_file(temporary, text.encode())
        self._files.mv(temporary, f"{self._path(progress.step)}/{_PROGRESS}")
        # Later states belong to a shorter stage, whose decay this stage does not go on from.
        steps = sorted(step for step in self._saved() if step <= progress.step)
        kept = {*steps[-self._keep_last :], self._keep_step}
        if self._keep_best:
            losses = [(loss, step) for step in steps if (loss := self._read(step)["heldout"]) is not None]
            kept |= {step for _, step in sorted(losses)[:1]}
        for path in self._directories():
            if self._step(path) not in kept:
                with suppress(OSError):
                    self._files.rm(path, recursive=True)

    def _dcp(self, verb: str, where: str) -> None:
        from torch.distributed.checkpoint.state_dict_loader import load
        from torch.distributed.checkpoint.state_dict_saver import save

        alone = self.ranks.size == 1
        # The warning says that one process saves alone.
        with error_of_one_rank(), warnings.catch_warnings(action="ignore", category=UserWarning):
            if verb == "load":
                load(self._tensors(), storage_reader=reader(self._files, where), no_dist=alone)
            else:
                save(self._tensors(), storage_writer=writer(self._files, where), no_dist=alone)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Explains why a state cannot be written."""
        with explained(self._root, self._files):
            try:
                yield
            except Exception as error:
                if "unexpected pos" in str(error):  # torch's words for a write that was cut short
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self._root) from error
                raise

    def _tensors(self) -> dict[str, Any]:
        """The trained weights and the optimizer's tensors, by name. Frozen weights are not saved."""
        found: dict[str, Any] = {}
        for name, parameter in trainable_parameters(self.model):
            found[f"model.{name}"] = parameter.detach()
            found |= {f"{key}.{name}": value for key, value in self.optimizer.state[parameter].items()}
        return found

    def _hashes(self, where: str) -> dict[str, Any]:
        """The SHA-256 of each file that this rank wrote to a local disk; the sizes of files elsewhere."""
        own = [
            path
            for path in self._files.ls(where, detail=False)
            if path.rpartition("/")[2].startswith(f"__{self.ranks.rank}_")
        ]
        return {
            path.rpartition("/")[2]: sha256_file(Path(path)) if self._local else self._files.size(path) for path in own
        }

    def _checked(self, step: int) -> dict[str, Any]:
        """The fields of a state. Raises OSError when a file is not as it was saved; each rank checks some files."""
        fields = self._read(step)
        digest, files = fields.pop("sha256"), fields["files"]
        if sha256_json(fields) != digest:
            raise OSError(f"the hash of {_PROGRESS} is wrong")
        for number, (name, expected) in enumerate(sorted(files.items())):
            path = f"{self._path(step)}/{name}"
            if number % self.ranks.size == self.ranks.rank and expected != (
                sha256_file(Path(path)) if self._local else self._files.size(path)
            ):
                raise OSError(f"the hash of {name} is wrong")
        known = {*_PROGRESS_FIELDS, "num_threads"}
        return {name: value for name, value in fields.items() if name in known}

    def _is_usable(self, step: int, usable: Callable[[Progress], bool]) -> bool:
        try:
            return usable(_progress(self._read(step)))
        except (ValueError, TypeError):
            return True  # damaged, which loading says

    def _newest(self, usable: Callable[[Progress], bool]) -> int | None:
        """The step of the newest usable state. Removes states that a kill or a full disk left unfinished."""
        newest = max((step for step in self._saved() if self._is_usable(step, usable)), default=None)
        for path in self._directories():
            older = self._files.exists(f"{path}/state.safetensors")
            if older and newest is None:
                raise ChakuError(
                    f"{path} was saved by an earlier chaku: finish the stage with that version, or remove the "
                    "directory to start the stage again"
                )
            if not older and not self._is_whole(path):
                with suppress(OSError):
                    self._files.rm(path, recursive=True)
        return newest

    def _read(self, step: int) -> dict[str, Any]:
        return json.loads(self._files.cat_file(f"{self._path(step)}/{_PROGRESS}"))

    def _saved(self) -> list[int]:
        """The steps of the whole states."""
        self._files.invalidate_cache()
        return [self._step(path) for path in self._directories() if self._is_whole(path)]

    def _is_whole(self, path: str) -> bool:
        older = self._files.exists(f"{path}/state.safetensors")
        return not older and self._files.exists(f"{path}/{_PROGRESS}")

    def _directories(self) -> list[str]:
        if not self._files.exists(self._root):
            return []
        paths = [path.rstrip("/") for path in self._files.ls(self._root, detail=False)]
        return [path for path in paths if path.rpartition("/")[2].startswith("step-")]

    def _step(self, path: str) -> int:
        return int(path.rpartition("-")[2])

    def _path(self, step: int) -> str:
        return f"{self._root}/step-{step:08}"


def saved_states(directory: str | Path) -> list[Progress]:
    """The progress of the whole states in a directory or under a URL, in any order. Leaves out damaged records."""
    files, root = url_to_fs(str(directory))
    found = []
    for path in files.glob(f"{root}/step-*/{_PROGRESS}"):
        with suppress(ValueError, TypeError):
            found.append(_progress(json.loads(files.cat_file(path))))
    return found


def _progress(fields: dict[str, Any]) -> Progress:
    return Progress(**{name: fields[name] for name in _PROGRESS_FIELDS if name in fields})


def begin_state(optimizer: Optimizer) -> None:
    """Make the optimizer's state tensors, by a step that changes no weight, so that a saved state can be loaded."""
    set_learning_rate(optimizer, 0.0)
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
