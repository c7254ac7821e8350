"""Writes text with a model: in batches with a key-value cache, or streamed; and scores given texts."""

import codecs
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch

from chaku.console import progress, warn
from chaku.errors import ChakuError
from chaku.inference.constraints import Constraint, Masks, Vocabulary
from chaku.inference.decoder import Decoder
from chaku.inference.generator import ChatPrompt, Completion, InfillPrompt, Request, SamplingParams, TextPrompt
from chaku.inference.healing import Healer
from chaku.inference.prompts import Prompt, answer, complete, infill
from chaku.inference.repository import repository_header
from chaku.inference.sampling import Sampler, choose, row_random
from chaku.inference.torch_decoder import TorchDecoder
from chaku.model.llama import Llama
from chaku.tokens.chat import Chat
from chaku.tokens.tokenizer import Tokenizer

SCORE_TOKENS = 8192  # tokens scored in one batch, padding included
KEPT_CONSTRAINTS = 64  # the default batch_size: a batch has at most one grammar for each row
LEAST_HOLE = 8  # tokens that an infilling prompt always gets: its special tokens need some


class Engine:
    """A model with its tokenizer, ready to write; implements `Generator`.

    `model`: a PyTorch `Llama`, or another decoder. `batch_size`: rows that are decoded together. `sampler` chooses each
    token. Raises ChakuError when the tokenizer has more tokens than the model has embeddings.
    """

    num_threads = 1

    def __init__(self, model: Llama | Decoder, tokenizer: Tokenizer, batch_size: int = 64, sampler: Sampler = choose):
        if model.config.vocab_size < tokenizer.vocab_size:
            raise ChakuError(
                f"the model has {model.config.vocab_size} token embeddings and the tokenizer "
                f"{tokenizer.vocab_size} tokens; use the tokenizer of this model"
            )
        self.model, self.tokenizer, self.batch_size, self.sampler = model, tokenizer, batch_size, sampler
        self.decoder: Decoder = TorchDecoder(model) if isinstance(model, Llama) else model
        self.context: int = model.config.max_position_embeddings
        self._vocabularies: dict[frozenset[int], Vocabulary] = {}
        self._constraints: dict[tuple[str, frozenset[int]], Constraint] = {}

    @property
    def num_rows(self) -> int:
        return self.batch_size

    @cached_property
    def healer(self) -> Healer:
        """The tokenizer's healer; built on first use, which takes a pass over the vocabulary."""
        return Healer(self.tokenizer)

    @cached_property
    def chat(self) -> Chat:
        """The model's chat format. Raises ChakuError for a model without a chat template."""
        return Chat(self.tokenizer)

    @cached_property
    def identity(self) -> Mapping[str, Any]:
        return {"model_sha256": self.decoder.weights_sha256(), "tokenizer_sha256": self.tokenizer.sha256}

    @property
    def record(self) -> Mapping[str, Any]:
        about = {"context": self.context, "decoder": self.decoder.name, "precision": self.decoder.precision}
        return {**self.identity, **about}

    def check(self, request: Request) -> None:
        self.read(request)

    def read(self, request: Request) -> Prompt:
        """The request's prompt in tokens.

        Raises ChakuError when the model has no tokens for the request's form: a chat, an infilling, a repository.
        """
        match request.prompt:
            case TextPrompt(text, max_tokens):
                return complete(self.tokenizer, text, max_tokens)
            case ChatPrompt(messages, opening):
                return answer(self.chat, messages, opening)
            case InfillPrompt(prefix, suffix, mode, file):
                room = self.context - request.params.max_tokens
                header: list[int] = []
                if file is not None:  # the other files take at most half of the room
                    where = (file.repository, file.path, file.others)
                    header = repository_header(self.tokenizer, *where, max_length=max(room // 2, 1))
                room = max(room - len(header), LEAST_HOLE)
                return infill(self.tokenizer, prefix, suffix, mode=mode, max_length=room, header=header)

    def answer(self, requests: Sequence[Request]) -> list[Completion]:
        """The completions, in the requests' order. `generate` says how prompts that are too long are handled."""
        alike = {(request.prompt, request.params.max_tokens): request for request in requests}  # tokenize a prompt once
        fitted = self._fit([(self.read(request), request.params.max_tokens) for request in alike.values()])
        prompts = dict(zip(alike, fitted, strict=True))
        rows = []
        for request in requests:
            prompt = prompts[request.prompt, request.params.max_tokens]
            rows.append(_Row(prompt, request.params, request.sample, self, request.grammar))
        self._write(rows)
        return [row.completion() for row in rows]

    def generate(
        self,
        prompts: Sequence[Prompt],
        params: SamplingParams | None = None,
        *,
        grammar: str | Sequence[str] | None = None,
        description: str | None = None,
    ) -> list[list[Completion]]:
        """Continue each prompt `params.num_samples` times; the completions come in the prompts' order.

        A prompt that leaves no room for `max_tokens` in the context loses its beginning (after BOS), with a warning.
        `grammar`: one for all prompts, or one a prompt; see `constraints.Constraint`. A completion under a grammar that
        finishes with "stop" is a whole text of the grammar; one that finishes with "length" is the beginning of such a
        text. `description` shows a progress bar. Raises ChakuError when `max_tokens` alone fills the context, and for
        an infilling prompt that is too long: only `prompts.infill` knows where to cut it.
        """
        params = params or SamplingParams()
        fitted = self._fit([(prompt, params.max_tokens) for prompt in prompts])
        one_a_prompt = [grammar] * len(prompts) if grammar is None or isinstance(grammar, str) else grammar
        rows = [
            [_Row(prompt, params, sample, self, own) for sample in range(params.num_samples)]
            for prompt, own in zip(fitted, one_a_prompt, strict=True)
        ]
        self._write([row for of_prompt in rows for row in of_prompt], description)
        return [[row.completion() for row in of_prompt] for of_prompt in rows]

    def stream(
        self, prompt: Prompt, params: SamplingParams | None = None, *, grammar: str | None = None
    ) -> Iterator[str]:
        """The text of one completion, piece by piece. Pieces are whole characters and hold no part of a stop string."""
        params = params or SamplingParams()
        [fitted] = self._fit([(prompt, params.max_tokens)])
        row = _Row(fitted, params, 0, self, grammar)
        for _ in self._decode([row]):
            if piece := row.new_text():
                yield piece
        if piece := row.new_text():
            yield piece

    def score(self, sequences: Sequence[Sequence[int]]) -> list[np.ndarray]:
        """Log-probability, in nats, of each token after the first, given the tokens before it: float32 (length - 1,).

        Sequences may be longer than the context.
        """
        results: list[np.ndarray] = [np.zeros(0, np.float32)] * len(sequences)
        order = sorted((n for n in range(len(sequences)) if len(sequences[n]) > 1), key=lambda n: len(sequences[n]))
        while order:
            longest = len(sequences[order[-1]])
            taken = [order.pop() for _ in range(min(len(order), max(1, SCORE_TOKENS // longest)))]
            ids = torch.zeros((len(taken), longest), dtype=torch.int64)
            for row, number in enumerate(taken):
                ids[row, : len(sequences[number])] = torch.as_tensor(sequences[number])
            scores = self.decoder.score(ids).numpy()
            for row, number in enumerate(taken):
                results[number] = scores[row, : len(sequences[number]) - 1]
        return results

    def constraint(self, grammar: str, end_ids: frozenset[int]) -> Constraint:
        """The grammar over the tokenizer's tokens, for texts that any of `end_ids` ends. Caches KEPT_CONSTRAINTS."""
        if (grammar, end_ids) not in self._constraints:
            if end_ids not in self._vocabularies:
                self._vocabularies[end_ids] = Vocabulary(self.tokenizer, sorted(end_ids))
            if len(self._constraints) >= KEPT_CONSTRAINTS:
                del self._constraints[next(iter(self._constraints))]
            self._constraints[grammar, end_ids] = Constraint(self._vocabularies[end_ids], grammar)
        return self._constraints[grammar, end_ids]

    def _fit(self, prompts: Sequence[tuple[Prompt, int]]) -> list[Prompt]:
        """Cut each prompt to the room that the context leaves beside the prompt's `max_tokens`."""
        for prompt, max_tokens in prompts:
            if self.context - max_tokens < 1:
                raise ChakuError(
                    f"max_tokens {max_tokens} fills the context of {self.context} tokens; lower --max-tokens"
                )
            if not prompt.ids:
                raise ChakuError("a prompt has no tokens; begin it with BOS, or with the end of another text")
            if prompt.parts_have_places and len(prompt.ids) > self.context - max_tokens:
                raise ChakuError(
                    f"an infilling prompt is longer than the {self.context - max_tokens} tokens that the context of "
                    f"{self.context} leaves for it; shorten the texts around the hole, or lower max_tokens"
                )
        fitted = [self._cut(prompt, self.context - max_tokens) for prompt, max_tokens in prompts]
        if cut := sum(len(after.ids) < len(before.ids) for after, (before, _) in zip(fitted, prompts, strict=True)):
            which = "the prompt is" if len(prompts) == 1 else f"{cut} of {len(prompts)} prompts are"
            room = self.context - max(max_tokens for _, max_tokens in prompts)
            warn(
                f"{which} longer than the {room} tokens that the context of {self.context} leaves: the beginning is cut"
            )
        return fitted

    def _cut(self, prompt: Prompt, room: int) -> Prompt:
        """Cut the prompt to `room` tokens: BOS and its end stay."""
        ids, begin = prompt.ids, len(self.tokenizer.begin)
        if len(ids) <= room:
            return prompt
        kept = (*ids[:begin], *ids[len(ids) - room + begin :])[:room]
        return replace(prompt, ids=kept, tokens_cut=prompt.tokens_cut + len(ids) - room)

    def _write(self, rows: Sequence["_Row"], description: str | None = None) -> None:
        """Write all rows to their ends, a batch at a time; rows with the shortest prompts come first."""
        ordered = sorted(rows, key=lambda row: len(row.prompt))
        # `Masks` needs a grammar for every row of a batch, and one vocabulary for all of them.
        vocabularies = dict.fromkeys(row.vocabulary for row in ordered)
        groups = [[row for row in ordered if row.vocabulary is vocabulary] for vocabulary in vocabularies]
        with progress(description, len(rows), "completions") if description else nullcontext() as bar:
            for group in groups:
                for start in range(0, len(group), self.batch_size):
                    batch = group[start : start + self.batch_size]
                    for _ in self._decode(batch):
                        pass
                    if bar:
                        bar.advance(len(batch))

    @torch.inference_mode()
    def _decode(self, rows: list["_Row"]) -> Iterator[None]:
        """Write a batch of rows to their ends; yields after every token."""
        # A prompt with several samples is read once; its keys and values are copied for each sample.
        prompts = list(dict.fromkeys(tuple(row.prompt) for row in rows))
        number_of = {prompt: number for number, prompt in enumerate(prompts)}
        logits, state = self.decoder.prefill(prompts, max(row.max_tokens for row in rows))
        if len(prompts) < len(rows):
            read = [number_of[tuple(row.prompt)] for row in rows]
            state.select(read)
            logits = logits[read]
        constraints = [row.constraint for row in rows if row.constraint]
        with Masks(constraints) if constraints else nullcontext() as masks:
            held = rows  # the rows of `state`, including finished rows
            while True:
                scores = logits[:, : self.tokenizer.vocab_size]  # the model's vocabulary may be padded
                if masks:
                    scores = masks.apply(scores)
                for number, row in enumerate(held):
                    if row.owed and row.finish_reason is None:
                        allowed = torch.tensor(self.healer.allowed(row.owed), device=scores.device)
                        spelling = torch.full_like(scores[number], -torch.inf)
                        scores[number] = spelling.index_copy_(0, allowed, scores[number, allowed])
                chosen = self.sampler(scores, [row.params for row in held], [row.uniform() for row in held])
                for row, token in zip(held, chosen, strict=True):
                    row.take(token)
                yield
                open_rows = [number for number, row in enumerate(held) if row.finish_reason is None]
                if not open_rows:
                    return
                if masks:
                    masks.take(chosen)
                if len(open_rows) <= 0.75 * len(held):  # dropping rows copies the cache: drop several at once
                    state.select(open_rows)
                    held, chosen = [held[number] for number in open_rows], [chosen[number] for number in open_rows]
                    if masks:
                        masks.select(open_rows)
                if masks:
                    masks.prepare()
                logits = state.decode(chosen)


class _Row:
    """One completion while it is written."""

    def __init__(self, prompt: Prompt, params: SamplingParams, sample: int, engine: Engine, grammar: str | None = None):
        if grammar and params.healing:
            raise ChakuError(
                "a grammar describes the completion from its first token, so the prompt's end cannot be healed; "
                "leave out healing or the grammar"
            )
        self.params, self._cut = params, prompt.tokens_cut
        ids = list(prompt.ids)
        self._random: random.Random | None = None
        if not params.is_greedy(sample):
            self._random = row_random(params.seed, ids, sample)
        # `owed`: the bytes removed from the prompt's end that the row must write again, perhaps inside longer tokens.
        self.prompt, self.owed = engine.healer.split(ids) if params.healing else (ids, b"")
        self.max_tokens = params.max_tokens + len(ids) - len(self.prompt)
        self.ids: list[int] = []
        self.finish_reason: Literal["stop", "length"] | None = None
        tokenizer = engine.tokenizer
        self._tokenizer = tokenizer
        ends = (tokenizer.eos_id, *engine.model.config.eos_token_ids, *params.stop_ids, *prompt.stop_ids)
        self._end_ids = frozenset(ends)
        self.constraint = engine.constraint(grammar, self._end_ids) if grammar else None
        self._stops = [text.encode() for text in params.stop]
        self._data = bytearray()
        self._sent = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        # A completion at the very beginning of a text starts with Llama's implicit space.
        self._implicit_space = tokenizer.implicit_space and prompt.begins_text

    @property
    def vocabulary(self) -> Vocabulary | None:
        """The constraint's vocabulary; None without a constraint."""
        return self.constraint.vocabulary if self.constraint else None

    def uniform(self) -> float | None:
        """The random number in [0, 1) that samples the row's next token; None for a greedy row."""
        return self._random.random() if self._random else None

    def take(self, token: int) -> None:
        """Add a token, unless the row is finished."""
        if self.finish_reason is not None:
            return
        self.ids.append(token)
        if token in self._end_ids:
            self.finish_reason = "stop"
            return
        before = len(self._data)
        written = self._tokenizer.decode_bytes([token])
        self._data += written[len(self.owed) :]
        self.owed = self.owed[len(written) :]
        if self._implicit_space and self._data:
            self._implicit_space = False
            if self._data.startswith(b" "):
                del self._data[0]
        found = [self._data.find(stop, max(before - len(stop) - 1, 0)) for stop in self._stops]
        if at := [place for place in found if place >= 0]:
            del self._data[min(at) :]
            self.finish_reason = "stop"
        elif len(self.ids) == self.max_tokens:
            self.finish_reason = "length"

    def completion(self) -> Completion:
        assert self.finish_reason is not None
        text = self._data.decode("utf-8", "replace")
        return Completion(text, len(self.ids), self.finish_reason, tuple(self.ids), self._cut)

    def new_text(self) -> str:
        """The new text that is certain: without half characters, and without text that may become a stop string."""
        done = self.finish_reason is not None
        end = len(self._data) - (0 if done else self._held_back())
        piece = self._decoder.decode(bytes(self._data[self._sent : end]), final=done)
        self._sent = max(end, self._sent)
        return piece

    def _held_back(self) -> int:
        lengths = (
            length
            for stop in self._stops
            for length in range(min(len(stop) - 1, len(self._data)), 0, -1)
            if self._data.endswith(stop[:length])
        )
        return max(lengths, default=0)
