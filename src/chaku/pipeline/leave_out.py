"""Leaves out the parts of a recipe that this machine cannot run, so that the other parts can run."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from chaku.console import say, table_in_text
from chaku.errors import ChakuError
from chaku.files import write_json
from chaku.pipeline.parts import Part, Requirement
from chaku.pipeline.requirements import requirements
from chaku.recipe.schema import BASE_MODEL, DocumentSet, InstructSet, Recipe

FILE = "left_out.json"  # in a run directory


@dataclass(frozen=True)
class LeftOut:
    """A part that does not run. `how_to_get`: what would let it run; "" for a part that builds on another such part."""

    part: Part
    why: str
    how_to_get: str


def ready(
    recipe: Recipe, directory: Path, device: torch.device, *, without_missing: bool
) -> tuple[Recipe, list[LeftOut]]:
    """The recipe without the parts that cannot run here, and these parts. Prints the requirements that were checked.

    Raises ChakuError, with a table of the missing requirements, unless `without_missing` allows to leave parts out.
    """
    needed = requirements(recipe, directory, device)
    missing = [requirement for requirement in needed if not requirement.is_there]
    if not missing:
        say(f"checked: {', '.join(dict.fromkeys(requirement.name for requirement in needed))}; nothing is missing")
        return recipe, []
    table = in_a_table(missing)
    if not without_missing:
        raise ChakuError(
            f"this machine lacks something that the recipe needs; nothing was done\n{table}\n"
            "get it, or add --without-missing to leave out the parts that need it; the report lists them"
        )
    try:
        left, left_out = leave_out(recipe, missing)
    except ChakuError:  # the reports of this run, and of runs compared with it, say that nothing ran
        record(
            directory, [LeftOut(Part("recipe", recipe.name), f"{missing[0].name} is missing", missing[0].how_to_get)]
        )
        raise
    say(f"this machine lacks something that the recipe needs\n{table}")
    say(f"left out: {', '.join(str(part.part) for part in left_out)}")
    return left, left_out


def in_a_table(missing: Sequence[Requirement]) -> str:
    rows = [
        (requirement.name, ", ".join(map(str, requirement.needed_by)) or "everything", requirement.how_to_get)
        for requirement in missing
    ]
    return table_in_text([("missing", "needed by", "how to get it"), *rows])


def leave_out(recipe: Recipe, missing: Sequence[Requirement]) -> tuple[Recipe, list[LeftOut]]:
    """The recipe without the parts that lack something, and without the parts that build on them.

    Raises ChakuError when no part is left.
    """
    for requirement in missing:
        if not requirement.needed_by:
            raise ChakuError(f"nothing of the recipe can run without {requirement.name}: {requirement.how_to_get}")
    gone: dict[Part, LeftOut] = {}
    for requirement in missing:
        for part in requirement.needed_by:
            gone.setdefault(part, LeftOut(part, f"{requirement.name} is missing", requirement.how_to_get))
    sources = tuple(source for source in recipe.corpus.sources if Part("source", source.name) not in gone)
    while (more := _builds_on(recipe, gone, bool(sources))) is not None:
        part, why = more
        gone[part] = LeftOut(part, why, "")
    stages = {name: stage for name, stage in recipe.stages.items() if Part("stage", name) not in gone}
    trains_tokenizer = (recipe.tokenizer.path or recipe.model.path) is None
    if not stages or (trains_tokenizer and not sources):
        raise ChakuError(f"nothing of the recipe can run without what is missing\n{in_a_table(missing)}")
    evals = dataclasses.replace(
        recipe.evals,
        stages=tuple(name for name in recipe.evals.stages if name in stages or name == BASE_MODEL),
        benchmarks=tuple(name for name in recipe.evals.benchmarks if Part("benchmark", name) not in gone),
    )
    left = dataclasses.replace(
        recipe,
        corpus=dataclasses.replace(recipe.corpus, sources=sources),
        stages=stages,
        evals=evals,
        instruct=None if Part("instruct") in gone else recipe.instruct,
    )
    return left, list(gone.values())


def _builds_on(recipe: Recipe, gone: dict[Part, LeftOut], has_sources: bool) -> tuple[Part, str] | None:
    """A part that must be left out because it builds on a part in `gone`, and why; None if there is none."""
    instruct = Part("instruct")
    if recipe.instruct and instruct not in gone and Part("stage", recipe.instruct.stage) in gone:
        return instruct, f"stage {recipe.instruct.stage}, which writes, is left out"
    for name, stage in recipe.stages.items():
        part = Part("stage", name)
        if part in gone:
            continue
        if stage.parent and Part("stage", stage.parent) in gone:
            return part, f"its parent, stage {stage.parent}, is left out"
        if instruct in gone and any(isinstance(recipe.sets[used], InstructSet) for used in stage.mixture):
            return part, "it trains on the data of [instruct], which is left out"
        if not has_sources and any(isinstance(recipe.sets[used], DocumentSet) for used in stage.mixture):
            return part, "no source of documents is left"
    return None


def record(directory: Path, left_out: Sequence[LeftOut]) -> None:
    """Write the parts that are left out, for the report, and remove their results of an earlier run."""
    (directory / FILE).unlink(missing_ok=True)
    if left_out:
        write_json(directory / FILE, [{**dataclasses.asdict(part), "part": str(part.part)} for part in left_out])
    for part in left_out:
        if part.part.kind == "benchmark":
            for path in directory.glob(f"evals/*/{part.part.name}.json"):
                path.unlink()
