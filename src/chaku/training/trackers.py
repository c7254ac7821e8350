"""Sends the metrics of a stage to trackers of experiments: TensorBoard, Weights & Biases, MLflow, trackio."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from chaku.console import say
from chaku.errors import ChakuError
from chaku.files import read_json, write_json

IDS = "trackers.json"  # in a stage's folder: the id of its run in each tracker; a resumed stage goes on in this run
HOW_TO_INSTALL = {
    "tensorboard": "pip install 'chaku[tensorboard]'",
    "wandb": "pip install wandb",
    "mlflow": "pip install mlflow",
    "trackio": "pip install trackio",
}


@dataclass(frozen=True)
class Tracker:
    """A run in a tracker. `log(step, numbers, texts)` sends the values of one step, by name; `close()` ends the run."""

    log: Callable[[int, dict[str, float], dict[str, str]], None]
    close: Callable[[], None]


@dataclass(frozen=True)
class TrackedStage:
    """What a tracker needs to know about a stage. `first_step`: the steps that are done; later ones are logged anew.

    `project`: the name of the recipe. `settings`: to show beside the metrics.
    """

    project: str
    name: str
    directory: Path
    first_step: int
    settings: dict[str, Any]


def is_installed(name: str) -> bool:
    """Whether the package of a tracker is installed."""
    return find_spec(name) is not None


def open_trackers(names: tuple[str, ...], stage: TrackedStage) -> list[Tracker]:
    """The trackers `names`, and TensorBoard where it is installed.

    Raises ChakuError for a tracker that is not installed, or that does not start (without a login, for example).
    """
    if "tensorboard" not in names and is_installed("tensorboard"):
        names = ("tensorboard", *names)
    for name in names:
        if not is_installed(name):
            raise ChakuError(
                f"training.trackers names {name}, which is not installed: {HOW_TO_INSTALL[name]}, or remove the name"
            )
    return [_open(name, stage) for name in names]


def _open(name: str, stage: TrackedStage) -> Tracker:
    if name == "tensorboard":
        return _tensorboard(stage)
    ids_path = stage.directory / IDS
    ids: dict[str, str] = read_json(ids_path) if ids_path.exists() else {}
    start = {"wandb": _wandb, "mlflow": _mlflow, "trackio": _trackio}[name]
    try:
        tracker, run_id = start(stage, ids.get(name))
    except Exception as error:  # each package has its own classes of errors
        raise ChakuError(
            f"training.trackers: {name} does not start ({error}); correct its settings, or remove the name"
        ) from error
    write_json(ids_path, ids | {name: run_id})
    return _never_stopping(name, tracker)


def _never_stopping(name: str, tracker: Tracker) -> Tracker:
    """A tracker whose first error is printed and ends it: an unreachable server must not end the training."""
    failed = False

    def attempt(action: Callable[..., None]) -> Callable[..., None]:
        def attempted(*values: Any) -> None:
            nonlocal failed
            if failed:
                return
            try:
                action(*values)
            except Exception as error:  # each package has its own classes of errors
                failed = True
                say(f"{name} failed ({error}) and gets no more metrics of this stage; metrics.jsonl has all of them")

        return attempted

    return Tracker(attempt(tracker.log), attempt(tracker.close))


def _tensorboard(stage: TrackedStage) -> Tracker:
    from torch.utils.tensorboard import SummaryWriter

    writer: Any = SummaryWriter(str(stage.directory / "tensorboard"), purge_step=stage.first_step + 1)

    def log(step: int, numbers: dict[str, float], texts: dict[str, str]) -> None:
        for name, value in numbers.items():
            writer.add_scalar(name, value, step)
        for name, text in texts.items():
            writer.add_text(name, text, step)

    return Tracker(log, writer.close)


def _wandb(stage: TrackedStage, run_id: str | None) -> tuple[Tracker, str]:
    import wandb

    run_id = run_id or secrets.token_hex(4)
    run = wandb.init(
        project=stage.project,
        name=stage.name,
        id=run_id,
        resume="allow",
        dir=str(stage.directory),
        config=stage.settings,
    )

    def log(step: int, numbers: dict[str, float], texts: dict[str, str]) -> None:
        run.log({**numbers, **texts}, step=step)

    return Tracker(log, run.finish), run_id


def _mlflow(stage: TrackedStage, run_id: str | None) -> tuple[Tracker, str]:
    import mlflow

    mlflow.set_experiment(stage.project)
    run = mlflow.start_run(run_id=run_id) if run_id else mlflow.start_run(run_name=stage.name)
    if not run_id:
        mlflow.log_params(stage.settings)

    def log(step: int, numbers: dict[str, float], texts: dict[str, str]) -> None:
        if numbers:
            mlflow.log_metrics(numbers, step=step)
        for name, text in texts.items():
            mlflow.log_text(text, f"{name}/step-{step:08}.txt")

    return Tracker(log, mlflow.end_run), run.info.run_id


def _trackio(stage: TrackedStage, run_id: str | None) -> tuple[Tracker, str]:
    import trackio

    run_id = run_id or f"{stage.name}-{secrets.token_hex(4)}"  # trackio finds a run by its name
    run = trackio.init(project=stage.project, name=run_id, resume="allow", config=stage.settings)

    def log(step: int, numbers: dict[str, float], texts: dict[str, str]) -> None:
        run.log({**numbers, **texts}, step=step)

    return Tracker(log, run.finish), run_id
