"""Reads a run directory into plain values. Any part may be missing, cut off or malformed; the report shows the rest."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from chaku.errors import ChakuError
from chaku.files import read_json
from chaku.jsonl import read_log
from chaku.record import Record
from chaku.results import BenchmarkResult, MeasureResult
from chaku.training.finished_stage import STAGE_FILE, FinishedStage

R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class Stage:
    """One stage. `facts`: None while the stage is unfinished. `steps`, `heldout`, `samples`, `pass_rates`: the
    lines of metrics.jsonl, by kind.
    """

    name: str
    parent: str | None
    facts: FinishedStage | None
    steps: list[dict[str, Any]] = field(default_factory=list)
    heldout: list[dict[str, Any]] = field(default_factory=list)
    samples: list[dict[str, Any]] = field(default_factory=list)
    pass_rates: list[dict[str, Any]] = field(default_factory=list)

    @property
    def status(self) -> str:
        return "done" if self.facts else "unfinished" if self.steps else "not run"

    @property
    def tokens(self) -> float:
        """The number of tokens that this stage trained on, without its ancestors."""
        logged = number(self.steps[-1].get("tokens")) if self.steps else None
        return self.facts.tokens if self.facts else (logged or 0.0)

    @property
    def seconds(self) -> float | None:
        """The time of its training so far, in seconds; None if it is not known."""
        logged = number(self.steps[-1].get("seconds")) if self.steps else None
        return self.facts.seconds if self.facts else logged


@dataclass(frozen=True)
class ReportedRun:
    """The contents of a run directory. `problems`: sentences about files that could not be read.

    `scores`, `measures`: benchmark -> stage -> result, first of the model that the run began with, then of the stages,
    parents before children.

    `base_model`: the checkpoint that the recipe begins with (model.path). `commands`: commands for the reader to try.
    `robustness`: the robustness.json of `chaku sql robustness` in the run, by folder.
    `left_out`: the parts of the recipe that lacked something on this machine (`pipeline/leave_out.py`).
    """

    directory: Path
    stages: list[Stage]
    scores: dict[str, dict[str, BenchmarkResult]]
    measures: dict[str, dict[str, MeasureResult]]
    base_model: str | None
    summary: dict[str, Any]
    budget: dict[str, Any]
    samples: list[dict[str, Any]]
    timings: list[dict[str, Any]]
    commands: list[dict[str, Any]]
    left_out: list[dict[str, Any]]
    robustness: dict[str, dict[str, Any]]
    problems: list[str]

    def measured(self, name: str) -> dict[str, dict[str, Any]]:
        """The results of a measure, by stage."""
        return {stage: result.results for stage, result in self.measures.get(name, {}).items()}

    def ancestors(self, name: str | None) -> list[Stage]:
        """The stages from the parent of `name` up to the root. A circle in a broken run ends the walk."""
        by_name = {stage.name: stage for stage in self.stages}
        found: list[Stage] = []
        while name in by_name:
            name = by_name[name].parent
            if name not in by_name or by_name[name] in found:
                break
            found.append(by_name[name])
        return found


def read_run(directory: Path) -> ReportedRun:
    """Read a run directory; raises ChakuError only when it is not a directory."""
    if not directory.is_dir():
        raise ChakuError(f"{directory} is not a run directory; give the directory that `chaku run` wrote")
    problems: list[str] = []
    recipe = mapping(_read(directory / "recipe.json", directory, problems))
    base_model = mapping(recipe.get("model")).get("path")
    stages = _read_stages(directory, recipe, problems)
    scores, measures = _read_results(directory, stages, problems)
    return ReportedRun(
        directory=directory,
        stages=stages,
        scores=scores,
        measures=measures,
        base_model=base_model if isinstance(base_model, str) else None,
        summary=mapping(_read(directory / "corpus" / "summary.json", directory, problems)),
        budget=mapping(_read(directory / "budget.json", directory, problems)),
        samples=records(_read(directory / "samples.json", directory, problems)),
        timings=records(_read(directory / "timings.json", directory, problems)),
        commands=records(mapping(_read(directory / "commands.json", directory, problems)).get("commands")),
        left_out=records(_read(directory / "left_out.json", directory, problems)),
        robustness=read_robustness(directory, problems),
        problems=problems,
    )


def read_robustness(directory: Path, problems: list[str]) -> dict[str, dict[str, Any]]:
    """The results of `chaku sql robustness` in a directory, and at most three levels below, by folder."""
    places = sorted(path for level in range(4) for path in directory.glob("*/" * level + "robustness.json"))
    found = {str(path.parent.relative_to(directory)): mapping(_read(path, directory, problems)) for path in places}
    return {"" if folder == "." else folder: content for folder, content in found.items() if content}


def _read_results(
    directory: Path, stages: list[Stage], problems: list[str]
) -> tuple[dict[str, dict[str, BenchmarkResult]], dict[str, dict[str, MeasureResult]]]:
    scores: dict[str, dict[str, BenchmarkResult]] = {}
    measures: dict[str, dict[str, MeasureResult]] = {}
    order = [stage.name for stage in stages]
    paths = sorted(directory.glob("evals/*/*.json"))
    for path in sorted(paths, key=lambda path: order.index(path.parent.name) if path.parent.name in order else -1):
        content = _read(path, directory, problems)
        if "results" in mapping(content):
            if measure := _record(MeasureResult, content, path, problems):
                measures.setdefault(path.stem, {})[path.parent.name] = measure
        elif score := _record(BenchmarkResult, content, path, problems):
            scores.setdefault(path.stem, {})[path.parent.name] = score
    return scores, measures


def _read_stages(directory: Path, recipe: dict[str, Any], problems: list[str]) -> list[Stage]:
    """The stages of the recipe and of the run: parents before children, and siblings in the recipe's order."""
    declared = mapping(recipe.get("stages"))
    planned = {name: mapping(stage).get("parent") for name, stage in declared.items()}
    names = dict.fromkeys(planned)
    names |= dict.fromkeys(p.name for p in sorted(directory.glob("stages/*")) if p.is_dir() and p.name[0] != ".")
    stages: dict[str, Stage] = {}
    for name in names:
        folder = directory / "stages" / name
        record = folder / STAGE_FILE
        facts = _record(FinishedStage, _read(record, directory, problems), record, problems)
        parent = facts.parent if facts else planned.get(name)
        lines = _read_lines(folder / "metrics.jsonl", directory, problems)
        stages[name] = Stage(
            name=name,
            parent=parent if isinstance(parent, str) and parent in names and parent != name else None,
            facts=facts,
            steps=_last_of_each_step([line for line in lines if number(line.get("loss")) is not None]),
            heldout=_last_of_each_step([line for line in lines if mapping(line.get("heldout_loss"))]),
            samples=_last_of_each_step([line for line in lines if mapping(line.get("sample"))]),
            pass_rates=_last_of_each_step([line for line in lines if mapping(line.get("heldout_pass_rate"))]),
        )
    ordered: list[Stage] = []

    def add(parent: str | None) -> None:
        for stage in stages.values():
            if stage.parent == parent and stage not in ordered:
                ordered.append(stage)
                add(stage.name)

    add(None)
    return ordered + [stage for stage in stages.values() if stage not in ordered]


