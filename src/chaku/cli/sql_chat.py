"""`chaku sql chat`: ask, correct, remember."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from chaku.cli.shared.loading import Loading
from chaku.cli.shared.sql_answers import printable, show, show_explanation, show_result
from chaku.cli.shared.sql_asking import Asking, asking_options
from chaku.cli.shared.sql_files import ROW_FILES, write_file
from chaku.cli.shared.verb import verb
from chaku.errors import ChakuError

if TYPE_CHECKING:
    from chaku.sql.ask.answers import Answer
    from chaku.sql.conversation.session import Session

HELP = """\
/new           forget the questions so far: the next question stands alone
/back          return to the question before the last
/sql QUERY     run a query of your own, read-only
/right         the last answer was right: remember it
/fix QUERY     the last question's right query: run it, and remember it
/explain       the last query in plain words
/csv FILE      write the last rows; /xlsx FILE and /parquet FILE too
/chart FILE    write a chart of the last rows: FILE.png, FILE.svg or FILE.vl.json
/export FILE   write what is remembered, as training data
/quit"""
FILE_COMMANDS = tuple(f"/{kind}" for kind in (*ROW_FILES, "chart"))


@verb("chaku sql chat --db shop.sqlite --model runs/demo/stages/sql")
@asking_options()
def sql_chat(asking: Asking, loading: Loading) -> None:
    """Talk with a database: ask, go on ("and by month?"), correct the answers, and remember the right ones."""
    from chaku.sql.conversation.session import Session

    with asking.asker(loading) as asker:
        print(f"{asker.schema.name}: {len(asker.schema.tables)} tables. Ask; /help says what else there is.")
        session, last = Session(asker), None
        while (line := _read_line()) is not None:
            if line == "/quit":
                return
            try:
                last = respond(line, session, last)
            except ChakuError as error:
                print(error)
            except OSError as error:  # of a file that was named
                print(f"{error.filename or line}: {error.strerror or error}")
            except KeyboardInterrupt:
                print("stopped")


def respond(line: str, session: "Session", last: "Answer | None") -> "Answer | None":
    """Do what a line of the chat says; returns the answer that the next line is about."""
    if not line:
        return last
    asker = session.asker
    command, _, rest = line.partition(" ")
    rest = rest.strip()
    if command == "/help":
        print(HELP)
    elif command == "/sql":
        if not rest:
            raise ChakuError("/sql needs a query, as in /sql SELECT 1")
        show_result(asker.run(rest))
    elif command == "/export":
        assert asker.memory
        path = _file(command, rest)
        print(f"{asker.memory.export(path)} pairs written to {path}")
    elif not command.startswith("/"):
        return _ask(line, session, last)
    elif command == "/new":
        session.new()
        print("the next question stands alone")
        return None
    elif command == "/back":
        turn = session.back()
        if turn is None:
            print("there is no question before; the next question stands alone")
            return None
        print(f"back to: {printable(turn.answer.question)}")
        show(turn.answer)
        return turn.answer
    elif command not in ("/right", "/fix", "/explain", *FILE_COMMANDS):
        print(f"{command} is not a command; /help lists them")
    elif last is None:
        print("there is no question yet")
    elif command == "/explain":
        show_explanation(last, asker, sys.stdout)
    elif command in FILE_COMMANDS:
        path = _file(command, rest)
        if not last.result.ok:
            raise ChakuError("the last question has no answer, so there are no rows to write")
        print(write_file(command[1:], last.result, path))
    else:
        query = last.sql if command == "/right" else rest
        if not query:
            raise ChakuError("there is no query to remember; give it with /fix QUERY")
        assert asker.memory
        asker.memory.remember_run(last.question, query, asker.run(query), asker.schema.name)
        print("remembered")
    return last


def _ask(line: str, session: "Session", last: "Answer | None") -> "Answer | None":
    """Show the answer, or the question back with its choices."""
    from chaku.sql.conversation.unclear import Clarify

    found = session.ask(line)
    if not isinstance(found, Clarify):
        show(found)
        return found
    print(printable(found.question))
    for number, choice in enumerate(found.choices, 1):
        print(printable(f"  {number}. {choice}"))
    return last


def _file(command: str, name: str) -> Path:
    """The file that a command of the chat names. Raises ChakuError where it names none."""
    if not name:
        raise ChakuError(f"{command} needs a file, as in {command} NAME")
    path = Path(name).expanduser()
    if path.is_dir():
        raise ChakuError(f"{path} is a directory; name a file in it, as in {command} {path / 'NAME'}")
    return path


def _read_line() -> str | None:
    try:
        return input("> " if sys.stdin.isatty() else "").strip()
    except EOFError:
        return None
