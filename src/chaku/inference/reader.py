"""Turns requests into tokens, with a model's tokenizer alone; its weights may be elsewhere."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from chaku.errors import ChakuError
from chaku.inference.constraints import Constraint, Vocabulary
from chaku.inference.generator import (
    AnyPrompt,
    ChatPrompt,
    InfillPrompt,
    Request,
    SamplingParams,
    TextPrompt,
    TokenPrompt,
)
from chaku.inference.healing import Healer
from chaku.inference.prompts import Prompt, answer, complete, infill
from chaku.inference.repository import repository_header
from chaku.inference.row import Row
from chaku.model.config import LlamaConfig
from chaku.tokens.chat import Chat
from chaku.tokens.infilling import layout
from chaku.tokens.tokenizer import Tokenizer

KEPT_CONSTRAINTS = 64  # the default batch_size: a batch has at most one grammar for each row
CUT_STEP = 64  # tokens; an editor's window that does not fit is cut in such steps
LEAST_HOLE = 8  # tokens that an infilling prompt always gets: its special tokens need some


def asked_prompt(request: Request) -> tuple[AnyPrompt, int, bool]:
    """What `PromptReader.read` makes a prompt of: requests that have it in common share the prompt."""
    return request.prompt, request.params.max_tokens, request.params.healing


class PromptReader:
    """A model's tokenizer and configuration. `adapters`: the names of its LoRA adapters.

    Raises ChakuError when the tokenizer has more tokens than the model has embeddings.
    """

    def __init__(self, config: LlamaConfig, tokenizer: Tokenizer, adapters: tuple[str, ...] = ()):
        if config.vocab_size < tokenizer.vocab_size:
            raise ChakuError(
                f"the model has {config.vocab_size} token embeddings and the tokenizer "
                f"{tokenizer.vocab_size} tokens; use the tokenizer of this model"
            )
        self.config, self.tokenizer, self.adapters = config, tokenizer, adapters
        self.context: int = config.max_position_embeddings
        self._vocabularies: dict[frozenset[int], Vocabulary] = {}
        self._constraints: dict[tuple[str, frozenset[int]], Constraint] = {}

    @cached_property
    def healer(self) -> Healer:
        """The tokenizer's healer; built on first use, which takes a pass over the vocabulary."""
        return Healer(self.tokenizer)

    @cached_property
    def chat(self) -> Chat:
        """The model's chat format. Raises ChakuError for a model without a chat template."""
        return Chat(self.tokenizer)

    @cached_property
    def chats(self) -> bool:
        """Whether the model has a chat template that chaku can use."""
        try:
            return bool(self.chat.end_id)
        except ChakuError:
            return False

    @property
    def identity(self) -> Mapping[str, Any]:
        """What determines the prompts."""
        return {"tokenizer_sha256": self.tokenizer.sha256}

    @property
    def record(self) -> Mapping[str, Any]:
        """What a manifest records."""
        return {**self.identity, "context": self.context}

    def check(self, request: Request) -> None:
        """Raises ChakuError for a request that the model cannot read."""
        self.read(request)

    def read(self, request: Request) -> Prompt:
        """The request's prompt in tokens.

        Raises ChakuError when the model has no tokens for the request's form: a chat, an infilling, a repository.
        """
        match request.prompt:
            case TextPrompt(text, max_tokens):
                return complete(self.tokenizer, text, max_tokens)
            case TokenPrompt(ids):
                if not ids or not all(0 <= number < self.tokenizer.vocab_size for number in ids):
                    raise ChakuError(f"a prompt's token ids must be from 0 to {self.tokenizer.vocab_size - 1}")
                return Prompt(ids)
            case ChatPrompt(messages, opening):
                return answer(self.chat, messages, opening)
            case InfillPrompt(prefix, suffix, mode, file, window):
                if window and mode is None and "spm" in layout(self.tokenizer).modes:
                    mode = "spm"
                room = self.context - request.params.max_tokens
                if window:  # the text that fits beside the prompt may be shorter than `max_tokens`
                    room = max(room, self.context // 2)
                header: list[int] = []
                if file is not None:  # the other files take at most half of the room
                    where = (file.repository, file.path, file.others)
                    header = repository_header(self.tokenizer, *where, max_length=max(room // 2, 1), quiet=window)
                room = max(room - len(header), LEAST_HOLE)
                step = CUT_STEP if window and room > 4 * CUT_STEP else 1
                return infill(
                    self.tokenizer,
                    prefix,
                    suffix,
                    mode=mode,
                    max_length=room,
                    header=header,
                    cut_step=step,
                    quiet=window,
                    line_in_middle=window and request.params.healing,
                )

    def row(self, prompt: Prompt, params: SamplingParams, sample: int = 0, grammar: str | None = None) -> Row:
        """The completion to write for number `sample` of a prompt that fits the context."""
        if grammar and params.healing:
            raise ChakuError(
                "a grammar describes the completion from its first token, so the prompt's end cannot be healed; "
                "leave out healing or the grammar"
            )
        ends = frozenset((self.tokenizer.eos_id, *self.config.eos_token_ids, *prompt.stop_ids))
        healer = self.healer if params.healing else None
        # A grammar's vocabulary is large, and kept for every set of end tokens; `params.stop_ids` may be any tokens.
        constraint = self.constraint(grammar, ends) if grammar else None
        return Row(prompt, params, sample, self.tokenizer, ends.union(params.stop_ids), healer, constraint)

    def adapter_number(self, name: str | None) -> int | None:
        """The number of an adapter by its name. Raises ChakuError for a name that the model was not loaded with."""
        if name is not None and name not in self.adapters:
            raise ChakuError(f"there is no adapter {name!r}; the model has {', '.join(self.adapters) or 'none'}")
        return None if name is None else self.adapters.index(name)

    def constraint(self, grammar: str, end_ids: frozenset[int]) -> Constraint:
        """The grammar over the tokenizer's tokens, for texts that any of `end_ids` ends. Caches KEPT_CONSTRAINTS."""
        if (grammar, end_ids) not in self._constraints:
            if end_ids not in self._vocabularies:
                self._vocabularies[end_ids] = Vocabulary(self.tokenizer, sorted(end_ids))
            if len(self._constraints) >= KEPT_CONSTRAINTS:
                del self._constraints[next(iter(self._constraints))]
            self._constraints[grammar, end_ids] = Constraint(self._vocabularies[end_ids], grammar)
        return self._constraints[grammar, end_ids]
