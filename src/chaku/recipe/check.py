"""Checks that the parts of a recipe fit together. The message of each mistake names the key to correct."""

from chaku.errors import ChakuError
from chaku.evals.suite import BENCHMARKS, HELDOUT_MEASURES, no_such_benchmark
from chaku.model.config import PRESETS
from chaku.recipe.family import lineage, shop_stages, stage_order
from chaku.recipe.schema import BASE_MODEL, DocumentSet, InstructSet, Recipe, StageConfig, is_pairs
from chaku.training.config import TrainingConfig
from chaku.training.grpo_config import PASS_AT
from chaku.training.schedule import batch_rows, num_steps


def check_recipe(recipe: Recipe, where: str) -> None:
    """Raises ChakuError for the first mistake. `where`: the recipe file, for the message."""
    _check_base(recipe, where)
    recipe.corpus.check(f"{where}: corpus")
    for name, stage in recipe.stages.items():
        at = f"{where}: stages.{name}"
        _check_mixture(recipe, stage, at)
        _check_parent(recipe, name, at)
        _check_chat(recipe, stage, at)
        _check_tokens(recipe, stage, at)
        if stage.infilling:
            stage.infilling.check(f"{at}.infilling")
    _check_instruct(recipe, where)
    if shop_stages(recipe) and recipe.shop is None:
        raise ChakuError(
            f"{where}: stages.{shop_stages(recipe)[0]} trains on the shop's questions, but the recipe has no [shop]; "
            "add the table"
        )
    _check_evals(recipe, where)


