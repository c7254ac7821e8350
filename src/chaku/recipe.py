"""The recipe file: TOML, typed and validated, one error message per mistake."""

import dataclasses
import difflib
import tomllib
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from chaku.corpus.sources import Source
from chaku.errors import ChakuError
from chaku.evals.settings import Evals
from chaku.evals.suite import BENCHMARKS, HELDOUT_MEASURES, no_such_benchmark
from chaku.files import sha256_json
from chaku.instruct.step import Instruct
from chaku.model import PRESETS, LlamaConfig, RopeScaling
from chaku.model.lora import LoraConfig
from chaku.settings import check_range, setting
from chaku.sql.stage import Shop
from chaku.tokens.infilling import InfillingConfig
from chaku.training.config import TrainingConfig
from chaku.training.dpo import DpoConfig
from chaku.training.trainer import batch_rows, num_steps

IN_RUN = "{run}/"  # begins the path of a set that the run itself makes
MADE = IN_RUN + "instruct/"  # while its stages go on
SHOP = IN_RUN + "shop/"
BASE_MODEL = "model"  # in evals.stages: the checkpoint of model.path, before any stage


@dataclass(frozen=True)
class Budget:
    """Wall-clock minutes for all training stages together; the token budgets follow from the measured speed."""

    minutes: float = setting(above=0)


@dataclass(frozen=True)
class Corpus:
    """Where documents come from. `max_bytes` caps a kind ("code", "prose", ...) or a language."""

    sources: tuple[Source, ...]
    heldout_fraction: float = setting(0.02, at_least=0, below=1)
    max_bytes: dict[str, int] = field(default_factory=dict)
    num_workers: int = setting(2, at_least=1, changes_results=False)


@dataclass(frozen=True)
class TokenizerConfig:
    """Train one (`vocab_size`, on `train_bytes` of the corpus), or load `path` (a directory or tokenizer.model).

    With `model.path` it is the model's own unless `path` names another. `vocab_size` None is Code Llama's, 32,016.
    """

    vocab_size: int | None = setting(None, at_least=1)
    train_bytes: int = setting(20_000_000, at_least=1)
    path: str | None = None


@dataclass(frozen=True)
class ModelConfig:
    """The base model: a preset's shape with random weights, or a checkpoint directory to load."""

    preset: str | None = None
    path: str | None = None


@dataclass(frozen=True)
class DocumentSet:
    """A selection of the corpus by kind and language; None takes all."""

    kinds: tuple[str, ...] | None = None
    languages: tuple[str, ...] | None = None


@dataclass(frozen=True)
class ConversationSet:
    """Conversations: files (a path, a folder, a glob) or a Hub data set (`subset`: its configuration).

    `template`: llama2, codellama-70b, chatml or a Jinja file; None is the model's own.
    """

    conversations: str
    template: str | None = None
    subset: str | None = None


@dataclass(frozen=True)
class PreferenceSet:
    """Pairs of a better and a worse reply to one prompt; the rest as in `ConversationSet`."""

    preferences: str
    template: str | None = None
    subset: str | None = None


@dataclass(frozen=True)
class Stage:
    """One training stage. Without a parent it starts from the recipe's model.

    `mixture` gives each set's share of the tokens. `rope_theta` and `rope_scaling_factor`, when given, replace the
    parent's. `infill_sets` limits infilling to these sets (None: all of the mixture). `lora` trains an adapter, which
    the stage keeps and merges; `base_quantization` holds the frozen base meanwhile in 8 bits or in 4 ("nf4": QLoRA).
    With conversations in the mixture the loss is on the assistant's tokens alone; `dpo` trains on pairs.
    """

    mixture: dict[str, float]
    training: TrainingConfig
    sequence_length: int = setting(at_least=2)
    parent: str | None = None
    infilling: InfillingConfig | None = None
    infill_sets: tuple[str, ...] | None = None
    rope_theta: float | None = setting(None, above=0)
    rope_scaling_factor: float | None = setting(None, above=0)
    lora: LoraConfig | None = None
    dpo: DpoConfig | None = None
    base_quantization: Literal["int8", "nf4"] | None = None
    seed: int | None = None


