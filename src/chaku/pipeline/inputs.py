"""The inputs of each step of a run: a finished step with equal inputs is kept.

Settings that change no result, such as a number of workers, are no inputs (`result_settings`).
"""

import dataclasses
from pathlib import Path
from typing import Any

from chaku.corpus.reading.file_list import describe_changes, read_file_list
from chaku.errors import ChakuError
from chaku.files import read_json, sha256_file, sha256_json
from chaku.model.config import LlamaConfig
from chaku.pipeline.data import base_fingerprint, given_tokenizer
from chaku.plain import result_settings
from chaku.recipe.family import stage_seed, stage_shape
from chaku.recipe.schema import Recipe

Inputs = dict[str, Any]


def corpus_inputs(recipe: Recipe) -> Inputs:
    """The inputs of the corpus; `stale_sources` looks at the files."""
    return {"corpus": result_settings(recipe.corpus) | recipe.corpus.files()}


def stale_sources(recipe: Recipe, corpus: Path) -> str:
    """How the source files of a corpus changed since it was made, in words; "" for unchanged files.

    A source that is gone counts as unchanged, since the corpus could not be made again; so does a corpus of
    `near_duplicates.against`.
    """
    if changed := _changed_corpora(corpus):
        return f"near_duplicates.against: {', '.join(changed)} changed"
    files = read_file_list(corpus) if corpus.is_dir() else None
    if files is None:
        return ""
    try:
        return describe_changes(files, recipe.corpus.sources)
    except ChakuError:
        return ""


def _changed_corpora(corpus: Path) -> list[str]:
    summary = corpus / "summary.json"
    against = read_json(summary).get("against", {}) if summary.exists() else {}
    now = {path: Path(path) for path in against if (Path(path) / "summary.json").exists()}
    return [path for path, directory in now.items() if corpus_fingerprint(directory) != against[path]]


def corpus_fingerprint(corpus: Path) -> str:
    """The hash of a corpus's documents. A corpus that is built again with the same documents has the same hash."""
    summary = read_json(corpus / "summary.json")
    return str(summary.get("documents_sha256") or sha256_json(summary["kept"]))  # an earlier version had no hash


def tokenizer_inputs(recipe: Recipe, corpus: str | None) -> Inputs:
    """The inputs of the tokenizer. `corpus`: the fingerprint of the documents, which a given tokenizer ignores."""
    given = given_tokenizer(recipe)
    infilling = any(stage.infilling for stage in recipe.stages.values())
    settings = {"tokenizer": result_settings(recipe.tokenizer), "infilling": infilling}
    return settings | ({"corpus": corpus} if given is None else {"sha256": given.sha256})


def instruct_inputs(recipe: Recipe, stage: str) -> Inputs:
    """The inputs of self-instruct. `stage`: the fingerprint of the stage that writes."""
    assert recipe.instruct is not None
    inputs = {"instruct": result_settings(recipe.instruct), "stage": stage, "seed": recipe.seed}
    if recipe.instruct.questions:
        inputs["questions"] = sha256_file(Path(recipe.instruct.questions))
    return inputs


def stage_inputs(
    recipe: Recipe,
    name: str,
    *,
    tokens: str | None,
    parent: str | None,
    base: LlamaConfig,
    conversations: dict[str, str],
) -> Inputs:
    """The inputs of a stage. `tokens`, `parent`: fingerprints. `conversations`: fingerprints by the name of the set.

    The recipe gives a stage's length as a number of tokens, epochs, or a share of the minutes. The number of tokens
    that a share means on this machine is no input: a stage keeps the number that it began with.
    """
    stage = recipe.stages[name]
    inputs = {
        "stage": result_settings(stage),
        "sets": {key: result_settings(recipe.sets[key]) for key in stage.mixture},
        "tokens": tokens,
        "model": dataclasses.asdict(stage_shape(recipe, name, base)),
        "seed": stage_seed(recipe, name),
        "parent": parent or base_fingerprint(recipe),
    }
    if stage.training.share is not None and recipe.budget is not None:
        inputs["minutes"] = recipe.budget.minutes
    if chats := recipe.reply_sets(stage):
        inputs["conversations"] = {chat: conversations[chat] for chat in chats}
    return inputs
