"""`chaku chat`, as a user types it and through pipes."""

import io

import pytest
import torch
from rich.console import Console

from chaku.checkpoint.huggingface import save_model
from chaku.cli import chat as command
from chaku.cli import main
from chaku.cli.shared.chat_screen import TerminalScreen
from chaku.inference.chat import ChatSession
from chaku.model.config import PRESETS
from chaku.model.llama import Llama
from chaku.sandbox.verdict import Verdict
from chaku.tokens.tokenizer_training import train_tokenizer
from inference.test_chat import Scripted

CODE = "Here:\n```python\nprint('hi')\n```\nDone."


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(["def add(a, b):\n    return a + b ☺ für\n", "for x in range(10):\n    print(x)\n"], 310)


@pytest.fixture
def talk(tokenizer, monkeypatch):
    """Talk with a scripted model: lines in, session out."""

    def run(lines, *replies, on_terminal=False, offer=False):
        session = ChatSession(Scripted(tokenizer, *replies), template="llama2")
        source = iter(lines)

        def typed(prompt=""):
            try:
                return next(source)
            except StopIteration:
                raise EOFError from None

        monkeypatch.setattr("builtins.input", typed)
        command.talk(session, on_terminal, offer)
        return session

    return run


def test_through_pipes_a_line_is_a_message_and_a_reply_is_plain(talk, capsys):
    session = talk(["hello", "", "again"], [" he", "llo "], [CODE])
    assert capsys.readouterr().out == f"hello \n{CODE}\n"
    assert len(session.messages) == 4


def test_a_message_of_several_lines(talk):
    session = talk(['"""', "one", "/reset", '"""'], ["fine"])
    assert session.messages[0].content == "one\n/reset"


def test_commands(talk, capsys, tmp_path):
    path = tmp_path / "talks.jsonl"
    session = talk(["a", f"/save {path}", "/reset", "/save", "/nonsense", "/help", "/quit", "never"], ["b"])
    said = capsys.readouterr().err
    assert session.messages == []
    assert len(path.read_text().splitlines()) == 1
    for expected in ("is in", "is forgotten", "/save needs a file", "there is no command /nonsense", "/reset "):
        assert expected in said


def test_what_cannot_be_answered_is_said_and_the_talk_goes_on(talk, capsys):
    session = talk(["[INST]", "/save /proc/none/x", "fine"], ["yes"])
    said = capsys.readouterr().err
    assert "chaku: the chat template rejects the conversation" in said
    assert [message.content for message in session.messages] == ["fine", "yes"]


def test_an_interrupted_reply_is_kept(talk, capsys):
    def interrupted():
        yield "half"
        raise KeyboardInterrupt

    session = talk(["a", "b"], interrupted(), ["whole"])
    assert [message.content for message in session.messages] == ["a", "half", "b", "whole"]
    assert "stopped" in capsys.readouterr().err


def test_a_model_that_writes_nothing(talk, capsys):
    assert talk(["a"], []).messages == []
    assert "the model wrote nothing" in capsys.readouterr().err


@pytest.mark.parametrize(("answer", "runs"), [("y", 1), ("", 0), ("n", 0)])
def test_on_a_terminal_code_runs_when_the_user_says_so(talk, monkeypatch, capsys, answer, runs):
    jobs = []

    def run(job, timeout):
        jobs.append(job)
        return Verdict("passed", "", 0, 0.1, 0.1, 1.0, "hi\n", "")

    monkeypatch.setattr("chaku.sandbox.pool.run", run)
    talk(["go", answer], [CODE], on_terminal=True, offer=True)
    assert [job.source for job in jobs] == ["print('hi')\n"] * runs
    assert ("sandbox: passed" in capsys.readouterr().err) == bool(runs)


def test_code_runs_in_the_real_sandbox(talk, capsys):
    from chaku.sandbox.probe import how_to_isolate

    how_to_isolate()
    failing = "```python\nprint('before')\nraise ValueError('wrong')\n```"
    talk(["go", "again"], [CODE], [failing], offer=True)
    shown = capsys.readouterr()
    assert "\nhi\n" in shown.out
    assert "\nbefore\n" in shown.out
    assert "sandbox: passed" in shown.err
    assert "sandbox: failed" in shown.err
    assert "ValueError: wrong" in shown.err


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_on_a_terminal_code_is_coloured_and_every_character_is_there(size):
    code = "```python\ndef f(a):\n\n    return 'x'  # [/b] ☺\n```\n"
    text = f"See `x` and\n\n{code} - ``not`` a fence\n  ```\nplain\n  ```\nend"
    file = io.StringIO()
    screen = TerminalScreen(Console(file=file, force_terminal=True, color_system="standard", highlight=False))
    for at in range(0, len(text), size):
        screen.show(text[at : at + size])
    screen.end()
    shown = file.getvalue()
    plain = "".join(part.split("m", 1)[1] if index else part for index, part in enumerate(shown.split("\x1b[")))
    assert plain == text + "\n"
    coloured = [line for line in shown.splitlines() if "return" in line]
    assert "\x1b[" in coloured[0]


def test_the_verb(tmp_path, monkeypatch, capsys, tokenizer):
    torch.manual_seed(0)
    save_model(Llama(PRESETS["tiny"]), tmp_path)
    tokenizer.save(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO("hello\n/quit\n"))
    assert main(["chat", str(tmp_path)]) == 2
    assert "no chat template of its own; name one" in capsys.readouterr().err
    arguments = ["chat", str(tmp_path), "--template", "llama2", "--max-tokens", "4", "--temperature", "0"]
    assert main(arguments) == 0
    first = capsys.readouterr().out
    monkeypatch.setattr("sys.stdin", io.StringIO("hello"))
    assert main([*arguments, "--system", "Be brief."]) == 0
    assert capsys.readouterr().out != first
