"""Writes text with a model: in batches with a key-value cache, or streamed; and scores given texts."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import torch

from chaku.console import progress, warn
from chaku.errors import ChakuError
from chaku.inference.decoder import Decoder
from chaku.inference.generator import (
    Completion,
    Request,
    SamplingParams,
)
from chaku.inference.prompts import Prompt
from chaku.inference.reader import PromptReader, asked_prompt
from chaku.inference.row import Row
from chaku.inference.sampling import Sampler, choose
from chaku.inference.scheduler import Job, Piece, Scheduler
from chaku.inference.torch_decoder import TorchDecoder
from chaku.model.llama import Llama
from chaku.model.memory import free_memory
from chaku.tokens.tokenizer import Tokenizer

ROW_TOKENS = 1024  # of the cache, for each row: most texts are shorter, and a longer one takes the room of others
SCORE_TOKENS = 8192  # tokens scored in one batch, padding included


class Engine(PromptReader):
    """A model with its tokenizer, ready to write; implements `Generator`.

    `model`: a PyTorch `Llama`, or another decoder. `batch_size`: rows that are decoded together. `sampler` chooses each
    token. Raises ChakuError when the tokenizer has more tokens than the model has embeddings.
    """

    num_threads = 1

    def __init__(self, model: Llama | Decoder, tokenizer: Tokenizer, batch_size: int = 64, sampler: Sampler = choose):
        self.decoder: Decoder = TorchDecoder(model) if isinstance(model, Llama) else model
        super().__init__(model.config, tokenizer, self.decoder.adapters.names)
        self.model, self.batch_size, self.sampler = model, batch_size, sampler
        self._scheduler: Scheduler | None = None  # made when it is first needed

    @property
    def num_rows(self) -> int:
        return self.batch_size

    @cached_property
    def identity(self) -> Mapping[str, Any]:
        return {"model_sha256": self.decoder.weights_sha256(), "tokenizer_sha256": self.tokenizer.sha256}

    @property
    def record(self) -> Mapping[str, Any]:
        about = {"context": self.context, "decoder": self.decoder.name, "precision": self.decoder.precision}
        return {**self.identity, **about}

    def answer(self, requests: Sequence[Request]) -> list[Completion]:
        """The completions, in the requests' order. `generate` says how prompts that are too long are handled."""
        alike = {asked_prompt(request): request for request in requests}  # tokenize a prompt once
        fitted = self._fit([(self.read(request), request.params.max_tokens) for request in alike.values()])
        prompts = dict(zip(alike, fitted, strict=True))
        rows, adapters = [], []
        for request in requests:
            prompt = prompts[asked_prompt(request)]
            rows.append(self.row(prompt, request.params, request.sample, request.grammar))
            adapters.append(self.adapter_number(request.adapter))
        self._write(rows, adapters)
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
            [self.row(prompt, params, sample, own) for sample in range(params.num_samples)]
            for prompt, own in zip(fitted, one_a_prompt, strict=True)
        ]
        self._write([row for of_prompt in rows for row in of_prompt], description=description)
        return [[row.completion() for row in of_prompt] for of_prompt in rows]

    def forget(self) -> None:
        """Forget the keys and values of earlier texts: the weights have changed."""
        if self._scheduler is not None:
            self._scheduler.reset()
        self.__dict__.pop("identity", None)

    def stream(
        self, prompt: Prompt, params: SamplingParams | None = None, *, grammar: str | None = None
    ) -> Iterator[str]:
        """The text of one completion, piece by piece. Pieces are whole characters and hold no part of a stop string."""
        params = params or SamplingParams()
        [fitted] = self._fit([(prompt, params.max_tokens)])
        pieces: deque[str] = deque()
        job = Job(self.row(fitted, params, 0, grammar), lambda piece: pieces.append(piece.text))
        with self._running([job]) as steps:
            for _ in steps:
                while pieces:
                    if piece := pieces.popleft():
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

    def _write(
        self, rows: Sequence[Row], adapters: Sequence[int | None] | None = None, description: str | None = None
    ) -> None:
        """Write all rows to their ends."""
        with progress(description, len(rows), "completions") if description else nullcontext() as bar:

            def listen(piece: Piece) -> None:
                if bar and piece.finish_reason:
                    bar.advance(1)

            numbers = adapters or [None] * len(rows)
            jobs = [Job(row, listen, adapter=number) for row, number in zip(rows, numbers, strict=True)]
            with self._running(jobs) as steps:
                for _ in steps:
                    pass

    @contextmanager
    def _running(self, jobs: Sequence[Job]) -> Iterator[Iterator[None]]:
        """Steps until the jobs are done. Jobs that are left early are cancelled."""
        if self._scheduler is None:
            self._scheduler = self.new_scheduler(max_rows=self.batch_size)
        scheduler = self._scheduler
        for job in jobs:
            if len(job.row.prompt) + job.row.max_tokens > scheduler.max_tokens:
                raise ChakuError(
                    f"a prompt of {len(job.row.prompt)} tokens and {job.row.max_tokens} new ones do not fit the "
                    f"{scheduler.max_tokens} tokens for which the memory has room; shorten the prompt or max_tokens"
                )
        for job in jobs:
            scheduler.submit(job)

        def steps() -> Iterator[None]:
            while any(job.row.finish_reason is None for job in jobs):
                scheduler.step()
                yield

        try:
            yield steps()
        except GeneratorExit:  # the reader of a stream has enough
            raise
        except BaseException:  # perhaps in the middle of a step: the next call begins anew
            self._scheduler = None
            raise
        finally:
            for job in jobs:
                job.cancelled = True

    def new_scheduler(self, *, max_rows: int, cache_tokens: int | None = None, **settings: Any) -> Scheduler:
        """A scheduler whose cache holds `cache_tokens`: by default ROW_TOKENS a row, and at least one whole context.

        The cache takes at most half of the free memory.
        """
        decoder = self.decoder
        tokens = cache_tokens or max(max_rows * ROW_TOKENS, self.context + decoder.block_size)
        num_blocks = -(-tokens // decoder.block_size)
        if free := free_memory(decoder.device):
            num_blocks = max(min(num_blocks, free // 2 // decoder.block_bytes()), 1)
        cache = decoder.with_blocks(num_blocks)
        return Scheduler(cache, self.tokenizer.vocab_size, self.sampler, max_rows=max_rows, **settings)
