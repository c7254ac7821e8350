"""Builds the prompt for a query: the schema and the question."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from chaku.errors import ChakuError
from chaku.sql.engines.known import ENGINES
from chaku.sql.schema.ddl import compact_table, ddl_table, to_ddl
from chaku.sql.schema.definition import Dropped, Schema, literal
from chaku.sql.schema.linking import link
from chaku.sql.schema.meaning import Meaning
from chaku.sql.schema.values import Match

Form = Literal["ddl", "compact", "db-gpt-hub"]
FORMS: tuple[Form, ...] = ("ddl", "compact", "db-gpt-hub")

MAX_HINTS = 5  # hints about values that the question may mean
HINTS_SHARE = 3  # hints take at most a third of a prompt
BYTES_PER_TOKEN = 3  # a low estimate for code in Llama's vocabulary, so that prompts are never too long


@dataclass(frozen=True)
class SqlPrompt:
    """A prompt. `text`: the user's message. `dropped`: the parts of the schema that did not fit."""

    text: str
    dropped: tuple[Dropped, ...]


def estimate_tokens(text: str) -> int:
    """An upper estimate of a text's tokens, for use without a tokenizer."""
    return -(-len(text.encode()) // BYTES_PER_TOKEN)


def build_prompt(
    schema: Schema,
    question: str,
    *,
    count_tokens: Callable[[str], int],
    max_tokens: int,
    evidence: str = "",
    form: Form = "ddl",
) -> SqlPrompt:
    """A prompt of at most `max_tokens` tokens, without the reply.

    `form`: "ddl" has CREATE TABLE statements with types, keys, comments and sampled values. "compact" has only names
    and keys, for small models. "db-gpt-hub" is the form of the project DB-GPT-Hub, to compare with its results. Raises
    ChakuError when the question leaves no room for the schema.
    """
    if form == "db-gpt-hub":
        asked = " ".join(question.split())
        return _db_gpt_hub(schema, f"{evidence} {asked}".strip(), count_tokens, max_tokens)
    tail = _tail(schema, question, evidence, form)
    room = _room(tail, count_tokens, max_tokens)
    render = ddl_table if form == "ddl" else compact_table
    text, dropped = to_ddl(schema, count_tokens=count_tokens, max_tokens=room, render=render)
    return SqlPrompt(text + tail, tuple(dropped))


def linked_prompt(
    schema: Schema,
    question: str,
    matches: Sequence[Match],
    *,
    count_tokens: Callable[[str], int],
    max_tokens: int,
    evidence: str = "",
    meanings: Sequence[str] = (),
    examples: Sequence[str] = (),
    trouble: str = "",
    form: Form = "ddl",
    meaning: Meaning | None = None,
) -> tuple[SqlPrompt, Schema]:
    """The prompt of a question with hints, and the part of the schema that it shows.

    A schema that does not fit is cut to the tables and columns that the question is about. Hints stand before the
    question: the `trouble` with an earlier query, the `meanings` of words, the values that the question means
    (`matches`), and `examples`; they take at most a third of the prompt. Raises ChakuError when the question leaves no
    room for the schema.
    """
    hints = [*([trouble] if trouble else []), *meanings[:MAX_HINTS]]
    hints += [
        f"{match.phrase} is {match.table}.{match.column} = {literal(match.value)};" for match in matches[:MAX_HINTS]
    ]
    hints += examples
    while hints and count_tokens(" ".join(hints)) > max_tokens // HINTS_SHARE:
        hints.pop()
    said = " ".join((evidence, *hints)).strip()
    linked = link(
        question,
        schema,
        matches,
        count_tokens=count_tokens,
        max_tokens=_room(_tail(schema, question, said, form), count_tokens, max_tokens),
        render=ddl_table if form == "ddl" else compact_table,
        meaning=meaning,
    )
    prompt = build_prompt(
        linked.schema, question, count_tokens=count_tokens, max_tokens=max_tokens, evidence=said, form=form
    )
    return replace(prompt, dropped=(*linked.dropped, *prompt.dropped)), linked.schema


def _tail(schema: Schema, question: str, evidence: str, form: Form) -> str:
    """The end of the prompt, after the schema."""
    hint = f"-- {' '.join(evidence.split())}\n" if evidence else ""
    dialect = f"-- {ENGINES[schema.dialect].title}\n" if form == "ddl" else ""
    return f"\n{dialect}{hint}-- {' '.join(question.split())}\n"


def _room(tail: str, count_tokens: Callable[[str], int], max_tokens: int) -> int:
    room = max_tokens - count_tokens(tail)
    if room < 1:
        raise ChakuError(
            f"the question fills all {max_tokens} tokens of the prompt; shorten the question, or allow longer prompts"
        )
    return room


def _db_gpt_hub(schema: Schema, question: str, count_tokens: Callable[[str], int], max_tokens: int) -> SqlPrompt:
    """DB-GPT-Hub's prompt, with its spelling errors. Drops the last tables, where DB-GPT-Hub would cut the text off."""
    tables = list(schema.tables)
    dropped: list[Dropped] = []
    while True:
        text = (
            "I want you to act as a SQL terminal in front of an example database, you need only to return the sql "
            "command to me.Below is an instruction that describes a task, Write a response that appropriately "
            f'completes the request.\n"\n##Instruction:\n{_in_sentences(replace(schema, tables=tuple(tables)))}\n'
            f"###Input:\n{question}\n\n###Response:"
        )
        if count_tokens(text) <= max_tokens:
            return SqlPrompt(text, tuple(dropped))
        if len(tables) < 2:
            raise ChakuError(
                f"the schema of {schema.name} does not fit into {max_tokens} tokens with the question; shorten the "
                "question, or allow longer prompts"
            )
        dropped.append(Dropped("table", tables.pop().name))


def _in_sentences(schema: Schema) -> str:
    parts = [f"{schema.name} contains tables such as {', '.join(table.name for table in schema.tables)}. "]
    for table in schema.tables:
        parts.append(f"Table {table.name} has columns such as {', '.join(shown.name for shown in table.columns)}. ")
        key = [column.name for column in table.columns if column.primary_key]
        if len(key) == 1:
            parts.append(f"{key[0]} is the primary key.\n")
        elif key:
            parts.append(f"The combination of ({', '.join(key)}) are the primary key.\n")
    for table in schema.tables:
        for foreign in table.foreign_keys:
            for column, reference in zip(foreign.columns, foreign.references, strict=False):
                parts.append(f"The {column} of {table.name} is the foreign key of {reference} of {foreign.table}.\n")
    return "".join(parts)
