"""What a model is asked: the schema, and the question."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from chaku.errors import ChakuError
from chaku.sql.schema.ddl import compact_table, ddl_table, to_ddl
from chaku.sql.schema.definition import Dropped, Schema, literal
from chaku.sql.schema.linking import link
from chaku.sql.schema.values import Match

Form = Literal["ddl", "compact", "db-gpt-hub"]
FORMS: tuple[Form, ...] = ("ddl", "compact", "db-gpt-hub")

MAX_HINTS = 5  # values that a prompt says the question means
HINTS_SHARE = 3  # a third of a prompt at most is for hints
BYTES_PER_TOKEN = 3  # of code in Llama's vocabulary, at least: without a tokenizer prompts are rather too short
DIALECTS = {"sqlite": "SQLite", "duckdb": "DuckDB", "postgres": "PostgreSQL", "mysql": "MySQL"}


@dataclass(frozen=True)
class SqlPrompt:
    """`text` is the user's message; `dropped` names the parts of the schema that did not fit."""

    text: str
    dropped: tuple[Dropped, ...]


def estimate_tokens(text: str) -> int:
    """Tokens of a text where no tokenizer is at hand: no fewer than there are."""
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
    """A prompt of at most `max_tokens` tokens, the reply not counted.

    "ddl" is ours: CREATE TABLE statements with types, keys, comments and sampled values. "compact" has names and keys
    alone, for small models. "db-gpt-hub" is that project's form, to compare with its results. Raises ChakuError when
    the question leaves no room for the schema.
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
    examples: Sequence[str] = (),
    trouble: str = "",
    form: Form = "ddl",
) -> tuple[SqlPrompt, Schema]:
    """The prompt of a question whose values were looked up, and the part of the schema that it shows.

    That part is what the question is about where all of it does not fit. Before the question stand the `trouble` with
    an earlier query, what the question's words mean in this database, and `examples`, as far as a third of the prompt
    holds them. Raises ChakuError when the question leaves no room for the schema.
    """
    hints = [trouble] if trouble else []
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
    )
    prompt = build_prompt(
        linked.schema, question, count_tokens=count_tokens, max_tokens=max_tokens, evidence=said, form=form
    )
    return replace(prompt, dropped=(*linked.dropped, *prompt.dropped)), linked.schema


def _tail(schema: Schema, question: str, evidence: str, form: Form) -> str:
    """What follows the schema."""
    hint = f"-- {' '.join(evidence.split())}\n" if evidence else ""
    dialect = f"-- {DIALECTS[schema.dialect]}\n" if form == "ddl" else ""
    return f"\n{dialect}{hint}-- {' '.join(question.split())}\n"


def _room(tail: str, count_tokens: Callable[[str], int], max_tokens: int) -> int:
    room = max_tokens - count_tokens(tail)
    if room < 1:
        raise ChakuError(
            f"the question takes all of {max_tokens} tokens; ask it in fewer words or give the prompt more"
        )
    return room


def _db_gpt_hub(schema: Schema, question: str, count_tokens: Callable[[str], int], max_tokens: int) -> SqlPrompt:
    """DB-GPT-Hub's words, its slips included. Tables are dropped from the end where it would cut the text off."""
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
            raise ChakuError(f"the schema of {schema.name} does not fit into {max_tokens} tokens with the question")
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
