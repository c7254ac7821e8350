"""The state of an unfinished stage: weights, optimizer moments, step. Whole or absent, never half."""

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from chaku.console import say
from chaku.errors import ChakuError
from chaku.files import atomic_directory, read_json, sha256_file, write_json
from chaku.model.llama import Llama
from chaku.model.lora import trainable_parameters

_TENSORS, _PROGRESS = "state.safetensors", "progress.json"


@dataclass(frozen=True)
class Progress:
    """How far a stage is: optimizer steps done, and seconds spent on them. The next sample index follows from it.

    `precision` is what "auto" came to: it is measured once, so that a stage does not go on in another.
    """

    step: int
    seconds: float
    precision: str | None = None


def save_state(directory: Path, model: Llama, optimizer: torch.optim.AdamW, progress: Progress) -> None:
    """Write DIRECTORY/step-NNNNNNNN atomically, then remove older ones. Frozen weights are not written."""
    trainable = trainable_parameters(model)
    tensors = {f"model.{name}": parameter.detach() for name, parameter in trainable}
    for name, parameter in trainable:
        for key, value in optimizer.state[parameter].items():
            tensors[f"{key}.{name}"] = value
    target = directory / f"step-{progress.step:08}"
    fields = {**asdict(progress), "num_threads": torch.get_num_threads()}
    with atomic_directory(target) as temporary:
        # The progress is in the file of the tensors too, and so in its hash.
        save_file(tensors, temporary / _TENSORS, metadata={"progress": json.dumps(fields)})
        write_json(temporary / _PROGRESS, {**fields, "sha256": sha256_file(temporary / _TENSORS)})
    for other in directory.glob("step-*"):
        if other != target:
            shutil.rmtree(other, ignore_errors=True)


def load_state(directory: Path, model: Llama, optimizer: torch.optim.AdamW) -> Progress:
    """Put the newest saved state into model and optimizer. Without one, nothing changes and step 0 is returned.

    Raises ChakuError for a state that is not as it was written.
    """
    saved = sorted(directory.glob("step-*"))
    if not saved:
        return Progress(0, 0.0)
    newest = saved[-1]
    fields = read_json(newest / _PROGRESS)
    try:
        if (digest := fields.pop("sha256", None)) is not None:  # an earlier version wrote none
            with safe_open(newest / _TENSORS, "pt") as file:
                same = json.loads(file.metadata()["progress"]) == fields
            if not same or sha256_file(newest / _TENSORS) != digest:
                raise OSError("it is not what was written")
        tensors = load_file(newest / _TENSORS)
        with torch.no_grad():
            for name, parameter in trainable_parameters(model):
                parameter.copy_(tensors[f"model.{name}"])
                optimizer.state[parameter] = {
                    key: tensors[f"{key}.{name}"].to(parameter.device if key != "step" else "cpu")
                    for key in ("step", "exp_avg", "exp_avg_sq")
                }
    except (SafetensorError, OSError, KeyError, ValueError, RuntimeError) as error:
        raise ChakuError(
            f"{newest} is damaged ({error}): put it back from a copy, or remove it to start this stage again"
        ) from error
    if (before := fields.pop("num_threads")) != (now := torch.get_num_threads()):
        say(f"this stage began on {before} threads and goes on on {now}: sums round differently, losses by a hair")
    return Progress(**fields)
