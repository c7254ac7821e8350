"""The protocol of text generators: a model in this process, or a model behind an endpoint."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, Protocol

from chaku.errors import ChakuError

if TYPE_CHECKING:  # an endpoint needs neither a tokenizer nor torch
    from chaku.tokens.chat import Message
    from chaku.tokens.infilling import Mode
    from chaku.tokens.tokenizer import Tokenizer

UNUSUAL = ("top_k", "min_p", "presence_penalty", "frequency_penalty", "repeat_penalty", "repeat_last_n")


@dataclass(frozen=True)
class SamplingParams:
    """`temperature` 0 is greedy. A completion ends before any of the `stop` strings, at EOS or at one of `stop_ids`.

    `first_greedy`: the first of several samples is greedy, whatever the temperature of the others.
    `healing`: a prompt that ends inside a token is continued as if it had not been cut there (`inference.healing`).
    `top_k`, `top_p`, `min_p`: see `sampling.choose`. The penalties also change greedy texts: `sampling.penalize`.
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
    top_k: int = 0
    min_p: float = 0.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repeat_penalty: float = 1.0
    repeat_last_n: int = 64

    def __post_init__(self) -> None:
        for name, wrong, wanted in (
            ("max_tokens", self.max_tokens < 1, "at least 1"),
            ("temperature", not 0 <= self.temperature < float("inf"), "0 (greedy) or more"),
            ("top_p", not 0 < self.top_p <= 1, "above 0 and at most 1"),
            ("top_k", self.top_k < 0, "0 (all tokens) or more"),
            ("min_p", not 0 <= self.min_p <= 1, "from 0 to 1"),
            ("repeat_penalty", not 0 < self.repeat_penalty < float("inf"), "above 0"),
            ("repeat_last_n", self.repeat_last_n < -1, "-1 (the whole text) or more"),
            ("num_samples", self.num_samples < 1, "at least 1"),
            ("stop", any(not text for text in self.stop), "without an empty text"),
        ):
            if wrong:
                raise ChakuError(f"{name} is {getattr(self, name)!r}; it must be {wanted}")

    def record(self) -> dict[str, Any]:
        """The parameters as a manifest records them."""
        return {
            "stops": list(self.stop),
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "num_samples": self.num_samples,
            "seed": self.seed,
            "healing": self.healing,
            **self.unusual,
        }

    @property
    def unusual(self) -> dict[str, float]:
        """Those of `top_k`, `min_p` and the penalties that are not at their defaults."""
        defaults = {field.name: field.default for field in fields(self)}
        return {name: getattr(self, name) for name in UNUSUAL if getattr(self, name) != defaults[name]}

    def is_greedy(self, sample: int) -> bool:
        """Whether sample number `sample` always takes the most likely token."""
        return self.temperature == 0 or (self.first_greedy and sample == 0)


@dataclass(frozen=True, slots=True)
class TextPrompt:
    """A text to complete. The model reads at most its last `max_tokens` tokens (None: as many as the context holds)."""

    text: str
    max_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class TokenPrompt:
    """Tokens to continue, as they are. Only a model in this process reads them."""

    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class RepositoryFile:
    """The place of a file with a hole. `others`: (path, text) of the repository's files that the model reads first."""

    repository: str
    path: str
    others: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class InfillPrompt:
    """The text before and after a hole to fill. `mode`: the order of the parts (None: the model's default).

    `file`: the file's repository, for models that were trained to read repositories. `window`: the texts are what an
    editor shows of a file: what does not fit is cut in steps, so that many keystrokes share their beginning, and the
    mode is the one that puts the prefix last, where the model's family has it; elsewhere, with `healing`, the line
    before the hole begins the middle (`prompts.infill`). A window has at least half of the context, whatever
    `max_tokens` is.
    """

    prefix: str
    suffix: str
    mode: "Mode | None" = None
    file: RepositoryFile | None = None
    window: bool = False


@dataclass(frozen=True, slots=True)
class ChatPrompt:
    """A conversation to answer. The reply begins with `opening`, which the completion does not repeat."""

    messages: tuple["Message", ...]
    opening: str = ""


AnyPrompt = TextPrompt | TokenPrompt | InfillPrompt | ChatPrompt


@dataclass(frozen=True, slots=True)
class Request:
    """A request for one completion: number `sample` of the `params.num_samples` completions of a prompt.

    The completion depends on nothing but the request. With a `grammar` (see `constraints.Constraint`), the completion
    is a text of the grammar. `adapter`: the name of the LoRA adapter to use, of those that the model was loaded with.
    """

    prompt: AnyPrompt
    params: SamplingParams
    sample: int = 0
    grammar: str | None = None
    adapter: str | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """A written text, without the stop string that ended it, and the number of its tokens.

    `ids` include the token that ended the text; they are empty for an endpoint. With `healing`, `ids` follow the
    shortened prompt and first spell the prompt's removed end, which neither `text` nor `num_tokens` has.
    `prompt_tokens_cut`: tokens of the prompt that the context had no room for.
    """

    text: str
    num_tokens: int
    finish_reason: Literal["stop", "length"]
    ids: tuple[int, ...] = ()
    prompt_tokens_cut: int = 0


class Generator(Protocol):
    """A writer of texts: `Engine` in this process, `Endpoint` on a server.

    Up to `num_threads` threads may call `answer` at one time, best with `num_rows` requests a call. `tokenizer` and
    `context` (tokens) are None when unknown.
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
        """Everything besides the requests that determines the texts."""
        ...

    @property
    def record(self) -> Mapping[str, Any]:
        """The identity, and everything else that a manifest records about the generator."""
        ...

    def check(self, request: Request) -> None:
        """Raises ChakuError for a request that this generator cannot answer."""
        ...

    def answer(self, requests: Sequence[Request]) -> list[Completion]:
        """The completions, in the requests' order. Raises ChakuError for a request that is refused."""
        ...


class Wrapper:
    """A `Generator` over another one, `inner`. A subclass changes or notes what is asked."""

    def __init__(self, inner: Generator):
        self.inner = inner

    @property
    def num_threads(self) -> int:
        return self.inner.num_threads

    @property
    def num_rows(self) -> int:
        return self.inner.num_rows

    @property
    def tokenizer(self) -> "Tokenizer | None":
        return self.inner.tokenizer

    @property
    def context(self) -> int | None:
        return self.inner.context

    @property
    def identity(self) -> Mapping[str, Any]:
        return self.inner.identity

    @property
    def record(self) -> Mapping[str, Any]:
        return self.inner.record

    def check(self, request: Request) -> None:
        self.inner.check(request)


def answer_all(generator: Generator, requests: Sequence[Request]) -> Iterator[list[tuple[int, Completion]]]:
    """Yields lists of (number of a request, its completion) as they arrive; the shortest prompts come first.

    When the caller stops, waits for the requests that are under way and sends no more.
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


def answer_in_order(generator: Generator, requests: Sequence[Request]) -> list[Completion]:
    """The completions, in the requests' order, by `answer_all`."""
    found: dict[int, Completion] = {}
    for answers in answer_all(generator, requests):
        found |= answers
    return [found[number] for number in range(len(requests))]


def _length(request: Request) -> int:
    match request.prompt:
        case TextPrompt(text):
            return len(text)
        case TokenPrompt(ids):
            return len(ids)
        case InfillPrompt(prefix, suffix):
            return len(prefix) + len(suffix)
        case ChatPrompt(messages):
            return sum(len(message.content) for message in messages)