def _read(path: Path, root: Path, problems: list[str]) -> Any:
    try:
        return read_json(path) if path.exists() else None
    except (OSError, ChakuError) as error:
        problems.append(f"{path.relative_to(root)} could not be read: {error}")
        return None


def _record(kind: type[R], content: object, path: Path, problems: list[str]) -> R | None:
    """The record with the content of the file `path`; None without content."""
    try:
        return None if content is None else kind.of(content, path)
    except ChakuError as error:
        problems.append(str(error))
        return None


def _read_lines(path: Path, root: Path, problems: list[str]) -> list[dict[str, Any]]:
    try:
        found, broken = read_log(path) if path.exists() else ([], 0)
    except OSError as error:
        problems.append(f"{path.relative_to(root)} could not be read: {error}")
        return []
    if broken:
        problems.append(f"{path.relative_to(root)}: {broken} broken line(s) left out")
    return found


def _last_of_each_step(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The lines sorted by step. Keeps only the last line of a step that was repeated after a restart."""
    by_step = {step: line for line in lines if (step := number(line.get("step"))) is not None}
    return [by_step[step] for step in sorted(by_step)]


def number(value: object) -> float | None:
    """A finite number, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def mapping(value: object) -> dict[str, Any]:
    """`value` if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def records(value: object) -> list[dict[str, Any]]:
    """The JSON objects in a list; empty when `value` is not a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def numbers(value: object) -> list[float | None]:
    """The items of a list, with None for everything that is not a finite number; empty when `value` is not a list."""
    return [number(item) for item in value] if isinstance(value, list) else []
