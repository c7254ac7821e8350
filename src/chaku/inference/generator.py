"""What can be asked to write text, a model in this process or one behind an endpoint: one protocol for both."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from chaku.errors import ChakuError

if TYPE_CHECKING:  # to ask an endpoint needs neither a tokenizer nor torch
    from chaku.tokens.chat import Message
    from chaku.tokens.infilling import Mode
    from chaku.tokens.tokenizer import Tokenizer


@dataclass(frozen=True)
class SamplingParams:
    """`temperature` 0 is greedy. A completion ends before any of the `stop` strings, at EOS or at one of `stop_ids`.

    `first_greedy`: of several samples the first is greedy, whatever the temperature of the others.
    `healing`: where the prompt ends inside a token, it is continued as if it did not (`inference.healing`).
    Raises ChakuError for a value out of range.
    """

    max_tokens: int = 128
    temperature: float = 0.0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    stop_ids: tuple[int, ...] = ()
    seed: int = 0
    num_samples: int = 1
    healing: bool = False
    first_greedy: bool = False

    def __post_init__(self) -> None:
        for name, wrong, wanted in (
            ("max_tokens", self.max_tokens < 1, "at least 1"),
            ("temperature", not 0 <= self.temperature < float("inf"), "0 (greedy) or more"),
            ("top_p", not 0 < self.top_p <= 1, "above 0 and at most 1"),
            ("num_samples", self.num_samples < 1, "at least 1"),
            ("stop", any(not text for text in self.stop), "without an empty text"),
        ):
            if wrong:
                raise ChakuError(f"{name} is {getattr(self, name)!r}; it must be {wanted}")

    def record(self) -> dict[str, Any]:
        """For a manifest."""
        return {
            "stops": list(self.stop),
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "num_samples": self.num_samples,
            "seed": self.seed,
            "healing": self.healing,
        }

    def is_greedy(self, sample: int) -> bool:
        """Whether the sample of this number takes the likeliest token every time."""
        return self.temperature == 0 or (self.first_greedy and sample == 0)


@dataclass(frozen=True, slots=True)
class TextPrompt:
    """A text to complete. Over `max_tokens` tokens (None: what the context has room for), only its end is read."""

    text: str
    max_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class RepositoryFile:
    """Where a file with a hole lies. `others`: (path, text) of files of its repository, to be read first."""

    repository: str
    path: str
    others: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class InfillPrompt:
    """The text before and after a hole to fill, in `mode` (None: the model's first).

    `file`: what is told of the file's repository, to models that learnt to read that.
    """

    prefix: str
    suffix: str
    mode: "Mode | None" = None
    file: RepositoryFile | None = None


@dataclass(frozen=True, slots=True)
class ChatPrompt:
    """A conversation to answer. The reply begins with `opening`, which the completion does not repeat."""

    messages: tuple["Message", ...]
    opening: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """One completion that is wanted: number `sample` of the `params.num_samples` of a prompt.

    What is written depends on prompt, parameters and number alone. With a `grammar` (see `constraints.Constraint`), it
    is one of the grammar's texts.
    """

    prompt: TextPrompt | InfillPrompt | ChatPrompt
    params: SamplingParams
    sample: int = 0
    grammar: str | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """What was written, without the stop string that ended it, and the tokens that it took.

    `ids` include the token that ended it; an endpoint does not tell them. With `healing`, `ids` follow the shortened
    prompt and spell its lost end first; `text` continues the whole prompt. `prompt_tokens_cut`: tokens of the prompt
    that the context had no room for.
    """

    text: str
    num_tokens: int
    finish_reason: Literal["stop", "length"]
    ids: tuple[int, ...] = ()
    prompt_tokens_cut: int = 0


class Generator(Protocol):
    """What can be asked to write: `Engine` in this process, `Endpoint` elsewhere.

    `answer` may be called from `num_threads` threads at one time, best with `num_rows` requests each. `tokenizer` and
    `context` (tokens) are None where they are not known.
    """

    @property
    def num_threads(self) -> int: ...

    @property
    def num_rows(self) -> int: ...

    @property
    def tokenizer(self) -> "Tokenizer | None": ...

    @property
    def context(self) -> int | None: ...

    @property
    def identity(self) -> Mapping[str, Any]:
        """What the texts depend on, beside the requests."""
        ...

    @property
    def record(self) -> Mapping[str, Any]:
        """The identity, and what else a manifest says of who wrote."""
        ...

    def check(self, request: Request) -> None:
        """Raises ChakuError for what cannot be asked here."""
        ...

    def answer(self, requests: Sequence[Request]) -> list[Completion]:
        """The completions, in the requests' order. Raises ChakuError for what is refused."""
        ...


def answer_all(generator: Generator, requests: Sequence[Request]) -> Iterator[list[tuple[int, Completion]]]:
    """(number of the request, its completion) as they come, several at a time; the shortest prompts first.

    When the caller stops, what was sent is waited for, and nothing more is sent.
    """
    order = sorted(range(len(requests)), key=lambda number: _length(requests[number]))
    num_rows = generator.num_rows
    parts = iter([order[start : start + num_rows] for start in range(0, len(order), num_rows)])

    def ask(part: list[int]) -> list[tuple[int, Completion]]:
        return list(zip(part, generator.answer([requests[number] for number in part]), strict=True))

    if generator.num_threads == 1:
        yield from map(ask, parts)
        return
    with ThreadPoolExecutor(generator.num_threads) as pool:
        running: set[Future[list[tuple[int, Completion]]]] = set()
        try:
            while True:
                for part in parts:
                    running.add(pool.submit(ask, part))
                    if len(running) == generator.num_threads:
                        break
                if not running:
                    return
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _length(request: Request) -> int:
    match request.prompt:
        case TextPrompt(text):
            return len(text)
        case InfillPrompt(prefix, suffix):
            return len(prefix) + len(suffix)
        case ChatPrompt(messages):
            return sum(len(message.content) for message in messages)
