"""Whether the parts of a recipe fit together. Every mistake has its own message, and names the key to correct."""

from chaku.errors import ChakuError
from chaku.evals.suite import BENCHMARKS, HELDOUT_MEASURES, no_such_benchmark
from chaku.model.config import PRESETS
from chaku.recipe.family import lineage, shop_stages, stage_order
from chaku.recipe.schema import BASE_MODEL, DocumentSet, InstructSet, Recipe, StageConfig, is_pairs
from chaku.training.schedule import batch_rows, num_steps


def check_recipe(recipe: Recipe, where: str) -> None:
    """Raises ChakuError for the first parts that do not fit together. `where`: the file, for the message."""
    _check_base(recipe, where)
    for name, stage in recipe.stages.items():
        at = f"{where}: stages.{name}"
        _check_mixture(recipe, stage, at)
        _check_parent(recipe, name, at)
        _check_chat(recipe, stage, at)
        _check_tokens(recipe, stage, at)
    _check_instruct(recipe, where)
    if shop_stages(recipe) and recipe.shop is None:
        raise ChakuError(f"{where}: stages.{shop_stages(recipe)[0]} learns about the shop, and there is no [shop]")
    _check_evals(recipe, where)


def _check_base(recipe: Recipe, where: str) -> None:
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


def _needs_corpus(recipe: Recipe) -> bool:
    used = (recipe.sets.get(name) for stage in recipe.stages.values() for name in stage.mixture)
    trains_tokenizer = (recipe.tokenizer.path or recipe.model.path) is None
    return trains_tokenizer or any(isinstance(chosen, DocumentSet) for chosen in used)


def _check_mixture(recipe: Recipe, stage: StageConfig, at: str) -> None:
    if not stage.mixture:
        raise ChakuError(f"{at}.mixture is empty; give at least one set a weight")
    for name in (*stage.mixture, *(stage.infill_sets or ())):
        if name not in recipe.sets:
            raise ChakuError(f"{at}: the set {name!r} is not defined; [sets] has {', '.join(recipe.sets)}")
    if any(weight <= 0 for weight in stage.mixture.values()):
        raise ChakuError(f"{at}.mixture: every weight must be above 0; leave a set out instead")


def _check_parent(recipe: Recipe, name: str, at: str) -> None:
    stage = recipe.stages[name]
    if stage.parent is not None and stage.parent not in recipe.stages:
        raise ChakuError(f"{at}.parent {stage.parent!r} is not a stage; there are {', '.join(recipe.stages)}")
    try:
        lineage(recipe, name)
    except ChakuError as error:
        raise ChakuError(f"{at}.parent: {error}") from None
    if stage.lora is not None and stage.parent is None and recipe.model.path is None:
        raise ChakuError(f"{at}.lora needs a base to adapt: a parent, or model.path")
    if stage.base_quantization is not None and stage.lora is None:
        raise ChakuError(f"{at}.base_quantization is of a frozen base: it needs `lora`")


def _check_chat(recipe: Recipe, stage: StageConfig, at: str) -> None:
    chats = recipe.reply_sets(stage).values()
    pairs = [chosen for chosen in chats if is_pairs(chosen)]
    if (stage.dpo is not None or pairs) and (stage.dpo is None or len(pairs) < len(stage.mixture)):
        raise ChakuError(f"{at}: a stage with `dpo` trains on sets of `preferences` alone, and those need `dpo`")
    if stage.dpo is not None and stage.training.compile:
        raise ChakuError(f"{at}.training.compile does not go with `dpo`; leave it out")
    if len({chosen.template for chosen in chats}) > 1:
        raise ChakuError(f"{at}: the sets of one stage must have one `template`; a model learns one format")
    if stage.training.epochs is not None and not chats:
        raise ChakuError(f"{at}.training.epochs counts passes over conversations or pairs; give `tokens` or `share`")
    for name in stage.infill_sets or ():
        if not isinstance(recipe.sets[name], DocumentSet):
            raise ChakuError(f"{at}.infill_sets names {name!r}: conversations are not infilled")


def _check_tokens(recipe: Recipe, stage: StageConfig, at: str) -> None:
    training = stage.training
    if [training.tokens, training.share, training.epochs].count(None) != 2:
        raise ChakuError(f"{at}.training needs one of `tokens`, `share` and `epochs`")
    if training.share is not None and recipe.budget is None:
        raise ChakuError(f"{at}.training.share needs a [budget] with minutes")
    if training.tokens is not None:
        num_steps(training, stage.sequence_length)
    elif batch_rows(training, stage.sequence_length) < 1:
        raise ChakuError(f"{at}.training.batch_tokens is less than one sequence of {stage.sequence_length} tokens")


def _check_instruct(recipe: Recipe, where: str) -> None:
    writer = recipe.instruct.stage if recipe.instruct else None
    if writer is not None and writer not in recipe.stages:
        raise ChakuError(f"{where}: instruct.stage names {writer!r}, which is not a stage")
    order = stage_order(recipe)
    for name, stage in recipe.stages.items():
        made = [used for used in stage.mixture if isinstance(recipe.sets[used], InstructSet)]
        if not made:
            continue
        if writer is None:
            raise ChakuError(f"{where}: the set {made[0]!r} is to be made by the run, and there is no [instruct]")
        if order.index(name) <= order.index(writer):
            raise ChakuError(f"{where}: stages.{name} learns from what {writer} writes; it must come after it")
        if stage.training.tokens is None:
            raise ChakuError(
                f"{where}: stages.{name}.training needs `tokens`: {made[0]!r} is made while the run goes on"
            )


def _check_evals(recipe: Recipe, where: str) -> None:
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
