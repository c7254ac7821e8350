"""A recipe's conversations and pairs: encoded once a set, and what a stage takes of them."""

import dataclasses
import math
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chaku.console import progress, say, short
from chaku.errors import ChakuError
from chaku.files import read_json, sha256_file, write_json
from chaku.instruct.conversations import Preference, find_files, read_rows
from chaku.model import LlamaConfig
from chaku.recipe import IN_RUN, ConversationSet, DocumentSet, PreferenceSet, Recipe, Stage, is_made, lineage, set_path
from chaku.tokens.chat import Chat, ChatRow
from chaku.tokens.chat_store import ChatStore, write_chat_store
from chaku.tokens.loader import ChatSet, PackedDataset
from chaku.tokens.packing import plan_whole
from chaku.tokens.tokenizer import Tokenizer
from chaku.training.trainer import batch_rows

FOLDER = "conversations"  # of a run directory
LEFT_OUT = "left_out.json"  # of an encoded set
MOST_LEFT_OUT = 0.1  # of a set's rows; with more, the file is not what the recipe takes it for
MANY_LEFT_OUT = 10  # so many may be left out before the share counts, while the set is being read


def chat_names(recipe: Recipe, stage: Stage) -> list[str]:
    """The stage's sets that are conversations or pairs."""
    return [name for name in stage.mixture if not isinstance(recipe.sets[name], DocumentSet)]


def all_chat_names(recipe: Recipe) -> list[str]:
    """Those of all stages, each once, but those that the run itself makes."""
    names = (name for stage in recipe.stages.values() for name in chat_names(recipe, stage))
    return list(dict.fromkeys(name for name in names if not is_made(recipe.sets[name])))


def in_run(recipe: Recipe, directory: Path) -> Recipe:
    """The recipe with the paths of the sets that the run in `directory` makes."""

    def placed(chosen: DocumentSet | ConversationSet | PreferenceSet) -> DocumentSet | ConversationSet | PreferenceSet:
        if not set_path(chosen).startswith(IN_RUN):
            return chosen
        path = dataclasses.asdict(chosen)
        field = "preferences" if isinstance(chosen, PreferenceSet) else "conversations"
        return dataclasses.replace(chosen, **{field: path[field].replace("{run}", str(directory), 1)})

    return dataclasses.replace(recipe, sets={name: placed(chosen) for name, chosen in recipe.sets.items()})


def stage_chat(recipe: Recipe, name: str, tokenizer: Tokenizer) -> Chat | None:
    """The chat format that a stage's checkpoint knows: of its own conversations, or of its nearest ancestor's."""
    for each in reversed(lineage(recipe, name)):
        for chat_name in chat_names(recipe, recipe.stages[each]):
            return _chat(recipe, chat_name, tokenizer)
    return None


def with_end(shape: LlamaConfig, chat: Chat) -> LlamaConfig:
    """The shape of a model whose replies end in the template's token, beside what ends a text."""
    if shape.eos_token_ids == (chat.end_id,):
        return shape
    others = tuple(each for each in shape.eos_token_ids if each != chat.end_id)
    return dataclasses.replace(shape, eos_token_id=(chat.end_id, *others))


def set_inputs(recipe: Recipe, name: str, tokenizer: Tokenizer) -> dict[str, Any]:
    """What the encoded rows of a set follow from."""
    chosen = recipe.sets[name]
    return {
        "set": dataclasses.asdict(chosen),
        "files": {str(path): sha256_file(path) for path in find_files(_source(chosen))},
        "tokenizer": tokenizer.sha256,
        "template": _chat(recipe, name, tokenizer).template,
    }


def encode_set(recipe: Recipe, name: str, tokenizer: Tokenizer, path: Path) -> tuple[float, str]:
    """Write the rows of a set, and left_out.json: how many were left out, by reason.

    A conversation that cannot be learnt is left out. Raises ChakuError, naming the file and the line of the first, when
    more than MOST_LEFT_OUT of the rows (and more than one) cannot be.
    """
    chat, chosen = _chat(recipe, name, tokenizer), recipe.sets[name]
    assert not isinstance(chosen, DocumentSet)
    is_pairs = isinstance(chosen, PreferenceSet)
    left_out = LeftOutRows(name)
    with progress(f"encode {name}", 0, "pairs" if is_pairs else "conversations") as bar:

        def rows() -> Iterator[ChatRow]:
            for row in read_rows(_source(chosen), chosen.subset):
                bar.advance(1)
                try:
                    learnt = _pair_rows(chat, row.preference()) if is_pairs else chat.rows(row.conversation())
                except ChakuError as error:
                    left_out.add(row.where, str(error), num_rows=int(bar.done))
                else:
                    yield from learnt
            left_out.check(int(bar.done))

        store = write_chat_store(path, rows(), 2 if is_pairs else 1)
    left_out.show()
    write_json(path / LEFT_OUT, left_out.counts)
    return float(store.lengths.sum()), "tokens"


