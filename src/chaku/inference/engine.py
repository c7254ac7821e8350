"""Weights to text: batches with a key-value cache, streaming, and log-probabilities of given texts."""

import codecs
import random
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch

from chaku.console import progress, warn
from chaku.errors import ChakuError
from chaku.inference.constraints import Constraint, Masks
from chaku.inference.decoder import Decoder
from chaku.inference.healing import Healer
from chaku.inference.sampling import SamplingParams, choose, row_random
from chaku.inference.torch_decoder import TorchDecoder
from chaku.model.llama import Llama
from chaku.tokens.tokenizer import Tokenizer

SCORE_TOKENS = 8192  # of a batch that is scored, padding included


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model wrote. `ids` include the token that ended it, `text` does not include a stop string.

    With `healing`, `ids` follow the shortened prompt and spell its lost end first; `text` continues the whole prompt.
    `prompt_tokens_cut`: tokens of the prompt's beginning that the context had no room for.
    """

    text: str
    ids: tuple[int, ...]
    finish_reason: Literal["stop", "length"]
    prompt_tokens_cut: int = 0


class Engine:
    """A model with its tokenizer, ready to write. `batch_size`: rows that are decoded together.

    `model`: in PyTorch, or a decoder that computes its logits otherwise.
    """

    def __init__(self, model: Llama | Decoder, tokenizer: Tokenizer, batch_size: int = 64):
        if model.config.vocab_size < tokenizer.vocab_size:
            raise ChakuError(
                f"the model has {model.config.vocab_size} token embeddings and the tokenizer "
                f"{tokenizer.vocab_size} tokens; they do not belong together"
            )
        self.model, self.tokenizer, self.batch_size = model, tokenizer, batch_size
        self.decoder: Decoder = TorchDecoder(model) if isinstance(model, Llama) else model

    @cached_property
    def healer(self) -> Healer:
        """For the tokenizer; made when it is first needed."""
        return Healer(self.tokenizer)

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        params: SamplingParams | None = None,
        *,
        infilling: bool = False,
        constraint: Constraint | Sequence[Constraint] | None = None,
        description: str | None = None,
    ) -> list[list[Completion]]:
        """Continue each prompt `params.num_samples` times; the completions come in the prompts' order.

        A prompt that leaves no room for `max_tokens` in the context loses its beginning (after BOS), which is said.
        `infilling`: what ends a middle ends a completion too, and a prompt that is too long is an error, as its parts
        have places (`prompts.infill` cuts them rightly). Under a `constraint` (one for all prompts, or one a prompt), a
        completion that stops is a text of its grammar, and one that does not is the beginning of one. `description`
        shows a progress bar. Raises ChakuError when `max_tokens` alone fills the context.
        """
        params = params or SamplingParams()
        if constraint and params.healing:
            raise ChakuError(
                "a completion under a grammar begins with the grammar: healing the prompt's end is not for it"
            )
        fitted = self._fit(prompts, params, infilling)
        one_a_prompt = (
            [constraint] * len(prompts) if constraint is None or isinstance(constraint, Constraint) else constraint
        )
        rows = [
            [
                _Row(prompt, params, sample, self, infilling, cut=len(given) - len(prompt), constraint=own)
                for sample in range(params.num_samples)
            ]
            for given, prompt, own in zip(prompts, fitted, one_a_prompt, strict=True)
        ]
        flat = sorted((row for of_prompt in rows for row in of_prompt), key=lambda row: len(row.prompt))
        with progress(description, len(flat), "completions") if description else nullcontext() as bar:
            for start in range(0, len(flat), self.batch_size):
                batch = flat[start : start + self.batch_size]
                for _ in self._decode(batch, params):
                    pass
                if bar:
                    bar.advance(len(batch))
        return [[row.completion() for row in of_prompt] for of_prompt in rows]

    def stream(
        self, prompt: Sequence[int], params: SamplingParams | None = None, *, infilling: bool = False
    ) -> Iterator[str]:
        """The text of one completion, piece by piece: whole characters, nothing of a stop string."""
        params = params or SamplingParams()
        [fitted] = self._fit([prompt], params, infilling)
        row = _Row(fitted, params, 0, self, infilling)
        for _ in self._decode([row], params):
            if piece := row.new_text():
                yield piece
        if piece := row.new_text():
            yield piece

    def score(self, sequences: Sequence[Sequence[int]]) -> list[np.ndarray]:
        """Log-probability, in nats, of each token after the first, given those before it: float32 (length - 1,).

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

    def _fit(self, prompts: Sequence[Sequence[int]], params: SamplingParams, infilling: bool) -> list[list[int]]:
        context = self.model.config.max_position_embeddings
        room = context - params.max_tokens
        if room < 1:
            raise ChakuError(f"max_tokens {params.max_tokens} fills the context of {context} tokens; ask for less")
        if any(len(prompt) == 0 for prompt in prompts):
            raise ChakuError("a prompt has no tokens; begin it as prompts.complete does")
        too_long = sum(len(prompt) > room for prompt in prompts)
        if too_long and infilling:
            raise ChakuError(
                f"an infilling prompt is longer than the {room} tokens that the context of {context} leaves for it; "
                f"give prompts.infill max_length={room}"
            )
        if too_long:
            which = "the prompt is" if len(prompts) == 1 else f"{too_long} of {len(prompts)} prompts are"
            warn(f"{which} longer than the {room} tokens that the context of {context} leaves: the beginning is cut")
        begin = len(self.tokenizer.begin)
        return [
            list(prompt) if len(prompt) <= room else ([*prompt[:begin], *prompt[len(prompt) - room + begin :]])[:room]
            for prompt in prompts
        ]

    @torch.inference_mode()
    def _decode(self, rows: list["_Row"], params: SamplingParams) -> Iterator[None]:
        """Write all rows to their ends; yields after every token."""
        # A prompt with several samples is read once; its keys and values are copied for each.
        prompts = list(dict.fromkeys(tuple(row.prompt) for row in rows))
        number_of = {prompt: number for number, prompt in enumerate(prompts)}
        logits, state = self.decoder.prefill(prompts, max(row.max_tokens for row in rows))
        if len(prompts) < len(rows):
            read = [number_of[tuple(row.prompt)] for row in rows]
            state.select(read)
            logits = logits[read]
        constraints = [row.constraint for row in rows if row.constraint]
        with Masks(constraints) if constraints else nullcontext() as masks:
            held = rows  # the rows of `state`, the finished among them
            while True:
                scores = logits[:, : self.tokenizer.vocab_size]  # the model's vocabulary may be filled up
                if masks:
                    scores = masks.apply(scores)
                for number, row in enumerate(held):
                    if row.owed and row.finish_reason is None:
                        allowed = torch.tensor(self.healer.allowed(row.owed), device=scores.device)
                        spelling = torch.full_like(scores[number], -torch.inf)
                        scores[number] = spelling.index_copy_(0, allowed, scores[number, allowed])
                chosen = choose(scores, params, [row.uniform() for row in held])
                for row, token in zip(held, chosen, strict=True):
                    row.take(token)
                yield
                open_rows = [number for number, row in enumerate(held) if row.finish_reason is None]
                if not open_rows:
                    return
                if masks:
                    masks.take(chosen)
                if len(open_rows) <= 0.75 * len(held):  # dropping a row copies the cache, so it is done for several
                    state.select(open_rows)
                    held, chosen = [held[number] for number in open_rows], [chosen[number] for number in open_rows]
                    if masks:
                        masks.select(open_rows)
                if masks:
                    masks.prepare()
                logits = state.decode(chosen)


