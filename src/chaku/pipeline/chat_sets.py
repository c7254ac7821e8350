"""Encodes a recipe's sets of conversations and preference pairs, once for each set, and opens them for stages."""

import dataclasses
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

from chaku.console import progress, say, short
from chaku.corpus.reading.rows import Row
from chaku.errors import ChakuError
from chaku.files import RECORD, read_json, sha256_file, sha256_json, write_json
from chaku.instruct.conversations import find_files, read_conversation, read_preference, read_rows
from chaku.model.config import LlamaConfig
from chaku.pipeline.run_directory import Work
from chaku.pipeline.shop import CONVERSATIONS as SHOP_CONVERSATIONS
from chaku.plain import result_settings
from chaku.recipe.family import lineage
from chaku.recipe.schema import (
    ConversationSet,
    DocumentSet,
    InstructSet,
    PreferenceSet,
    Recipe,
    Set,
    ShopSet,
    StageConfig,
    is_pairs,
)
from chaku.tokens.chat import Chat, ChatRow, Message
from chaku.tokens.chat_store import ChatStore, write_chat_store
from chaku.tokens.packed_dataset import ChatSet, PackedDataset
from chaku.tokens.packing import plan_whole
from chaku.tokens.tokenizer import Tokenizer
from chaku.training.finished_stage import ReplyRows
from chaku.training.schedule import batch_rows

FOLDER = "conversations"  # in a run directory
HELDOUT = "heldout"  # in the folder of an encoded set: the rows that are held out
LEFT_OUT = "left_out.json"  # in the folder of an encoded set
MOST_LEFT_OUT = 0.1  # of a set's rows; a larger share means that the file does not fit the recipe
MANY_LEFT_OUT = 10  # while the set is being read, the share counts only above this number of rows


def given_sets(recipe: Recipe) -> list[str]:
    """The sets of conversations and pairs of all stages, without the sets that [instruct] makes between stages.

    The rows of a stage with `grpo` are prompts, and are not encoded beforehand.
    """
    stages = [stage for stage in recipe.stages.values() if stage.grpo is None]
    names = dict.fromkeys(name for stage in stages for name in recipe.reply_sets(stage))
    return [name for name in names if not isinstance(recipe.sets[name], InstructSet)]


def source_of(chosen: Set, directory: Path) -> str:
    """The files or the Hub data set of a set of conversations or pairs. `directory`: the run's directory."""
    match chosen:
        case ConversationSet(conversations):
            return conversations
        case PreferenceSet(preferences):
            return preferences
        case InstructSet(name):
            return str(directory / "instruct" / f"{name}.jsonl")
        case ShopSet():
            return str(directory / "shop" / SHOP_CONVERSATIONS)
        case DocumentSet():
            raise AssertionError("documents are of the corpus")


def stage_chat(recipe: Recipe, name: str, tokenizer: Tokenizer) -> Chat | None:
    """The chat format of a stage's checkpoint: from its own sets, or from its nearest ancestor with conversations."""
    for ancestor in reversed(lineage(recipe, name)):
        for chat_name in recipe.reply_sets(recipe.stages[ancestor]):
            return _chat(recipe, chat_name, tokenizer)
    return None


def with_end(shape: LlamaConfig, chat: Chat) -> LlamaConfig:
    """The model's shape with the chat template's end token added to its EOS tokens."""
    if shape.eos_token_ids == (chat.end_id,):
        return shape
    others = tuple(token for token in shape.eos_token_ids if token != chat.end_id)
    return dataclasses.replace(shape, eos_token_id=(chat.end_id, *others))


