"""Finds finished work that a run would make again, and stops the run before it changes anything."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from chaku.console import table_in_text
from chaku.pipeline.going_on import obstacle_to_going_on, states_of
from chaku.pipeline.inputs import Inputs
from chaku.pipeline.run_directory import NO_RECORD, FinishedWork, Run, Work, fingerprinted, what_changed
from chaku.pipeline.steps import NOT_YET, walk
from chaku.pipeline.training import kept_aside, problem_of_finished
from chaku.report.table import duration
from chaku.training.finished_stage import STAGE_FILE, FinishedStage
from chaku.training.state import Progress, saved_states


@dataclass(frozen=True)
class Again:
    """Finished work that would be made again. `name`: its folder in the run. `seconds`: the time that it took."""

    name: str
    why: str
    seconds: float | None


def check_nothing_is_made_again(run: Run) -> None:
    """Raises FinishedWork, with a table of the work, when the run would make finished work again."""
    if found := made_again(run):
        rows = [(work.name, "" if work.seconds is None else duration(work.seconds), work.why) for work in found]
        raise FinishedWork(
            "finished work would be made again; nothing was changed\n"
            f"{table_in_text([('finished work', 'it took', 'what changed'), *rows])}\n"
            "add --yes to make it again (the old work is kept until the new work is whole), or --out to run in another "
            "directory"
        )


def made_again(run: Run) -> list[Again]:
    """Work in the run's directory, finished or begun, that does not fit the recipe or the files that it names."""
    look = _Look(run)
    walk(run, look)
    return look.again


class _Look:
    def __init__(self, run: Run):
        self.run = run
        self.again: list[Again] = []

    def step(self, name: str, inputs: Inputs, make: Callable[[Path], Work], stale: str = "") -> str:
        record = self.run.record(name)
        if record is None:
            why = NO_RECORD if (self.run.directory / name).exists() else ""
        elif not (why := what_changed(record, fingerprinted(inputs)) or stale):
            return str(record["fingerprint"])
        if why:
            self.again.append(Again(name, why, self.run.seconds(name)))
        return NOT_YET

    def stage(self, name: str, inputs: Inputs) -> str:
        made_from = fingerprinted(inputs)
        path = self.run.directory / "stages" / name
        record = self.run.record(f"stages/{name}")
        if kept_aside(path, made_from):
            return str(made_from["fingerprint"])
        why = what_changed(record, made_from) or problem_of_finished(path) if record else NO_RECORD
        if not why:
            return str(made_from["fingerprint"])
        obstacle = obstacle_to_going_on(record, made_from, path, self.run.recipe.stages[name].training)
        if obstacle == "":
            return NOT_YET
        if obstacle:
            why = f"{why} ({obstacle})"
        states = saved_states(states_of(path, record or {}, self.run.recipe.stages[name].training.state))
        if (cost := _seconds_of(path, states)) is not None:
            self.again.append(Again(f"stages/{name}", why, cost))
        return NOT_YET


def _seconds_of(stage: Path, states: list[Progress]) -> float | None:
    """Seconds of training in a stage, finished or not; None for a stage that has saved nothing yet."""
    if (stage / STAGE_FILE).exists():
        return FinishedStage.read(stage / STAGE_FILE).seconds
    return max((state.seconds for state in states), default=None)
