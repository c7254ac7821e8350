"""Finds the requirements of a recipe, and checks before the first step whether this machine has them."""

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import torch

from chaku.checkpoint.formats import open_checkpoint
from chaku.corpus.reading.sources import Source, open_source
from chaku.errors import ChakuError
from chaku.evals.suite import BENCHMARKS
from chaku.files import read_json
from chaku.instruct.conversations import find_files
from chaku.model.config import LlamaConfig
from chaku.pipeline.chat_sets import source_of
from chaku.pipeline.data import given_tokenizer
from chaku.pipeline.inputs import corpus_inputs
from chaku.pipeline.parts import Part, Requirement
from chaku.pipeline.room import disk_needed, memory_needed
from chaku.pipeline.run_directory import fingerprinted
from chaku.recipe.family import preset_shape
from chaku.recipe.schema import ConversationSet, DocumentSet, InstructSet, PreferenceSet, Recipe, ShopSet
from chaku.sandbox.languages import toolchains
from chaku.sandbox.probe import NoSandbox, how_to_isolate
from chaku.sandbox.verdict import Job
from chaku.tokens.syntax_nodes import grammar_package_problem
from chaku.tokens.templates import BUILTIN
from chaku.training.storage import storage_problem
from chaku.training.trackers import HOW_TO_INSTALL, is_installed

NUM_TASKS = 20  # problems of a benchmark that are searched for libraries


def requirements(recipe: Recipe, directory: Path, device: torch.device) -> list[Requirement]:
    """All requirements of `recipe`, present or missing. `directory`: the run's directory, which need not exist.

    This downloads a model from the Hub, since every step after the first needs it.
    """
    found = [
        *_benchmarks(recipe),
        *_sources(recipe, directory),
        *_sets(recipe, directory),
        *_packages(recipe, directory),
        *_states(recipe),
    ]
    sandboxed = tuple(Part("benchmark", name) for name in _benchmark_names(recipe) if BENCHMARKS[name].jobs)
    if recipe.instruct:
        sandboxed = (*sandboxed, Part("instruct"))
        if (questions := recipe.instruct.questions) and not Path(questions).is_file():
            found.append(
                Requirement(f"the questions {questions}", (Part("instruct"),), False, "correct instruct.questions")
            )
    if sandboxed:
        found.append(_sandbox(sandboxed))
    shape, missing = _model(recipe)
    found += missing
    if shape:
        found += [*memory_needed(recipe, shape, directory, device), disk_needed(recipe, shape, directory)]
    return found


def _problem(look: Callable[..., object], *at: object) -> str:
    """The message of the ChakuError that `look(*at)` raised; "" if it raised none."""
    try:
        look(*at)
    except ChakuError as error:
        return str(error)
    return ""


def _sandbox(parts: tuple[Part, ...]) -> Requirement:
    try:
        how_to_isolate()
    except NoSandbox as error:
        obstacle = error.obstacle
        return Requirement(f"a sandbox: {obstacle.cause}", parts, False, obstacle.command)
    return Requirement("a sandbox", parts, True)


def _benchmark_names(recipe: Recipe) -> list[str]:
    return [name for name in recipe.evals.benchmarks if name in BENCHMARKS and recipe.evals.stages]


def _benchmarks(recipe: Recipe) -> Iterator[Requirement]:
    """For each benchmark: its problems, its languages, and the libraries that its programs use."""
    users: dict[str, list[Part]] = {}
    for name in _benchmark_names(recipe):
        benchmark, part = BENCHMARKS[name], Part("benchmark", name)
        try:
            tasks = benchmark.load(None)
        except ChakuError as error:
            yield Requirement(f"the problems of {name}", (part,), False, str(error))
            tasks = []
        else:
            yield Requirement(f"the problems of {name}", (part,), True)
        if benchmark.jobs is None:
            continue
        for language in benchmark.languages:
            users.setdefault(language, []).append(part)
        if any(toolchains.missing_tools(language) for language in benchmark.languages):
            continue
        here = [task for task in tasks if not task.lacks][:NUM_TASKS]
        jobs = [job for task in here for job in benchmark.jobs(task, "")]
        problems = (_problem(_library, job) for job in jobs)
        if problem := next(filter(None, problems), ""):
            yield Requirement(f"a library of {name}", (part,), False, problem)
    for language, parts in users.items():
        tools = toolchains.missing_tools(language)
        name = f"{' and '.join(tools)} for {language}" if tools else language
        yield Requirement(name, tuple(parts), not tools, toolchains.how_to_install(language))


def _library(job: Job) -> None:
    toolchains.library(job.language, "\n".join((job.source, *job.tests)))