def set_inputs(recipe: Recipe, name: str, tokenizer: Tokenizer, directory: Path) -> dict[str, Any]:
    """The inputs that decide the encoded rows of a set. `directory`: the run's directory.

    A file that the run made is named by its place in the run, so that a run that is moved goes on.
    """
    chosen = recipe.sets[name]
    record = directory / FOLDER / name / RECORD
    before = read_json(record).get("files", {}) if record.exists() else {}

    def shown(path: Path) -> str:
        if not isinstance(chosen, InstructSet | ShopSet):
            return str(path)
        inside = path.relative_to(directory).as_posix()
        # An earlier version recorded the whole path: what was made from it stays valid.
        return next((old for old in before if old.endswith(f"/{inside}")), inside)

    return {
        "set": result_settings(chosen),
        "files": {shown(path): sha256_file(path) for path in find_files(source_of(chosen, directory))},
        "tokenizer": tokenizer.sha256,
        "template": _chat(recipe, name, tokenizer).template,
    }


def prompts_fingerprint(inputs: dict[str, Any], directory: Path, before: str | None) -> str:
    """The fingerprint of a set whose rows are prompts, from its inputs. `before`: the one that its stage recorded.

    An earlier version named the files by their whole path: its fingerprint is returned where it stands for the same.
    """
    whole = {str(directory / path): digest for path, digest in inputs["files"].items()}
    old = sha256_json({**inputs, "files": whole})
    return old if old == before else sha256_json(inputs)


def encode_set(recipe: Recipe, name: str, tokenizer: Tokenizer, directory: Path, path: Path) -> Work:
    """Encode the rows of a set into `path`, and count the unusable rows by reason in left_out.json.

    The rows that are held out go into the folder `heldout` of `path`. `directory`: the run's directory. Raises
    ChakuError, with the file and the line of the first unusable row, when more than MOST_LEFT_OUT of the rows (and more
    than one) are unusable.
    """
    chat, chosen = _chat(recipe, name, tokenizer), recipe.sets[name]
    subset = chosen.subset if isinstance(chosen, ConversationSet | PreferenceSet) else None
    of_pairs = is_pairs(chosen)
    left_out = LeftOutRows(name)
    fraction = 0.0 if isinstance(chosen, ShopSet | DocumentSet) else chosen.heldout_fraction
    held_out: list[ChatRow] = []
    with progress(f"encode {name}", 0, "pairs" if of_pairs else "conversations") as bar:

        def rows() -> Iterator[ChatRow]:
            for row in read_rows(source_of(chosen, directory), subset):
                bar.advance(1)
                try:
                    learnt, prompt = (_pair_rows if of_pairs else _conversation_rows)(chat, row)
                except ChakuError as error:
                    left_out.add(row.where, str(error), num_rows=int(bar.done))
                else:
                    if is_held_out(prompt, fraction):
                        held_out.extend(learnt)
                    else:
                        yield from learnt
            left_out.check(int(bar.done))

        group_size = 2 if of_pairs else 1
        store = write_chat_store(path, rows(), group_size)
    if held_out:
        write_chat_store(path / HELDOUT, held_out, group_size)
    if fraction:
        say(f"{name}: {len(held_out) // group_size} rows are held out, {len(store) // group_size} are trained on")
    left_out.show()
    write_json(path / LEFT_OUT, left_out.counts)
    return Work(int(store.lengths.sum()), "tokens")


def _conversation_rows(chat: Chat, row: Row) -> tuple[list[ChatRow], list[Message]]:
    """The encoded rows of a conversation, and its messages before the first reply."""
    messages = read_conversation(row)
    before = takewhile(lambda message: message.role != "assistant", messages)
    return chat.rows(messages), list(before)


def _pair_rows(chat: Chat, row: Row) -> tuple[list[ChatRow], list[Message]]:
    """The encoded rows of a pair, the chosen reply first, and the prompt."""
    pair = read_preference(row)
    return [chat.reply(pair.prompt, reply) for reply in (pair.chosen, pair.rejected)], pair.prompt


def is_held_out(prompt: Sequence[Message], fraction: float) -> bool:
    """Whether a row is held out, by the hash of its prompt: all rows with one prompt are on one side, in every set."""
    return int(sha256_json([dataclasses.asdict(message) for message in prompt])[:16], 16) < fraction * 2**64


