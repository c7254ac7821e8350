"""The state of an unfinished stage: weights, optimizer moments, step. Whole or absent, never half."""

import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from chaku.console import say
from chaku.errors import ChakuError
from chaku.files import atomic_directory, read_json, write_json
from chaku.model import Llama
from chaku.model.lora import trainable_parameters


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
    with atomic_directory(target) as temporary:
        save_file(tensors, temporary / "state.safetensors")
        write_json(
            temporary / "progress.json",
            {**asdict(progress), "num_threads": torch.get_num_threads()},
        )
    for other in directory.glob("step-*"):
        if other != target:
            shutil.rmtree(other, ignore_errors=True)


def load_state(directory: Path, model: Llama, optimizer: torch.optim.AdamW) -> Progress:
    """Put the newest saved state into model and optimizer. Without one, nothing changes and step 0 is returned."""
    saved = sorted(directory.glob("step-*"))
    if not saved:
        return Progress(0, 0.0)
    newest = saved[-1]
    fields = read_json(newest / "progress.json")
    try:
        tensors = load_file(newest / "state.safetensors")
        with torch.no_grad():
            for name, parameter in trainable_parameters(model):
                parameter.copy_(tensors[f"model.{name}"])
                optimizer.state[parameter] = {
                    key: tensors[f"{key}.{name}"].to(parameter.device if key != "step" else "cpu")
                    for key in ("step", "exp_avg", "exp_avg_sq")
                }
    except (SafetensorError, OSError, KeyError, RuntimeError) as error:
        raise ChakuError(f"{newest} is damaged ({error}); remove it to start this stage again") from error
    if (before := fields.pop("num_threads")) != (now := torch.get_num_threads()):
        say(f"this stage began on {before} threads and goes on on {now}: sums round differently, losses by a hair")
    return Progress(**fields)