def _check_base(recipe: Recipe, where: str) -> None:
    if not recipe.corpus.sources and _needs_corpus(recipe):
        raise ChakuError(f"{where}: corpus.sources is empty; name at least one source of documents")
    if (recipe.model.preset is None) == (recipe.model.path is None):
        raise ChakuError(f"{where}: model needs exactly one of `preset` ({', '.join(PRESETS)}) and `path`")
    if recipe.model.preset is not None and recipe.model.preset not in PRESETS:
        raise ChakuError(f"{where}: model.preset {recipe.model.preset!r} is unknown; presets: {', '.join(PRESETS)}")
    if recipe.tokenizer.vocab_size is not None and (recipe.tokenizer.path or recipe.model.path):
        raise ChakuError(
            f"{where}: tokenizer.vocab_size trains a new tokenizer, but tokenizer.path or model.path has one; remove "
            "tokenizer.vocab_size"
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
        raise ChakuError(f"{at}.mixture: every weight must be above 0; remove a set that needs no weight")


def _check_parent(recipe: Recipe, name: str, at: str) -> None:
    stage = recipe.stages[name]
    if stage.parent is not None and stage.parent not in recipe.stages:
        raise ChakuError(f"{at}.parent {stage.parent!r} is not a stage; the stages are {', '.join(recipe.stages)}")
    try:
        lineage(recipe, name)
    except ChakuError as error:
        raise ChakuError(f"{at}.parent: {error}") from None
    if stage.lora is not None and stage.parent is None and recipe.model.path is None:
        raise ChakuError(f"{at}.lora needs a trained base model: give the stage a `parent`, or set model.path")
    if stage.lora is not None and stage.training.optimizer == "muon":
        raise ChakuError(f'{at}.training.optimizer = "muon" is for whole weight matrices; with `lora`, use "adamw"')
    if stage.lora is not None and stage.training.precision == "float8":
        raise ChakuError(
            f'{at}.training.precision = "float8" trains whole weight matrices; with `lora`, use "bfloat16" and '
            "`base_quantization`"
        )
    if stage.base_quantization is not None and stage.lora is None:
        raise ChakuError(f"{at}.base_quantization needs a frozen base model: add `lora`")


def _check_chat(recipe: Recipe, stage: StageConfig, at: str) -> None:
    chats = recipe.reply_sets(stage).values()
    pairs = [chosen for chosen in chats if is_pairs(chosen)]
    if (stage.dpo is not None or pairs) and (stage.dpo is None or len(pairs) < len(stage.mixture)):
        raise ChakuError(f"{at}: a stage with `dpo` trains on sets of `preferences` only, and these sets need `dpo`")
    if stage.dpo is not None and stage.training.compile:
        raise ChakuError(f"{at}.training.compile does not work with `dpo`; remove it")
    if len({chosen.template for chosen in chats}) > 1:
        raise ChakuError(f"{at}: the sets of one stage must have the same `template`; a model learns one format")
    if stage.grpo is not None and (len(chats) < len(stage.mixture) or pairs):
        raise ChakuError(f"{at}: a stage with `grpo` trains on sets of conversations only: their rows are its prompts")
    if stage.training.epochs is not None and not chats:
        raise ChakuError(
            f"{at}.training.epochs counts passes over conversations or pairs, but the stage has documents; set "
            "`tokens` or `share` instead"
        )
    for name in stage.infill_sets or ():
        if not isinstance(recipe.sets[name], DocumentSet):
            raise ChakuError(f"{at}.infill_sets names {name!r}, but conversations are never infilled; remove the name")


def _check_tokens(recipe: Recipe, stage: StageConfig, at: str) -> None:
    training = stage.training
    if stage.grpo is not None:
        _check_grpo(stage, at)
        return
    if [training.tokens, training.share, training.epochs].count(None) != 2:
        raise ChakuError(f"{at}.training needs exactly one of `tokens`, `share` and `epochs`")
    if training.share is not None and recipe.budget is None:
        raise ChakuError(f"{at}.training.share needs a [budget] with minutes")
    if training.tokens is not None:
        num_steps(training, stage.sequence_length)
    elif batch_rows(training, stage.sequence_length) < 1:
        raise ChakuError(f"{at}.training.batch_tokens is less than one sequence of {stage.sequence_length} tokens")
    if (steps := training.profile_steps) is not None and (len(steps) != 2 or not 1 <= steps[0] <= steps[1]):
        raise ChakuError(
            f"{at}.training.profile_steps is {list(steps)}; give the first and the last step to record, as in [10, 12]"
        )


def _check_grpo(stage: StageConfig, at: str) -> None:
    grpo, training = stage.grpo, stage.training
    assert grpo is not None
    given = [name for name in ("tokens", "share", "epochs") if getattr(training, name) is not None]
    if training.batch_tokens != TrainingConfig().batch_tokens:
        given.append("batch_tokens")
    if given:
        raise ChakuError(
            f"{at}.training.{given[0]}: with `grpo`, grpo.steps decides the length, and grpo.prompts and "
            "grpo.group_size the batch; remove it"
        )
    if stage.dpo is not None or stage.infilling is not None or training.compile:
        what = "dpo" if stage.dpo is not None else "infilling" if stage.infilling is not None else "training.compile"
        raise ChakuError(f"{at}.{what} does not work with `grpo`; remove it")
    if stage.lora is not None and stage.lora.dropout:
        raise ChakuError(
            f"{at}.lora.dropout {stage.lora.dropout:g}: the loss must see the probabilities that sampled the replies, "
            "which dropout changes; set it to 0 with `grpo`"
        )
    if grpo.max_tokens >= stage.sequence_length:
        raise ChakuError(
            f"{at}.grpo.max_tokens {grpo.max_tokens} leaves no room for a prompt in sequence_length "
            f"{stage.sequence_length}; lower it, or raise sequence_length"
        )
    if len(grpo.pass_rate) != 2 or not 0 <= grpo.pass_rate[0] <= grpo.pass_rate[1] <= 1:
        raise ChakuError(
            f"{at}.grpo.pass_rate is {list(grpo.pass_rate)}; give the lowest and the highest, as in [0, 0.875]"
        )
    if 0 < grpo.heldout_samples < PASS_AT:
        raise ChakuError(
            f"{at}.grpo.heldout_samples is {grpo.heldout_samples}; give 0, or the {PASS_AT} samples of a task that "
            f"pass@{PASS_AT} needs"
        )
    if grpo.endpoint is not None and stage.lora is None:
        raise ChakuError(f"{at}.grpo.endpoint gives the server a LoRA adapter after each update; add `lora`")
    for number, reward in enumerate(grpo.rewards):
        if reward.kind in ("function", "http") and not reward.path:
            raise ChakuError(f'{at}.grpo.rewards[{number}]: the kind "{reward.kind}" needs a `path`')


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
            raise ChakuError(f"{where}: the set {made[0]!r} comes from [instruct], which is missing; add the table")
        if order.index(name) <= order.index(writer):
            raise ChakuError(f"{where}: stages.{name} trains on text of the stage {writer}, so it must come after it")
        if stage.training.tokens is None and stage.grpo is None:
            raise ChakuError(
                f"{where}: stages.{name}.training needs `tokens`, since the run makes {made[0]!r} only later"
            )


def _check_evals(recipe: Recipe, where: str) -> None:
    if BASE_MODEL in recipe.stages:
        raise ChakuError(
            f"{where}: stages.{BASE_MODEL}: evals.stages uses the name {BASE_MODEL!r} for model.path; rename the stage"
        )
    for name in recipe.evals.stages:
        if name == BASE_MODEL and recipe.model.path is None:
            raise ChakuError(
                f"{where}: evals.stages names {name!r}, which means the checkpoint of model.path; set model.path"
            )
        if name not in recipe.stages and name != BASE_MODEL:
            raise ChakuError(f"{where}: evals.stages names {name!r}, which is not a stage")
    for name in recipe.evals.benchmarks:
        if name not in HELDOUT_MEASURES and name not in BENCHMARKS:
            raise ChakuError(f"{where}: evals.benchmarks: {no_such_benchmark(name)}")