class LeftOutRows:
    """The unusable rows of a set: their number by reason, and the place of the first row for each reason."""

    def __init__(self, name: str):
        self.name = name
        self.counts: Counter[str] = Counter()
        self._first: dict[str, str] = {}

    def add(self, where: str, problem: str, num_rows: int) -> None:
        """Count an unusable row. Raises ChakuError when too many of the rows so far are unusable."""
        problem = problem.removeprefix(f"{where}: ")
        reason = re.sub(r"""'[^']*'|"[^"]*"|\d+""", "...", problem)[:80]  # without the details of this row
        self.counts[reason] += 1
        self._first.setdefault(reason, f"{where}: {problem}")
        if self.counts.total() > max(MANY_LEFT_OUT, MOST_LEFT_OUT * num_rows):
            raise self._too_many(num_rows)

    def check(self, num_rows: int) -> None:
        """Raises ChakuError when too many of all rows are unusable."""
        if self.counts.total() > max(1, MOST_LEFT_OUT * num_rows) or self.counts.total() == num_rows > 0:
            raise self._too_many(num_rows)

    def _too_many(self, num_rows: int) -> ChakuError:
        count, first = self.counts.total(), next(iter(self._first.values()))
        return ChakuError(
            f"{count} of {num_rows} rows of the set {self.name} are unusable; correct the file. The first: {first}"
        )

    def show(self) -> None:
        for reason, count in self.counts.most_common():
            say(f"{self.name}: {count} left out; the first: {self._first[reason]}")


def open_sets(recipe: Recipe, stage: StageConfig, directory: Path) -> list[ChatSet]:
    """The stage's sets of conversations or pairs, from a run directory."""
    return [
        ChatSet(name, ChatStore(directory / FOLDER / name), stage.mixture[name]) for name in recipe.reply_sets(stage)
    ]


def open_heldout(name: str, directory: Path) -> ChatStore | None:
    """The held-out rows of a set of conversations or pairs, from a run directory; None without such rows."""
    path = directory / FOLDER / name / HELDOUT
    return ChatStore(path) if path.exists() else None


def epoch_tokens(recipe: Recipe, stage: StageConfig, directory: Path) -> int:
    """The number of tokens in `training.epochs` passes over the stage's conversations or pairs, padding included."""
    sets = open_sets(recipe, stage, directory)
    sequences = sum(len(plan_whole(chat_set.store.group_lengths, stage.sequence_length)) for chat_set in sets)
    share = sum(chat_set.weight for chat_set in sets) / sum(stage.mixture.values())
    rows = batch_rows(stage.training, stage.sequence_length)
    batches = math.ceil((stage.training.epochs or 0) * sequences / share / rows - 1e-9)
    return max(batches, 1) * rows * stage.sequence_length


def describe_sets(dataset: PackedDataset, directory: Path) -> dict[str, ReplyRows]:
    """The rows, tokens and left-out rows of each set of conversations or pairs; prints the number of long rows."""
    about: dict[str, ReplyRows] = {}
    for chat_set in dataset.sets:
        if isinstance(chat_set, ChatSet):
            name, lengths = chat_set.name, chat_set.store.group_lengths
            too_long = int((lengths > dataset.sequence_length + 1).sum())
            unusable = directory / FOLDER / name / LEFT_OUT
            counted = read_json(unusable) if unusable.exists() else None
            heldout = open_heldout(name, directory)
            held_out = len(heldout.group_lengths) if heldout else 0
            about[name] = ReplyRows(len(lengths), too_long, int(lengths.sum()), counted, held_out)
            if too_long:
                say(
                    f"{name}: {too_long} of {len(lengths)} rows are left out: they are longer than a sequence of "
                    f"{dataset.sequence_length} tokens. The longest has {short(lengths.max())}; raise sequence_length"
                )
    return about


def _chat(recipe: Recipe, name: str, tokenizer: Tokenizer) -> Chat:
    chosen = recipe.sets[name]
    assert not isinstance(chosen, DocumentSet)
    try:
        return Chat(tokenizer, chosen.template)
    except ChakuError as error:
        raise ChakuError(f"sets.{name}.template: {error}") from None
