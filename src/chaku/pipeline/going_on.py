"""A stage whose number of tokens or epochs was raised goes on from a saved state, where that is sound."""

import math
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from fsspec.core import url_to_fs

from chaku.files import RECORD, drop_aside, put_in_place, set_aside, sha256_json, write_json
from chaku.pipeline.run_directory import what_changed
from chaku.training.config import TrainingConfig
from chaku.training.finished_stage import STAGE_FILE, FinishedStage
from chaku.training.schedule import goes_on
from chaku.training.state import saved_states

LENGTHS = ("tokens", "epochs")
CARRIED = ("metrics.jsonl", "tensorboard", "wandb", "trackers.json", "reference-*.npy", "samples", "state")


def obstacle_to_going_on(
    before: dict[str, Any] | None, now: dict[str, Any], path: Path, training: TrainingConfig
) -> str | None:
    """Why a stage that is only longer than before cannot go on from its saved state, in words; "" when it can.

    None when the change is another one. `before`, `now`: the inputs of the stage in the folder `path`.
    """
    if before is None or not _is_only_longer(before, now):
        return None
    states = saved_states(states_of(path, before, training.state))
    if any(goes_on(state.step, state.num_steps, None, training) for state in states):
        return ""
    if not states and not (path / STAGE_FILE).exists():
        return ""  # it has only begun
    what = "state before the decay" if states else "state"
    return f"it cannot go on, because its {what} was not kept; training.keep_state = true keeps it"


def states_of(path: Path, inputs: dict[str, Any], state: str | None) -> str:
    """Where the states of the stage in the folder `path` are: beside it, or in a folder of its own under `state`.

    That folder's name holds a hash of the stage's inputs but its length, so that no other training can load its states.
    """
    if state is None:
        return str(path / "state")
    stage = inputs.get("stage", {})
    training = {key: value for key, value in stage.get("training", {}).items() if key not in LENGTHS}
    inputs = {key: value for key, value in inputs.items() if key != "fingerprint"}
    return f"{state.rstrip('/')}/{path.name}-{sha256_json({**inputs, 'stage': {**stage, 'training': training}})[:12]}"


def _is_only_longer(before: dict[str, Any], now: dict[str, Any]) -> bool:
    old, new = (inputs.get("stage", {}).get("training", {}) for inputs in (before, now))
    raised = {key: new[key] for key in LENGTHS if (old.get(key) or math.inf) < (new.get(key) or 0)}
    if not raised:
        return False
    return not what_changed({**before, "stage": {**before["stage"], "training": {**old, **raised}}}, now)


def begin_from_finished(path: Path, inputs: dict[str, Any]) -> None:
    """Set a finished stage aside, and begin a stage with `inputs` from its state, metrics and trackers."""
    temporary = path.with_name(f".{path.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    for pattern in CARRIED:
        for source in path.glob(pattern):
            if source.is_dir():
                copy = _link_or_copy if source.name == "state" else shutil.copy2
                shutil.copytree(source, temporary / source.name, copy_function=copy, symlinks=True)
            else:
                shutil.copy2(source, temporary / source.name)
    write_json(temporary / RECORD, inputs)
    drop_aside(path)  # older than the finished stage
    set_aside(path)
    put_in_place(temporary, path)


def _link_or_copy(source: str, target: str) -> None:
    """Save the space and the time of a copy where the file system can: the files of a state never change."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def remove_states(path: Path, inputs: dict[str, Any]) -> None:
    """Remove the saved states of a finished stage. With `keep_state`, the state from which it can go on stays."""
    settings = FinishedStage.read(path / STAGE_FILE).config["training"]
    training = TrainingConfig(**{key: settings[key] for key in ("schedule", "decay_share") if key in settings})
    files, root = url_to_fs(states_of(path, inputs, settings.get("state")))
    with suppress(OSError):
        if not settings.get("keep_state"):
            files.rm(root, recursive=True)
            return
        for state in saved_states(states_of(path, inputs, settings.get("state"))):
            if not goes_on(state.step, state.num_steps, None, training):
                files.rm(f"{root}/step-{state.step:08}", recursive=True)
