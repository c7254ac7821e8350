"""`chaku chat`: talk with a model on a terminal, or line by line through pipes."""

import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from chaku.cli.shared.loading import Loading, loading_options, model_argument
from chaku.cli.shared.names import Named, templates
from chaku.cli.shared.options import seed_option
from chaku.cli.shared.verb import verb
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


@verb('chaku chat qwen2.5-coder-0.5b-instruct --system "Answer in Python." --run')
@model_argument()
@click.option("--system", help="The system prompt, which says how the model is to answer.")
@click.option(
    "--template",
    type=Named(templates, or_file=True),
    help="The chat template: llama2, codellama-70b, chatml or a Jinja file; without it, the model's own.",
)
@click.option(
    "--run", "offer_run", is_flag=True, help="Offer to run a reply's Python in the sandbox; through pipes, run it."
)
@click.option("--max-tokens", type=int, default=1024, help="Write at most so many tokens a reply, or half the context.")
@click.option("--temperature", type=float, default=0.2, help="Sample at this temperature; 0 is greedy.")
@click.option(
    "--top-p", type=float, default=0.95, help="Sample from the likeliest tokens whose probabilities sum to this."
)
@seed_option()
@loading_options()
def chat(
    model: str,
    system: str | None,
    template: str | None,
    offer_run: bool,
    max_tokens: int,
    temperature: float,
    top_p: float,
    seed: int,
    loading: Loading,
) -> None:
    """Talk with a model on a terminal, or line by line through pipes."""
    session = loading.load(model).talk(
        system=system, template=template, max_tokens=max_tokens, temperature=temperature, top_p=top_p, seed=seed
    )
    on_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    if on_terminal:
        with suppress(ImportError):
            import readline  # noqa: F401 (makes input() edit and remember)
        _tell("/help says what there is besides talking; Ctrl-D leaves")
    talk(session, on_terminal, offer_run)


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
    from chaku.cli.shared.chat_screen import PlainScreen, Screen, TerminalScreen
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
