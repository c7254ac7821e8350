"""`chaku chat`: talk with a model on a terminal, or line by line through pipes."""

import argparse
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chaku.cli.loading import MODEL, add_loading, load
from chaku.errors import ChakuError

if TYPE_CHECKING:  # torch takes a second
    from chaku.inference.chat import ChatSession

HELP = """\
/reset      forget the conversation, keep the system prompt
/save FILE  append the conversation to FILE as a line of JSON, which a recipe can train on
/help       this
/quit       leave, as the end of the input does
\"\"\"         alone on a line: begins and ends a message of several lines
Ctrl-C while the model writes stops it; what it wrote is kept."""
QUOTES = '"""'
RUN_SECONDS = 10.0  # of processor time for a reply's code


def add_commands(verbs: "argparse._SubParsersAction[Any]", common: argparse.ArgumentParser) -> None:
    """The verb `chat`."""
    chat = verbs.add_parser("chat", parents=[common], help="talk with a model")
    chat.add_argument("model", help=MODEL)
    chat.add_argument("--system", help="the system prompt")
    chat.add_argument("--template", help="llama2, codellama-70b, chatml or a Jinja file (default: the model's own)")
    chat.add_argument("--run", action="store_true", help="offer to run a reply's Python in the sandbox (pipes: run it)")
    chat.add_argument("--max-tokens", type=int, default=1024, help="of a reply; at most half of the context")
    chat.add_argument("--temperature", type=float, default=0.2, help="0 is greedy")
    chat.add_argument("--top-p", type=float, default=0.95)
    chat.add_argument("--seed", type=int, default=0)
    add_loading(chat)
    chat.set_defaults(command=_chat)


def _chat(options: argparse.Namespace) -> None:
    session = load(options).talk(
        system=options.system,
        template=options.template,
        max_tokens=options.max_tokens,
        temperature=options.temperature,
        top_p=options.top_p,
        seed=options.seed,
    )
    on_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    if on_terminal:
        with suppress(ImportError):
            import readline  # noqa: F401 (makes input() edit and remember)
        _tell("/help says what there is besides talking; Ctrl-D leaves")
    talk(session, on_terminal, options.run)


def talk(session: "ChatSession", on_terminal: bool, run: bool) -> None:
    """Read messages and commands to the end of standard input, and answer each."""
    while (text := _read_message(on_terminal)) is not None:
        try:
            if text.startswith("/"):
                if not _obey(session, text):
                    return
            elif text.strip():
                _answer(session, text, on_terminal, run)
        except ChakuError as error:
            _tell(f"chaku: {error}")


def _read_message(on_terminal: bool) -> str | None:
    """A line, or the lines between two of three quotation marks; None at the end of the input."""
    line = _read_line("> " if on_terminal else "")
    if line is None or line.strip() != QUOTES:
        return line
    lines = []
    while (line := _read_line("... " if on_terminal else "")) is not None and line.strip() != QUOTES:
        lines.append(line)
    return "\n".join(lines)


def _read_line(prompt: str) -> str | None:
    try:
        return input(prompt)
    except EOFError:
        return None


def _obey(session: "ChatSession", text: str) -> bool:
    """Do what a command says; False for the one that leaves."""
    command, _, argument = text.partition(" ")
    if command in ("/quit", "/exit"):
        return False
    if command == "/reset":
        session.reset()
        _tell("the conversation is forgotten")
    elif command == "/save" and argument.strip():
        path = Path(argument.strip()).expanduser()
        session.save(path)
        _tell(f"the conversation is in {path}")
    elif command == "/save":
        _tell("/save needs a file: /save talks.jsonl")
    else:
        _tell(HELP if command == "/help" else f"there is no command {command}\n{HELP}")
    return True


def _tell(text: str) -> None:
    """On standard error, as it is no part of the reply; asked for, so that --quiet does not hush it."""
    print(text, file=sys.stderr, flush=True)


def _answer(session: "ChatSession", text: str, on_terminal: bool, run: bool) -> None:
    from chaku.cli.chat_screen import PlainScreen, Screen, TerminalScreen
    from chaku.evals.fences import code_blocks

    screen: Screen = TerminalScreen() if on_terminal else PlainScreen()
    reply = session.ask(text)
    said = False
    try:
        for piece in reply:
            said = True
            screen.show(piece)
        screen.end()
    except KeyboardInterrupt:
        reply.close()  # type: ignore[attr-defined]
        screen.end()
        _tell("stopped; what is written is kept")
        return
    if not said:
        _tell("the model wrote nothing; the message is taken back")
    elif run:
        for block in code_blocks(session.messages[-1].content):
            if block.language in ("python", "py", "python3", ""):
                _offer(block.code, _read_line if on_terminal else None)


def _offer(code: str, ask: Callable[[str], str | None] | None) -> None:
    """Run a reply's code in the sandbox; on a terminal, when the user says so."""
    from chaku.sandbox.pool import run
    from chaku.sandbox.verdict import Job

    if ask and (ask("run this code in the sandbox? [y/N] ") or "").strip().lower() not in ("y", "yes"):
        return
    verdict = run(Job(code), timeout=RUN_SECONDS)
    sys.stdout.write(verdict.stdout)
    if verdict.stdout and not verdict.stdout.endswith("\n"):
        sys.stdout.write("\n")
    sys.stdout.flush()
    if verdict.stderr:
        _tell(verdict.stderr.rstrip("\n"))
    cut = "; its output was cut" if verdict.stdout_cut or verdict.stderr_cut else ""
    _tell(
        f"sandbox: {verdict.status.replace('_', ' ')} in {verdict.wall_seconds:.1f} s{cut}"
        + (f" ({verdict.reason})" if verdict.reason else "")
    )