def _sources(recipe: Recipe, directory: Path) -> Iterator[Requirement]:
    """The sources of documents, unless the run already has its corpus from the same sources."""
    if _is_made(directory / "corpus", corpus_inputs(recipe)):
        return
    for source in recipe.corpus.sources:
        problem = "" if source.type in ("machine", "hub") else _problem(_look_at, source)
        yield Requirement(f"the source {source.name}", (Part("source", source.name),), not problem, problem)


def _look_at(source: Source) -> None:
    if source.type not in ("tree", "git", "commits"):  # opening a tree lists all its files, which takes long
        open_source(source)
    elif not Path(source.path).is_dir():
        raise ChakuError(f"the directory {source.path} does not exist; correct the source's path")


def _is_made(path: Path, inputs: dict[str, object]) -> bool:
    record = path / "inputs.json"
    return record.exists() and read_json(record) == fingerprinted(inputs)


def _sets(recipe: Recipe, directory: Path) -> Iterator[Requirement]:
    """Files of conversations and pairs, and of chat templates."""
    for name, parts in _users_of_sets(recipe).items():
        chosen = recipe.sets[name]
        if isinstance(chosen, DocumentSet):
            continue
        if not isinstance(chosen, InstructSet | ShopSet):
            problem = _problem(find_files, source_of(chosen, directory))
            yield Requirement(f"the set {name}", parts, not problem, problem)
        template = chosen.template
        if template and template not in BUILTIN and not Path(template).is_file():
            yield Requirement(
                f"the chat template {template}", parts, False, f"name a Jinja file, or one of {', '.join(BUILTIN)}"
            )


def _users_of_sets(recipe: Recipe) -> dict[str, tuple[Part, ...]]:
    return {
        name: tuple(Part("stage", stage) for stage, config in recipe.stages.items() if name in config.mixture)
        for name in recipe.sets
        if any(name in config.mixture for config in recipe.stages.values())
    }


def _packages(recipe: Recipe, directory: Path) -> Iterator[Requirement]:
    """Optional packages that the recipe uses. Opening a checkpoint checks the packages that the checkpoint needs."""
    hub: list[Part] = [Part("source", source.name) for source in recipe.corpus.sources if source.type == "hub"]
    for name, parts in _users_of_sets(recipe).items():
        chosen = recipe.sets[name]
        if isinstance(chosen, ConversationSet | PreferenceSet):
            path = source_of(chosen, directory)
            if not _problem(find_files, path) and not find_files(path):  # a Hub data set: no file, and no error
                hub += parts
    if hub:
        yield _package("datasets", "hub", tuple(hub))
    if quantized := tuple(Part("stage", name) for name, stage in recipe.stages.items() if stage.base_quantization):
        yield _package("torchao", "quantization", quantized)
    by_syntax = tuple(
        Part("stage", name)
        for name, stage in recipe.stages.items()
        if stage.infilling and "syntax" in stage.infilling.shares()
    )
    if by_syntax:
        problem = grammar_package_problem()
        yield Requirement("the grammars of tree-sitter", by_syntax, not problem, problem)
    trackers = dict.fromkeys(name for stage in recipe.stages.values() for name in stage.training.trackers)
    for name in trackers:  # no stage is left out because of them, so everything needs them
        how = f"{HOW_TO_INSTALL[name]}, or remove it from training.trackers"
        yield Requirement(f"the package {name}", (), is_installed(name), how)


def _states(recipe: Recipe) -> Iterator[Requirement]:
    """The places that the recipe names for the saved states of its stages."""
    users: dict[str, list[Part]] = {}
    for name, stage in recipe.stages.items():
        if stage.training.state is not None:
            users.setdefault(stage.training.state, []).append(Part("stage", name))
    for place, parts in users.items():
        problem = storage_problem(place)
        yield Requirement(f"a place for states, {place}", tuple(parts), not problem, problem)


def _package(name: str, extra: str, parts: tuple[Part, ...]) -> Requirement:
    return Requirement(f"the package {name}", parts, find_spec(name) is not None, f"pip install 'chaku[{extra}]'")


def _model(recipe: Recipe) -> tuple[LlamaConfig | None, list[Requirement]]:
    """The base model's shape (None if unknown), and the requirements of every step: its checkpoint and tokenizer."""
    found: list[Requirement] = []
    shape: LlamaConfig | None = None
    if recipe.model.path is None:
        shape = preset_shape(recipe, recipe.model.preset or "")
    else:
        try:
            shape = open_checkpoint(recipe.model.path).config
            found.append(Requirement(f"the model {recipe.model.path}", (), True))
        except ChakuError as error:
            found.append(Requirement(f"the model {recipe.model.path}", (), False, str(error)))
    named = recipe.tokenizer.path or recipe.model.path
    if named and (shape or recipe.tokenizer.path):
        problem = _problem(given_tokenizer, recipe)
        found.append(Requirement(f"the tokenizer of {named}", (), not problem, problem))
    return shape, found
