"""`chaku sql ask`, `chat`, `remember` and `export`: questions to a database of one's own."""

import argparse
import csv
import json
import sys
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from chaku.cli.loading import MODEL, add_loading, load, refuse_loading
from chaku.errors import ChakuError
from chaku.files import atomic_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chaku.api import Model
    from chaku.sql.ask.asker import Answer, Asker
    from chaku.sql.ask.memory import Memory
    from chaku.sql.execute.database import Database
    from chaku.sql.execute.runner import Result

ENDPOINT_TIMEOUT = 120.0  # seconds: somebody waits
SHOWN_ROWS = 50  # on a terminal; --json and --csv print all
HELP = """\
/sql QUERY     run a query of your own, read-only
/right         the last answer was right: remember it
/fix QUERY     the last question's right query: run it, and remember it
/explain       the last query in plain words
/csv FILE      write the last rows
/export FILE   write what is remembered, as training data
/quit"""


def add_commands(sql: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands to `chaku sql`."""
    asking = sql.add_parser("ask", parents=[common], help="ask a database a question")
    asking.add_argument("question")
    _add_asker(asking)
    form = asking.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print the answer, all candidates included, as JSON")
    form.add_argument("--csv", action="store_true", help="print the rows as CSV")
    asking.add_argument("--explain", action="store_true", help="say the query in plain words, and how it was found")
    asking.set_defaults(command=_ask)

    chatting = sql.add_parser("chat", parents=[common], help="ask, correct, remember")
    _add_asker(chatting)
    chatting.set_defaults(command=_chat)

    remembering = sql.add_parser("remember", parents=[common], help="keep a question with its right SQL as an example")
    remembering.add_argument("question")
    remembering.add_argument("query")
    remembering.add_argument("--db", required=True)
    remembering.add_argument("--memory", type=Path, help="file of remembered pairs")
    remembering.set_defaults(command=_remember)

    exporting = sql.add_parser("export", parents=[common], help="write what is remembered, as training data")
    exporting.add_argument("--db", required=True)
    exporting.add_argument("--memory", type=Path, help="file of remembered pairs")
    exporting.add_argument("--out", type=Path, required=True, help="JSONL for chaku sql prepare")
    exporting.set_defaults(command=_export)


def _add_asker(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--db", required=True, help="a SQLite or DuckDB file, postgresql://USER@HOST/NAME or mysql://USER@HOST/NAME"
    )
    model = parser.add_mutually_exclusive_group(required=True)
    model.add_argument("--model", help=MODEL)
    model.add_argument("--endpoint", metavar="URL", help="a server with OpenAI's API; see --endpoint-model")
    parser.add_argument("--endpoint-model", default="default", metavar="NAME", help="the name that the server knows")
    add_loading(parser)
    parser.add_argument(
        "--form", choices=["ddl", "compact"], help="of the prompt, as in training (default: as the model says, or ddl)"
    )
    parser.add_argument(
        "--max-prompt-tokens", type=int, metavar="N",
        help="of a prompt at most (default: as the model says, or what its context leaves; 6,000 to an endpoint)",
    )  # fmt: skip
    parser.add_argument(
        "--no-grammar", action="store_true", help="decode freely; what is written is checked all the same"
    )
    parser.add_argument("--samples", type=int, default=5, help="queries that are written and vote (default: 5)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--timeout", type=float, default=10.0, help="seconds of one query (default: 10)")
    parser.add_argument("--max-rows", type=int, default=10_000)
    parser.add_argument(
        "--endpoint-timeout", type=float, default=ENDPOINT_TIMEOUT, metavar="SECONDS",
        help=f"of one answer of --endpoint, all attempts included (default: {ENDPOINT_TIMEOUT:g})",
    )  # fmt: skip
    parser.add_argument(
        "--no-cache", action="store_true", help="keep no values of the database on disk; read them for every command"
    )
    parser.add_argument("--memory", type=Path, help="file of remembered pairs (default: one a database, in your home)")


@contextmanager
def _asker(options: argparse.Namespace) -> "Iterator[Asker]":
    from chaku import api

    for name in ("samples", "max_prompt_tokens"):
        if (given := getattr(options, name)) is not None and given < 1:
            raise ChakuError(f"--{name.replace('_', '-')} is {given}; it must be at least 1")
    with api.asker(
        options.db,
        lambda: _model(options),
        form=options.form,
        max_prompt_tokens=options.max_prompt_tokens,
        constrained=not options.no_grammar,
        seed=options.seed,
        cache=not options.no_cache,
        memory=options.memory,
        num_samples=options.samples,
        timeout=options.timeout,
        max_rows=options.max_rows,
    ) as asker:
        yield asker


def _model(options: argparse.Namespace) -> "Model":
    from chaku import api

    if not options.endpoint:
        return load(options)
    refuse_loading(options)
    return api.connect(options.endpoint, options.endpoint_model, chat=True, patience=options.endpoint_timeout)


def _ask(options: argparse.Namespace) -> None:
    with _asker(options) as asker:
        answer = asker.ask(options.question)
        if options.json:
            print(json.dumps(answer.as_json(), ensure_ascii=False))
        elif options.csv:
            if answer.refusal:
                raise ChakuError(f"no answer: {answer.refusal}")
            write_csv(answer.result, sys.stdout)
        else:
            show(answer)
        if options.explain:
            show_explanation(answer, asker, sys.stderr if options.json or options.csv else sys.stdout)


def _chat(options: argparse.Namespace) -> None:
    with _asker(options) as asker:
        print(f"{asker.schema.name}: {len(asker.schema.tables)} tables. Ask; /help says what else there is.")
        last: Answer | None = None
        while (line := _read_line()) is not None:
            if line == "/quit":
                return
            try:
                last = respond(line, asker, last)
            except ChakuError as error:
                print(error)
            except OSError as error:  # of a file that was named
                print(f"{error.filename or line}: {error.strerror or error}")
            except KeyboardInterrupt:
                print("stopped")


def respond(line: str, asker: "Asker", last: "Answer | None") -> "Answer | None":
    """Do what a line of the chat says; returns the answer that the next line is about."""
    if not line:
        return last
    command, _, rest = line.partition(" ")
    rest = rest.strip()
    if command == "/help":
        print(HELP)
    elif command == "/sql":
        if not rest:
            raise ChakuError("/sql needs a query, as in /sql SELECT 1")
        _show_result(asker.run(rest))
    elif command == "/export":
        assert asker.memory
        path = _file(command, rest)
        print(f"{asker.memory.export(path)} pairs written to {path}")
    elif not command.startswith("/"):
        last = asker.ask(line)
        show(last)
    elif command not in ("/right", "/fix", "/explain", "/csv"):
        print(f"{command} is not a command; /help lists them")
    elif last is None:
        print("there is no question yet")
    elif command == "/explain":
        show_explanation(last, asker, sys.stdout)
    elif command == "/csv":
        path = _file(command, rest)
        if not last.result.ok:
            raise ChakuError("the last question has no answer, so there are no rows to write")
        with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            write_csv(last.result, file)
        print(f"{len(last.result.rows)} rows written to {path}")
    else:
        query = last.sql if command == "/right" else rest
        if not query:
            raise ChakuError("there is no query to remember; give it with /fix QUERY")
        assert asker.memory
        remember(asker.memory, last.question, query, asker.run(query), asker.schema.name)
        print("remembered")
    return last


def _file(command: str, name: str) -> Path:
    """The file that a command of the chat names. Raises ChakuError where it names none."""
    if not name:
        raise ChakuError(f"{command} needs a file, as in {command} NAME")
    path = Path(name).expanduser()
    if path.is_dir():
        raise ChakuError(f"{path} is a directory; name a file in it, as in {command} {path / 'NAME'}")
    return path


def remember(memory: "Memory", question: str, query: str, result: "Result", name: str) -> None:
    """Keep a pair whose query ran. Raises ChakuError when its `result` says that it did not."""
    if not result.ok:
        raise ChakuError(f"not remembered, as the query does not run: {result.reason}")
    memory.remember(question, query, name)


def _remember(options: argparse.Namespace) -> None:
    from chaku.sql.execute.database import Database

    with Database(options.db) as database:
        memory = _memory(options, database)
        remember(
            memory, options.question, options.query, database.run(options.query, schema=database.schema), database.name
        )
        print(memory.path)


def _export(options: argparse.Namespace) -> None:
    from chaku.sql.execute.database import Database

    with Database(options.db) as database:
        print(f"{_memory(options, database).export(options.out)} pairs written to {options.out}")


def _memory(options: argparse.Namespace, database: "Database") -> "Memory":
    from chaku.sql.ask.memory import Memory, memory_path

    return Memory(options.memory or memory_path(database.name, database.place))


def show(answer: "Answer") -> None:
    """The query, highlighted on a terminal, its rows as a table, and what was assumed."""
    from rich.console import Console
    from rich.syntax import Syntax

    if answer.refusal:
        print(_printable(f"No answer: {answer.refusal}"))
        return
    console = Console(highlight=False, soft_wrap=True)
    if console.is_terminal:
        console.print(Syntax(_printable(answer.sql), "sql", background_color="default", word_wrap=True))
    else:
        print(_printable(answer.sql))
    _show_result(answer.result)
    print(f"confidence {answer.confidence:.0%}")
    for assumption in answer.assumptions:
        print(_printable(f"assumed: {assumption}"))
    if answer.dropped:
        print(f"left out of the prompt: {_some([str(part) for part in answer.dropped])}")


def show_explanation(answer: "Answer", asker: "Asker", file: TextIO) -> None:
    """The query in plain words, the tables that were shown, and what else was written."""
    from chaku.sql.ask.explain import explain

    if answer.sql:
        for number, line in enumerate(explain(answer.sql, asker.schema), 1):
            print(_printable(f"{number}. {line}"), file=file)
    print(f"tables shown to the model: {', '.join(answer.tables) or 'none'}", file=file)
    if answer.dropped:
        print(f"left out: {', '.join(map(str, answer.dropped))}", file=file)
    for candidate in answer.candidates:
        outcome = f"{len(candidate.result.rows)} rows" if candidate.result.ok else candidate.result.reason
        print(_printable(f"{candidate.votes} x {' '.join(candidate.sql.split())} -> {outcome}"), file=file)


def write_csv(result: "Result", file: TextIO) -> None:
    """Rows as CSV, NULL as nothing."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(result.columns)
    writer.writerows([["" if cell is None else cell for cell in row] for row in result.rows])


def _show_result(result: "Result") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not result.ok:
        print(_printable(f"failed: {result.reason}"))
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for index, name in enumerate(result.columns):
        numbers = all(isinstance(row[index], int | float) or row[index] is None for row in result.rows)
        table.add_column(Text(_printable(name)), justify="right" if numbers and result.rows else "left")
    for row in result.rows[:SHOWN_ROWS]:
        table.add_row(*(Text("NULL", style="dim") if cell is None else Text(_printable(cell)) for cell in row))
    Console(highlight=False).print(table)
    if len(result.rows) > SHOWN_ROWS or result.truncated:
        more = f"of {len(result.rows)}{' and more' if result.truncated else ''}"
        print(f"the first {min(SHOWN_ROWS, len(result.rows))} {more} rows")


def _printable(value: object) -> str:
    """A cell without what would move a terminal's cursor or colour it."""
    return "".join(character if character.isprintable() or character == "\n" else "�" for character in str(value))


def _read_line() -> str | None:
    try:
        return input("> " if sys.stdin.isatty() else "").strip()
    except EOFError:
        return None


def _some(names: Sequence[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