class _Row:
    """One completion while it is written."""

    def __init__(
        self,
        prompt: list[int],
        params: SamplingParams,
        sample: int,
        engine: Engine,
        infilling: bool,
        cut: int = 0,
        constraint: Constraint | None = None,
    ):
        self._cut, self.constraint = cut, constraint
        self._greedy = params.temperature == 0 or (params.first_greedy and sample == 0)
        self._random: random.Random = row_random(params.seed, prompt, sample)
        # The bytes at the prompt's end that are still to be written again, in tokens that may go on.
        self.prompt, self.owed = engine.healer.split(prompt) if params.healing else (prompt, b"")
        self.max_tokens = params.max_tokens + len(prompt) - len(self.prompt)
        self.ids: list[int] = []
        self.finish_reason: Literal["stop", "length"] | None = None
        tokenizer = engine.tokenizer
        self._tokenizer = tokenizer
        self._end_ids = {
            tokenizer.eos_id,
            *engine.model.config.eos_token_ids,
            *params.stop_ids,
            *(tokenizer.infilling.stops if infilling and tokenizer.infilling else ()),
        }
        self._stops = [text.encode() for text in params.stop]
        self._data = bytearray()
        self._sent = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        # Where nothing stands before the completion, it begins with Llama's implicit space.
        self._implicit_space = tokenizer.implicit_space and _begins_text(tokenizer, prompt, infilling)

    def uniform(self) -> float | None:
        """The number that draws the row's next token; None for a row that is greedy."""
        return None if self._greedy else self._random.random()

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
        return Completion(self._data.decode("utf-8", "replace"), tuple(self.ids), self.finish_reason, self._cut)

    def new_text(self) -> str:
        """What is new and certain: no half character, nothing that may yet become a stop string."""
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


def _begins_text(tokenizer: Tokenizer, prompt: list[int], infilling: bool) -> bool:
    """Whether a prompt has nothing before what is to be written: no text, or an empty prefix."""
    tokens = tokenizer.infilling
    if prompt == [tokenizer.bos_id] or not infilling or tokens is None:
        return prompt == [tokenizer.bos_id]
    if tokens.middle is None:
        return prompt[-1] == tokens.prefix
    opening = prompt[len(tokenizer.begin) :][:2]
    return opening == [tokens.prefix, tokens.suffix] and prompt[-1] == tokens.middle
