"""Saves and loads the state of an unfinished stage: weights, optimizer moments, step. Writes are atomic."""

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
    """The optimizer steps that a stage has done, and the seconds spent on them. The steps give the next sample's index.

    `precision`: the precision that "auto" chose. It is saved, so that a resumed stage goes on in the same precision.
    """

    step: int
    seconds: float
    precision: str | None = None


def save_state(directory: Path, model: Llama, optimizer: torch.optim.AdamW, progress: Progress) -> None:
    """Write DIRECTORY/step-NNNNNNNN atomically, then remove older states. Frozen weights are not written."""
    trainable = trainable_parameters(model)
    tensors = {f"model.{name}": parameter.detach() for name, parameter in trainable}
    for name, parameter in trainable:
        for key, value in optimizer.state[parameter].items():
            tensors[f"{key}.{name}"] = value
    target = directory / f"step-{progress.step:08}"
    fields = {**asdict(progress), "num_threads": torch.get_num_threads()}
    with atomic_directory(target) as temporary:
        # The tensors' file holds the progress too, so that its hash covers both.
        save_file(tensors, temporary / _TENSORS, metadata={"progress": json.dumps(fields)})
        write_json(temporary / _PROGRESS, {**fields, "sha256": sha256_file(temporary / _TENSORS)})
    for other in directory.glob("step-*"):
        if other != target:
            shutil.rmtree(other, ignore_errors=True)


def load_state(directory: Path, model: Llama, optimizer: torch.optim.AdamW) -> Progress:
    """Load the newest saved state into model and optimizer. Without a saved state, change nothing and return step 0.

    Raises ChakuError for a damaged state.
    """
    saved = sorted(directory.glob("step-*"))
    if not saved:
        return Progress(0, 0.0)
    newest = saved[-1]
    fields = read_json(newest / _PROGRESS)
    try:
        if (digest := fields.pop("sha256", None)) is not None:  # earlier versions wrote no hash
            with safe_open(newest / _TENSORS, "pt") as file:
                same = json.loads(file.metadata()["progress"]) == fields
            if not same or sha256_file(newest / _TENSORS) != digest:
                raise OSError("its hash is wrong")
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
        say(f"this stage began on {before} threads and resumes on {now}: rounding will change losses very slightly")
    return Progress(**fields)
