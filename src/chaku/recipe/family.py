"""The family tree of a recipe's stages: ancestors, training order, seeds, and model configurations."""

import dataclasses

from chaku.errors import ChakuError
from chaku.files import sha256_json
from chaku.model.config import PRESETS, LlamaConfig, RopeScaling
from chaku.recipe.schema import Recipe, ShopSet


def lineage(recipe: Recipe, name: str) -> list[str]:
    """The stages from the root down to `name`. Raises ChakuError when a stage is its own ancestor."""
    chain = [name]
    while (parent := recipe.stages[chain[0]].parent) is not None:
        if parent in chain:
            raise ChakuError(f"stage {name} is its own ancestor: {' -> '.join([parent, *chain])}; correct a `parent`")
        chain.insert(0, parent)
    return chain


def stage_order(recipe: Recipe) -> list[str]:
    """The training order: every stage after its parent, otherwise in the order of the recipe."""
    ordered: list[str] = []
    for name in recipe.stages:
        ordered += [ancestor for ancestor in lineage(recipe, name) if ancestor not in ordered]
    return ordered


def stage_seed(recipe: Recipe, name: str) -> int:
    """The stage's `seed`, or a seed that follows from the recipe's seed and the stage's name."""
    seed = recipe.stages[name].seed
    return seed if seed is not None else int(sha256_json([recipe.seed, name])[:8], 16)


def preset_shape(recipe: Recipe, preset: str) -> LlamaConfig:
    """A preset's configuration with the vocabulary size that the recipe's tokenizer asks for."""
    vocab_size = recipe.tokenizer.vocab_size
    return dataclasses.replace(PRESETS[preset], vocab_size=vocab_size) if vocab_size else PRESETS[preset]


def stage_shape(recipe: Recipe, name: str, base: LlamaConfig) -> LlamaConfig:
    """The model's configuration after a stage: `base` with the changes of the stage and of its ancestors."""
    for ancestor in lineage(recipe, name):
        stage = recipe.stages[ancestor]
        factor = stage.rope_scaling_factor
        base = dataclasses.replace(
            base,
            max_position_embeddings=max(base.max_position_embeddings, stage.sequence_length),
            rope_theta=stage.rope_theta or base.rope_theta,
            rope_scaling=RopeScaling("linear", factor) if factor else base.rope_scaling,
        )
    return base


def with_grpo_lengths(recipe: Recipe) -> Recipe:
    """The recipe in which `training` of the stages with `grpo` has the batch and the length that follow from `grpo`."""
    stages = {}
    for name, stage in recipe.stages.items():
        if grpo := stage.grpo:
            batch = grpo.prompts * grpo.group_size * stage.sequence_length
            training = dataclasses.replace(stage.training, batch_tokens=batch, tokens=grpo.steps * batch)
            stage = dataclasses.replace(stage, training=training)
        stages[name] = stage
    return dataclasses.replace(recipe, stages=stages)


def shop_stages(recipe: Recipe) -> list[str]:
    """The stages that train on questions about the shop."""
    return [
        name
        for name, stage in recipe.stages.items()
        if any(isinstance(recipe.sets[used], ShopSet) for used in stage.mixture)
    ]
