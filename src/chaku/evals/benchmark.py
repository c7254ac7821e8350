"""What a benchmark is: problems, the form of the prompt, where a completion ends, and how one is judged.

A benchmark is one `Benchmark` value in a module of its own; `suite.py` lists them. `generate.py` asks a model for
completions, `score.py` runs and counts them: neither knows one benchmark from another.
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

    `prompt` is what the model reads, to the character; with a `suffix` it is asked for what stands between the two.
    `references` are completions known to be right: they are run before anything is scored. Results are also shown by
    `group` (a difficulty, a language). `data` is the benchmark's own row. A task that is not `in_split` (one of MBPP's
    problems for training) is neither asked nor missed, but is scored where samples of it are given. `lacks` says what
    keeps a problem from being judged on this machine, which leaves it out. `date` is the day, as YYYY-MM-DD, that the
    problem was published, where the benchmark has such days.
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
    """What a completion is worth. `verdict` is the sandbox's status, or the benchmark's own word for it.

    `reason` is empty for a pass. `measures` are numbers beside pass or fail (BLEU, edit similarity); their means are
    reported.
    """

    verdict: str
    passed: bool
    reason: str = ""
    cpu_seconds: float = 0.0
    measures: Mapping[str, float] = field(default_factory=dict)


def all_pass(task: Task, completion: str, verdicts: Sequence[Verdict]) -> Judgement:
    """Passed when every program passed; else the first that did not speaks for all."""
    seconds = math.fsum(verdict.cpu_seconds for verdict in verdicts)
    for verdict in verdicts:
        if not verdict.passed:
            return Judgement(verdict.status, False, verdict.reason, seconds)
    return Judgement("passed", True, "", seconds)


def cut_at(text: str, stops: Sequence[str]) -> str:
    """The text before the first of the stops in it."""
    found = [at for stop in stops if (at := text.find(stop)) >= 0]
    return text[: min(found)] if found else text


@dataclass(frozen=True)
class ChatForm:
    """How a chat model is asked a benchmark's problems, whose `data` has the `prompt` of the model that completes.

    `message` is what the user says. The assistant's reply is opened with `opening`, which the model goes on from, and
    ends before any of `stops`. An endpoint's reply cannot be opened: it is sent `endpoint_message` (None: `message`)
    and ends its replies itself. `extract` is the program in a reply, opening included. `program` makes a program of a
    completion, for the references. `jobs` judge a program.
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
    """How a model is measured on a set of problems. The fields that can move a score go into the manifest.

    `load` reads the problems from the given file, or without one from its place under $CHAKU_BENCHMARKS; it raises a
    ChakuError that says where to get them. `prompt_form` says in words how a problem is asked. A generated text ends
    before any of `stops`, after `max_tokens`, and where `cut` (None: at the stops) says. `jobs` are the programs that
    a completion is judged by, each limited to `timeout` CPU seconds and `memory_mb`; None: the text alone is judged.
    `judge` is given their verdicts in order. `mode` is the order of an infilling prompt (None: the tokenizer's own);
    `healing`: a prompt that ends inside a token is continued as if it did not (`inference.healing`). `repository`: its
    name and the file's `path` (in the task's data) stand before a file with a hole: models of repositories read so.
    `wrong`, where the problems have no references: a completion that the tests have to fail, and the compiler not.
    `languages` are those whose toolchains must be here. `num_samples` and `temperature` are what a recipe asks for.
    `is_program`: a completion is the whole program, before which no prompt stands.
    `chat` is how a chat model may be asked; `chat.in_chat` makes a benchmark of it, whose prompts are messages, whose
    `opening` begins the replies (None: the model completes), and whose `cut` takes the program out of a reply.
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
        """A generated text without what follows its end. Samples of others are judged as they are."""
        return cut_at(text, self.stops) if self.cut is None else self.cut(task, text)


def tasks_sha256(tasks: Sequence[Task]) -> str:
    """The hash of what is asked and of what it is judged by, for the manifest."""
    return sha256_json([[task.task_id, task.prompt, task.suffix, dict(task.data)] for task in tasks])


def unique_tasks(tasks: Sequence[Task], where: str) -> list[Task]:
    """The tasks as they are. Raises ChakuError when there is none, or two share an id."""
    if not tasks:
        raise ChakuError(f"{where} has no problems")
    seen: set[str] = set()
    for task in tasks:
        if task.task_id in seen:
            raise ChakuError(f"{where} has two problems with the id {task.task_id}; take one out")
        seen.add(task.task_id)
    return list(tasks)