@dataclass(frozen=True)
class Recipe:
    """A whole run. See docs/recipes.md for the file, and recipes/ for examples."""

    name: str
    model: ModelConfig
    sets: dict[str, DocumentSet | ConversationSet | PreferenceSet]
    stages: dict[str, Stage]
    corpus: Corpus = field(default_factory=lambda: Corpus(sources=()))
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    evals: Evals = field(default_factory=Evals)
    instruct: Instruct | None = None
    shop: Shop | None = None
    budget: Budget | None = None
    seed: int = 1
    num_threads: int | None = setting(None, at_least=1, changes_results=False)


def load_recipe(path: Path, overrides: list[str] | None = None) -> Recipe:
    """Read and check a recipe. `overrides` are `key.path=value` in TOML's syntax (a bare word is a string).

    A first key that is a stage's name means that stage: `code.training.learning_rate=1e-4`.
    Raises ChakuError for a missing file, a syntax error, an unknown key (naming the nearest known one), a wrong type,
    or parts that do not fit together.
    """
    try:
        fields = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ChakuError(f"the recipe {path} does not exist; recipes/ holds examples") from None
    except tomllib.TOMLDecodeError as error:
        raise ChakuError(f"{path}: {error}") from None
    for override in overrides or []:
        _override(fields, override)
    recipe = from_fields(Recipe, fields, str(path))
    _check(recipe, str(path))
    return recipe


