"""The definition of a benchmark: its problems, its prompts, the end of a completion, and how a completion is judged.

Every benchmark is a `Benchmark` value in its own module; `suite.py` lists them. `generate.py` asks a model for
completions, and `score.py` runs and counts them; neither has code for a particular benchmark.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chaku.errors import ChakuError
from chaku.files import sha256_json
from chaku.sandbox.verdict import Job, Verdict
from chaku.tokens.special import Mode


@dataclass(frozen=True)
class Task:
    """One problem.

    `prompt`: the model's prompt, exactly. With a `suffix`, the model fills the hole between `prompt` and `suffix`.
    `references`: completions known to be right, which are run before anything is scored. `group`: a difficulty or a
    language; results are also shown by group. `data`: the benchmark's row. `in_split` False: a problem outside the test
    split (MBPP's problems for training), which is not sampled, but is scored when samples of it are given. `lacks`: why
    this machine cannot judge the problem, which is then left out. `date`: the day of publication, YYYY-MM-DD, if known.
    """

    task_id: str
    prompt: str
    suffix: str | None = None
    references: tuple[str, ...] = ()
    group: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    in_split: bool = True
    lacks: str = ""
    date: str = ""


@dataclass(frozen=True)
class Judgement:
    """The result of a completion. `verdict`: the sandbox's status, or the benchmark's own word for it.

    `reason`: why it failed; empty for a pass. `measures`: numbers besides pass or fail (BLEU, edit similarity), whose
    means are reported.
    """

    verdict: str
    passed: bool
    reason: str = ""
    cpu_seconds: float = 0.0
    measures: Mapping[str, float] = field(default_factory=dict)


def all_pass(task: Task, completion: str, verdicts: Sequence[Verdict]) -> Judgement:
    """Passed when every program passed; else the verdict of the first program that failed."""
    seconds = math.fsum(verdict.cpu_seconds for verdict in verdicts)
    for verdict in verdicts:
        if not verdict.passed:
            return Judgement(verdict.status, False, verdict.reason, seconds)
    return Judgement("passed", True, "", seconds)


def cut_at(text: str, stops: Sequence[str]) -> str:
    """The text before its first stop string."""
    found = [at for stop in stops if (at := text.find(stop)) >= 0]
    return text[: min(found)] if found else text


@dataclass(frozen=True)
class ChatForm:
    """How a benchmark asks a chat model. The tasks' `data` also has the `prompt` for a model that completes text.

    `message`: the user's message. `opening`: the beginning of the assistant's reply, which the model continues; the
    reply ends before any of `stops`. An endpoint cannot continue an opening: it receives `endpoint_message` (None:
    `message`) and ends its replies itself. `extract`: takes the program from a reply that includes the opening.
    `program`: makes a program from a completion, for the references. `jobs`: the programs that judge a program.
    """

    prompt_form: str
    message: Callable[[Task], str]
    extract: Callable[[Task, str], str]
    jobs: Callable[[Task, str], list[Job]]
    program: Callable[[Task, str], str]
    opening: str = ""
    endpoint_message: Callable[[Task], str] | None = None
    stops: tuple[str, ...] = ()
    max_tokens: int = 768


@dataclass(frozen=True)
class Benchmark:
    """How a model is measured on a set of problems. The manifest records every field that can change a score.

    `load`: reads the problems from the given file, or from the benchmark's place under $CHAKU_BENCHMARKS; raises
    ChakuError, with the place to get them from, when they are missing. `prompt_form`: a description of the prompt.
    A completion ends before any of `stops`, after `max_tokens`, and where `cut` ends it (None: at the stops).
    `jobs`: the programs that judge a completion; every program may take `timeout` CPU seconds and `memory_mb`. None:
    `judge` compares the text alone. `judge`: makes a judgement from the programs' verdicts, in order. `mode`: the order
    of an infilling prompt (None: the tokenizer's own). `healing`: a prompt that ends inside a token is continued as if
    it had not been cut there (`inference.healing`). `repository`: a repository's name; with it, the prompt of a file
    with a hole begins with this name and the `path` in the task's data.
    `wrong`, for problems without references: makes a completion that compiles but must fail the tests.
    `languages`: the languages whose toolchains are needed. `num_samples` and `temperature`: used by recipes.
    `is_program`: a completion is the whole program, and the prompt is not put before it.
    `chat`: how to ask a chat model. `chat.in_chat` makes a benchmark from it: its prompts are messages, its `opening`
    begins the replies (None: the model completes text), and its `cut` takes the program from a reply.
    """

    name: str
    load: Callable[[Path | None], list[Task]]
    prompt_form: str
    jobs: Callable[[Task, str], list[Job]] | None
    stops: tuple[str, ...] = ()
    max_tokens: int = 512
    timeout: float = 3.0
    memory_mb: int = 1024
    judge: Callable[[Task, str, Sequence[Verdict]], Judgement] = all_pass
    cut: Callable[[Task, str], str] | None = None
    mode: Mode | None = None
    healing: bool = False
    repository: str = ""
    wrong: Callable[[Task], str] | None = None
    languages: tuple[str, ...] = ("python",)
    num_samples: int = 1
    temperature: float = 0.0
    is_program: bool = False
    chat: ChatForm | None = None
    opening: str | None = None

    def cut_text(self, task: Task, text: str) -> str:
        """Cut a generated text at its end. Samples from a file are not cut."""
        return cut_at(text, self.stops) if self.cut is None else self.cut(task, text)


def tasks_sha256(tasks: Sequence[Task]) -> str:
    """The hash of the prompts and tests, for the manifest."""
    return sha256_json([[task.task_id, task.prompt, task.suffix, dict(task.data)] for task in tasks])


def unique_tasks(tasks: Sequence[Task], where: str) -> list[Task]:
    """The tasks as a list. Raises ChakuError when the list is empty, or two tasks share an id."""
    if not tasks:
        raise ChakuError(f"{where} has no problems")
    seen: set[str] = set()
    for task in tasks:
        if task.task_id in seen:
            raise ChakuError(f"{where} has two problems with the id {task.task_id}; take one out")
        seen.add(task.task_id)
    return list(tasks)