def _pair_rows(chat: Chat, pair: Preference) -> list[ChatRow]:
    return [chat.reply(pair.prompt, each) for each in (pair.chosen, pair.rejected)]


class LeftOutRows:
    """The rows of a set that cannot be learnt: how many, by reason, and where the first of each stands."""

    def __init__(self, name: str):
        self.name = name
        self.counts: Counter[str] = Counter()
        self._first: dict[str, str] = {}

    def add(self, where: str, problem: str, num_rows: int) -> None:
        """Raises ChakuError when they are too many of the rows so far."""
        problem = problem.removeprefix(f"{where}: ")
        reason = re.sub(r"""'[^']*'|"[^"]*"|\d+""", "...", problem)[:80]  # without what is of this row alone
        self.counts[reason] += 1
        self._first.setdefault(reason, f"{where}: {problem}")
        if self.counts.total() > max(MANY_LEFT_OUT, MOST_LEFT_OUT * num_rows):
            raise self._too_many(num_rows)

    def check(self, num_rows: int) -> None:
        """Raises ChakuError when they are too many of all rows."""
        if self.counts.total() > max(1, MOST_LEFT_OUT * num_rows) or self.counts.total() == num_rows > 0:
            raise self._too_many(num_rows)

    def _too_many(self, num_rows: int) -> ChakuError:
        count, first = self.counts.total(), next(iter(self._first.values()))
        return ChakuError(f"{count} of {num_rows} rows of the set {self.name} cannot be learnt; the first: {first}")

    def show(self) -> None:
        for reason, count in self.counts.most_common():
            say(f"{self.name}: {count} left out; the first: {self._first[reason]}")


def open_sets(recipe: Recipe, stage: Stage, directory: Path) -> list[ChatSet]:
    """The stage's sets of conversations or pairs, from a run directory."""
    return [
        ChatSet(name, ChatStore(directory / FOLDER / name), stage.mixture[name]) for name in chat_names(recipe, stage)
    ]


def epoch_tokens(recipe: Recipe, stage: Stage, directory: Path) -> int:
    """The tokens in which a stage passes `training.epochs` times over its conversations or pairs."""
    sets = open_sets(recipe, stage, directory)
    sequences = sum(len(plan_whole(each.store.group_lengths, stage.sequence_length)) for each in sets)
    share = sum(each.weight for each in sets) / sum(stage.mixture.values())
    rows = batch_rows(stage.training, stage.sequence_length)
    batches = math.ceil((stage.training.epochs or 0) * sequences / share / rows - 1e-9)
    return max(batches, 1) * rows * stage.sequence_length


def describe_sets(dataset: PackedDataset, directory: Path) -> dict[str, Any]:
    """Rows, tokens, and what is left out of each set of conversations or pairs; said where any is."""
    about: dict[str, Any] = {}
    for each in dataset.sets:
        if isinstance(each, ChatSet):
            lengths = each.store.group_lengths
            left_out = int((lengths > dataset.sequence_length + 1).sum())
            about[each.name] = {"rows": len(lengths), "too_long": left_out, "tokens": int(lengths.sum())}
            if (directory / FOLDER / each.name / LEFT_OUT).exists():
                about[each.name]["left_out"] = read_json(directory / FOLDER / each.name / LEFT_OUT)
            if left_out:
                say(
                    f"{each.name}: {left_out} of {len(lengths)} are longer than a sequence of "
                    f"{dataset.sequence_length} tokens and left out, never cut; the longest has {short(lengths.max())}"
                )
    return about


def _chat(recipe: Recipe, name: str, tokenizer: Tokenizer) -> Chat:
    chosen = recipe.sets[name]
    assert not isinstance(chosen, DocumentSet)
    try:
        return Chat(tokenizer, chosen.template)
    except ChakuError as error:
        raise ChakuError(f"sets.{name}.template: {error}") from None


def _source(chosen: object) -> str:
    return chosen.preferences if isinstance(chosen, PreferenceSet) else getattr(chosen, "conversations", "")