def _override(fields: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise ChakuError(f"--set {override!r} is not KEY=VALUE, as in --set code.training.learning_rate=1e-4")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    parts = key.strip().split(".")
    if parts[0] in fields.get("stages", {}):
        parts.insert(0, "stages")
    table = fields
    for part in parts[:-1]:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise ChakuError(f"--set {override!r}: {part} is a value, not a table")
    table[parts[-1]] = value


def from_fields(kind: Any, value: Any, where: str) -> Any:
    """Turn parsed TOML into the typed `kind`: a dataclass, a container or a plain value. `where` names it in errors."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        if value is None:
            return None
        first, *others = (each for each in arguments if each is not type(None))
        told = (each for each in others if isinstance(value, dict) and dataclasses.fields(each)[0].name in value)
        return from_fields(next(told, first), value, where)  # one of several tables is known by its first key
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _dataclass_from_fields(kind, value, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise ChakuError(f"{where} must be a list, not {value!r}")
        return tuple(from_fields(arguments[0], each, f"{where}[{index}]") for index, each in enumerate(value))
    if origin is dict:
        if not isinstance(value, dict):
            raise ChakuError(f"{where} must be a table, not {value!r}")
        return {key: from_fields(arguments[1], each, f"{where}.{key}") for key, each in value.items()}
    if origin is Literal:
        if value not in arguments:
            raise ChakuError(f"{where} must be one of {', '.join(map(repr, arguments))}, not {value!r}")
        return value
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)  # 4e6 reads better than 4000000
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ChakuError(f"{where} must be {kind.__name__}, not {value!r}")
    return value


def _dataclass_from_fields(kind: type, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise ChakuError(f"{where} must be a table, not {value!r}")
    hints = typing.get_type_hints(kind)
    known = {each.name: each for each in dataclasses.fields(kind)}
    for key in value:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0)
            raise ChakuError(f"{where}: unknown key {key!r}; the nearest known one is {near[0]!r}")
    for name, each in known.items():
        required = each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING
        if required and name not in value:
            raise ChakuError(f"{where}: the key {name!r} is missing")
    values = {key: from_fields(hints[key], each, f"{where}: {key}") for key, each in value.items()}
    for key, each in values.items():
        check_range(known[key], each, f"{where}: {key}")
    return kind(**values)


def _check(recipe: Recipe, where: str) -> None:
    if not recipe.corpus.sources and _needs_corpus(recipe):
        raise ChakuError(f"{where}: corpus.sources is empty; name at least one source of documents")
    if (recipe.model.preset is None) == (recipe.model.path is None):
        raise ChakuError(f"{where}: model needs either `preset` ({', '.join(PRESETS)}) or `path`, one of them")
    if recipe.model.preset is not None and recipe.model.preset not in PRESETS:
        raise ChakuError(f"{where}: model.preset {recipe.model.preset!r} is unknown; presets: {', '.join(PRESETS)}")
    if recipe.tokenizer.vocab_size is not None and (recipe.tokenizer.path or recipe.model.path):
        raise ChakuError(
            f"{where}: tokenizer.vocab_size trains a new tokenizer, but tokenizer.path or model.path has one; leave "
            "vocab_size out"
        )
    for name, stage in recipe.stages.items():
        at = f"{where}: stages.{name}"
        if not stage.mixture:
            raise ChakuError(f"{at}.mixture is empty; give at least one set a weight")
        for used in (*stage.mixture, *(stage.infill_sets or ())):
            if used not in recipe.sets:
                raise ChakuError(f"{at}: the set {used!r} is not defined; [sets] has {', '.join(recipe.sets)}")
        if any(weight <= 0 for weight in stage.mixture.values()):
            raise ChakuError(f"{at}.mixture: every weight must be above 0; leave a set out instead")
        if stage.parent is not None and stage.parent not in recipe.stages:
            raise ChakuError(f"{at}.parent {stage.parent!r} is not a stage; there are {', '.join(recipe.stages)}")
        if stage.lora is not None and stage.parent is None and recipe.model.path is None:
            raise ChakuError(f"{at}.lora needs a base to adapt: a parent, or model.path")
        if stage.base_quantization is not None and stage.lora is None:
            raise ChakuError(f"{at}.base_quantization is of a frozen base: it needs `lora`")
        _check_conversations(recipe, stage, at)
        training = stage.training
        if [training.tokens, training.share, training.epochs].count(None) != 2:
            raise ChakuError(f"{at}.training needs one of `tokens`, `share` and `epochs`")
        if training.share is not None and recipe.budget is None:
            raise ChakuError(f"{at}.training.share needs a [budget] with minutes")
        if training.tokens is not None:
            num_steps(training, stage.sequence_length)
        elif batch_rows(training, stage.sequence_length) < 1:
            raise ChakuError(f"{at}.training.batch_tokens is less than one sequence of {stage.sequence_length} tokens")
        lineage(recipe, name)
    _check_instruct(recipe, where)
    if shop_stages(recipe) and recipe.shop is None:
        raise ChakuError(f"{where}: stages.{shop_stages(recipe)[0]} learns about the shop, and there is no [shop]")
    if BASE_MODEL in recipe.stages:
        raise ChakuError(f"{where}: stages.{BASE_MODEL}: the name means model.path in evals.stages; choose another")
    for name in recipe.evals.stages:
        if name == BASE_MODEL and recipe.model.path is None:
            raise ChakuError(f"{where}: evals.stages names {name!r}, the checkpoint of model.path, which is not given")
        if name not in recipe.stages and name != BASE_MODEL:
            raise ChakuError(f"{where}: evals.stages names {name!r}, which is not a stage")
    for name in recipe.evals.benchmarks:
        if name not in HELDOUT_MEASURES and name not in BENCHMARKS:
            raise ChakuError(f"{where}: evals.benchmarks: {no_such_benchmark(name)}")


def is_made(chosen: DocumentSet | ConversationSet | PreferenceSet) -> bool:
    """Whether a set's files are made while the stages go on, by [instruct]."""
    return set_path(chosen).startswith(MADE)


def set_path(chosen: DocumentSet | ConversationSet | PreferenceSet) -> str:
    """Where the conversations or pairs of a set are; empty for documents."""
    return getattr(chosen, "conversations", "") or getattr(chosen, "preferences", "")


def shop_stages(recipe: Recipe) -> list[str]:
    """The stages that learn from questions about the shop."""
    return [
        name
        for name, stage in recipe.stages.items()
        if any(set_path(recipe.sets[each]).startswith(SHOP) for each in stage.mixture)
    ]


def _check_instruct(recipe: Recipe, where: str) -> None:
    writer = recipe.instruct.stage if recipe.instruct else None
    if writer is not None and writer not in recipe.stages:
        raise ChakuError(f"{where}: instruct.stage names {writer!r}, which is not a stage")
    order = stage_order(recipe)
    for name, stage in recipe.stages.items():
        made = [each for each in stage.mixture if is_made(recipe.sets[each])]
        if made and writer is None:
            raise ChakuError(f"{where}: the set {made[0]!r} is to be made by the run, and there is no [instruct]")
        if made and writer is not None and order.index(name) <= order.index(writer):
            raise ChakuError(f"{where}: stages.{name} learns from what {writer} writes; it must come after it")
        if made and stage.training.tokens is None:
            raise ChakuError(
                f"{where}: stages.{name}.training needs `tokens`: {made[0]!r} is made while the run goes on"
            )


def _needs_corpus(recipe: Recipe) -> bool:
    used = (recipe.sets.get(each) for stage in recipe.stages.values() for each in stage.mixture)
    return (recipe.tokenizer.path or recipe.model.path) is None or any(isinstance(each, DocumentSet) for each in used)


def _check_conversations(recipe: Recipe, stage: Stage, at: str) -> None:
    used = [recipe.sets[each] for each in stage.mixture]
    pairs = [each for each in used if isinstance(each, PreferenceSet)]
    if (stage.dpo is not None or pairs) and (stage.dpo is None or len(pairs) < len(used)):
        raise ChakuError(f"{at}: a stage with `dpo` trains on sets of `preferences` alone, and those need `dpo`")
    if stage.dpo is not None and stage.training.compile:
        raise ChakuError(f"{at}.training.compile does not go with `dpo`; leave it out")
    chats = [each for each in used if not isinstance(each, DocumentSet)]
    if len({each.template for each in chats}) > 1:
        raise ChakuError(f"{at}: the sets of one stage must have one `template`; a model learns one format")
    if stage.training.epochs is not None and not chats:
        raise ChakuError(f"{at}.training.epochs counts passes over conversations or pairs; give `tokens` or `share`")
    for name in stage.infill_sets or ():
        if not isinstance(recipe.sets[name], DocumentSet):
            raise ChakuError(f"{at}.infill_sets names {name!r}: conversations are not infilled")


def lineage(recipe: Recipe, name: str) -> list[str]:
    """The stages from the root down to `name`. Raises ChakuError on a circle."""
    chain = [name]
    while (parent := recipe.stages[chain[0]].parent) is not None:
        if parent in chain:
            raise ChakuError(f"stage {name} is its own ancestor: {' -> '.join([parent, *chain])}")
        chain.insert(0, parent)
    return chain


def stage_order(recipe: Recipe) -> list[str]:
    """Every stage after its parent, otherwise as the recipe lists them."""
    ordered: list[str] = []
    for name in recipe.stages:
        ordered += [each for each in lineage(recipe, name) if each not in ordered]
    return ordered


def stage_seed(recipe: Recipe, name: str) -> int:
    """A stage's own seed, or one that follows from the recipe's and the stage's name."""
    seed = recipe.stages[name].seed
    return seed if seed is not None else int(sha256_json([recipe.seed, name])[:8], 16)


def _scaling(stage: Stage) -> RopeScaling | None:
    return RopeScaling("linear", stage.rope_scaling_factor) if stage.rope_scaling_factor else None


def stage_shape(recipe: Recipe, name: str, base: LlamaConfig) -> LlamaConfig:
    """The model's configuration after a stage: the base's, with every ancestor's changes and its own."""
    for each in lineage(recipe, name):
        stage = recipe.stages[each]
        base = dataclasses.replace(
            base,
            max_position_embeddings=max(base.max_position_embeddings, stage.sequence_length),
            rope_theta=stage.rope_theta or base.rope_theta,
            rope_scaling=_scaling(stage) or base.rope_scaling,
        )
    return base
