"""Writes many texts at one time: a text may join, and a finished or cancelled text leaves, between any two steps.

A step runs the model once, on a token of every text that is being written and on parts of the prompts that are being
read. Texts that begin alike share the keys and values of their beginning (`inference.blocks`), also with texts that
are finished. The text of a request does not depend on the other texts.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from chaku.inference.blocks import Block, BlockCache, NoBlocksError
from chaku.inference.constraints import Vocabulary, forbidden_tokens
from chaku.inference.decoder import BlockDecoder, Span
from chaku.inference.lookup import Lookup
from chaku.inference.row import Row
from chaku.inference.sampling import Sampler, penalize

READ_TOKENS = 512  # of prompts, read in a step
GUESSES = 32  # of all texts together in a step


@dataclass(frozen=True, slots=True)
class WrittenToken:
    """A token of a text. `top`: the likeliest tokens at its place, as (id, log-probability in nats).

    `repeated`: the bytes at the beginning of the token that healing took from the prompt. They are given, so the
    log-probabilities are among the tokens that healing allows.
    """

    id: int
    log_probability: float
    top: tuple[tuple[int, float], ...]
    repeated: int = 0


@dataclass(frozen=True, slots=True)
class Piece:
    """New text of a job: whole characters, without any part of a stop string. `finish_reason`: set on the last piece.

    `tokens` are there only for a job that wants log-probabilities.
    """

    text: str
    num_tokens: int
    tokens: tuple[WrittenToken, ...] = ()
    finish_reason: str | None = None


class Job:
    """A text to write. `listen` is called with every piece, in the scheduler's thread.

    `num_top`: log-probabilities are wanted, of the written tokens and of so many likeliest tokens; None: none.
    `adapter`: see `Span`.
    """

    def __init__(
        self, row: Row, listen: Callable[[Piece], None], num_top: int | None = None, adapter: int | None = None
    ):
        self.row, self.listen, self.num_top, self.adapter = row, listen, num_top, adapter
        self.cancelled = False
        self.ids = list(row.prompt)  # the prompt and what is written
        self.lookup = Lookup(self.ids) if row.constraint is None else None
        self.blocks: list[Block] = []
        self.num_held = 0  # tokens whose keys and values are in the cache
        self.num_prompt_cached = 0  # of the prompt, found in the cache before it was read for the first time
        self.admitted = False  # once, perhaps before it had to wait again
        self.num_guessed = self.num_right = 0
        self.tokens: list[WrittenToken] = []  # since the last piece
        self.num_reported = 0
        self.beginning = (adapter, *row.prompt)  # jobs with the same one read the same tokens
        self.read = 0.0  # when the prompt was read

    @property
    def num_prompt(self) -> int:
        """The tokens of the whole prompt, with those that healing removes."""
        return self.row.num_prompt

    @property
    def num_unread(self) -> int:
        return len(self.ids) - self.num_held


Masks = list[tuple[list[Job], "Future[np.ndarray]"]]  # jobs, and (jobs, vocab) bool: the forbidden tokens


class Scheduler:
    """Runs jobs. Not thread-safe: whoever calls `step` calls everything.

    `vocab_size`: the tokens that the tokenizer knows; the model may have more. `max_rows`: the most texts in one step.
    `guess`: whether to guess tokens (`inference.lookup`). `read_beside`: the most tokens of prompts that a step reads
    while other texts wait for their next token.
    """

    def __init__(
        self,
        decoder: BlockDecoder,
        vocab_size: int,
        sampler: Sampler,
        *,
        max_rows: int = 32,
        guess: bool = True,
        read_beside: int = READ_TOKENS,
    ):
        self.decoder, self.vocab_size, self.sampler = decoder, vocab_size, sampler
        self.max_rows, self.guess, self.read_beside = max_rows, guess, read_beside
        self.waiting: list[Job] = []
        self.running: list[Job] = []  # the oldest first
        self._masker = ThreadPoolExecutor(1, "grammar-masks")
        self.reset()

    def reset(self) -> list[Job]:
        """Forget what the cache holds, and all jobs, which it returns: a step has failed in its middle."""
        lost = [*self.running, *self.waiting]
        self.waiting, self.running = [], []
        decoder = self.decoder
        self.cache = BlockCache(decoder.num_blocks, decoder.block_size, decoder.copy_block)
        return lost

    @property
    def max_tokens(self) -> int:
        """The longest text, prompt included, that the cache holds."""
        return self.cache.num_blocks * self.cache.block_size

    def submit(self, job: Job) -> None:
        """Queue a job."""
        self.waiting.append(job)

    @torch.inference_mode()
    def step(self) -> bool:
        """Run the model once. Returns False when no job is left."""
        for job in [job for job in (*self.running, *self.waiting) if job.cancelled]:
            self._leave(job)
        self._admit()
        planned: list[tuple[Job, list[int]]] = []
        for job, ids in self._plan():
            if job in self.running and self._make_room(job, job.num_held + len(ids)):
                planned.append((job, ids))
        if not planned:
            return bool(self.waiting or self.running)
        spans = []
        for job, ids in planned:
            num_ahead = job.num_held + len(ids) - len(job.ids)  # guesses
            wanted = num_ahead + 1 if num_ahead >= 0 else 0
            spans.append(Span(ids, job.num_held, [block.number for block in job.blocks], wanted, job.adapter))
        masks = self._begin_masks([job for (job, _), span in zip(planned, spans, strict=True) if span.num_logits])
        logits = self.decoder.forward(spans)
        self._take(planned, spans, logits[:, : self.vocab_size], masks)
        return bool(self.waiting or self.running)

    def _admit(self) -> None:
        """Let waiting jobs in, in their order, while there are rows and blocks for them."""
        being_read = {job.beginning for job in self.running if job.num_held < len(job.row.prompt)}
        for job in list(self.waiting):
            if len(self.running) >= self.max_rows:
                return
            if job.beginning in being_read:
                continue  # soon its keys and values are in the cache
            if self.running and self.cache.num_needed(job.ids, job.adapter) > self.cache.num_available:
                return
            job.blocks, job.num_held = self.cache.find(job.ids[:-1], job.adapter)
            if not job.admitted:
                job.admitted, job.num_prompt_cached = True, min(job.num_held, job.num_prompt)
            self.waiting.remove(job)
            self.running.append(job)
            being_read.add(job.beginning)

    def _plan(self) -> list[tuple[Job, list[int]]]:
        """What each running job does in this step, the oldest job first: the ids that the model reads."""
        reading = [job for job in self.running if job.num_unread > 1]
        num_writing = len(self.running) - len(reading)
        parts: dict[int, int] = {}
        if reading:
            room = self.read_beside if num_writing else READ_TOKENS
            # Half for the oldest, which must end; the rest for the shortest, whose reader waits for a few tokens.
            oldest = reading[0]
            parts[id(oldest)] = min(oldest.num_unread, room // 2 if len(reading) > 1 else room)
            room -= parts[id(oldest)]
            for job in sorted(reading[1:], key=lambda job: job.num_unread):
                if room:
                    parts[id(job)] = min(job.num_unread, room)
                    room -= parts[id(job)]
            more = min(room, oldest.num_unread - parts[id(oldest)])
            parts[id(oldest)] += more
        planned = []
        guesses = GUESSES // max(num_writing, 1) if self.guess else 0
        for job in self.running:
            num = parts.get(id(job), 0) if job.num_unread > 1 else 1
            if num:
                ahead = self._ahead(job, guesses) if num == job.num_unread else []
                planned.append((job, job.ids[job.num_held : job.num_held + num] + ahead))
        return planned

    def _ahead(self, job: Job, most: int) -> list[int]:
        """At most `most` guesses of the tokens that follow the job's last token.

        A row may write the tokens that healing removed again, without new text: with all of them as guesses,
        a half-typed word costs no step of its own.
        """
        row = job.row
        most = min(most, row.max_tokens - len(row.ids) - 1)
        if most <= 0:
            return []
        if row.owed:
            return row.removed_next[:most]
        return job.lookup.guess(most) if job.lookup else []

    def _make_room(self, job: Job, length: int) -> bool:
        """Give a job blocks for `length` tokens. Where none is left, the youngest job waits, and reads again later."""
        while len(job.blocks) * self.cache.block_size < length:
            try:
                self.cache.add(job.blocks, job.adapter)
            except NoBlocksError:
                youngest = self.running[-1]
                self._withdraw(youngest)
                self.waiting.insert(0, youngest)
                if youngest is job:
                    return False
        return True

    def _begin_masks(self, jobs: Sequence[Job]) -> Masks:
        """Begin to compute the tokens that grammars forbid next, which a hard grammar takes long for: beside the model.

        Texts under a grammar have no guesses, so the tokens that are already chosen determine the forbidden tokens.
        """
        by_vocabulary: dict[Vocabulary, list[Job]] = {}
        for job in jobs:
            if job.row.constraint:
                by_vocabulary.setdefault(job.row.constraint.vocabulary, []).append(job)
        return [
            (alike, self._masker.submit(forbidden_tokens, vocabulary, [job.row.matcher for job in alike]))
            for vocabulary, alike in by_vocabulary.items()
        ]

    def _take(
        self, planned: Sequence[tuple[Job, list[int]]], spans: Sequence[Span], logits: Tensor, masks: Masks
    ) -> None:
        """Choose the next tokens from the logits of a step, and tell the listeners."""
        choosing: list[tuple[Job, int, list[int]]] = []  # a job, the row of its logits, its guesses not yet checked
        row = 0
        for (job, ids), span in zip(planned, spans, strict=True):
            if span.num_logits:
                if not job.read:
                    job.read = time.monotonic()
                choosing.append((job, row, ids[len(ids) - span.num_logits + 1 :]))
            else:
                self.cache.write(job.blocks, job.num_held, ids)
                job.num_held += len(ids)
            row += span.num_logits
        told = [job for job, _, _ in choosing]
        for job, _, guesses in choosing:
            job.num_guessed += len(guesses)
        while choosing:
            tokens = self._choose([(job, logits[row]) for job, row, _ in choosing], masks)
            right = []
            for (job, row, guesses), token in zip(choosing, tokens, strict=True):
                job.row.take(token)
                job.ids.append(token)
                if job.row.finish_reason is None and guesses and guesses[0] == token:
                    job.num_right += 1
                    right.append((job, row + 1, guesses[1:]))
            choosing, masks = right, []
        for job in told:  # all but the last chosen token were read in this step
            self.cache.write(job.blocks, job.num_held, job.ids[job.num_held : -1])
            job.num_held = len(job.ids) - 1
            self._tell(job)

    def _choose(self, rows: Sequence[tuple[Job, Tensor]], masks: Masks) -> list[int]:
        """The next token of each job, from its (vocab,) logits."""
        scores = torch.stack([logits for _, logits in rows])
        for number, (job, _) in enumerate(rows):
            penalize(scores[number], job.row.params, job.row.prompt, job.row.ids)
            if (spelling := job.row.spelling) is not None:
                allowed = torch.tensor(spelling, device=scores.device)
                others = torch.full_like(scores[number], -torch.inf)
                scores[number] = others.index_copy_(0, allowed, scores[number, allowed])
        places = {job: number for number, (job, _) in enumerate(rows)}
        for alike, mask in masks:
            numbers = [places[job] for job in alike]
            forbidden = torch.from_numpy(mask.result()).to(scores.device)
            scores[numbers] = scores[numbers].masked_fill(forbidden, -torch.inf)
        jobs = [job for job, _ in rows]
        chosen = self.sampler(scores, [job.row.params for job in jobs], [job.row.uniform() for job in jobs])
        for number, ((job, logits), token) in enumerate(zip(rows, chosen, strict=True)):
            if job.num_top is not None:
                logs = torch.log_softmax((scores[number] if job.row.owed else logits).double(), dim=-1)
                top = logs.topk(job.num_top) if job.num_top else None
                pairs = zip(top.indices.tolist(), top.values.tolist(), strict=True) if top else ()
                finite = tuple(pair for pair in pairs if pair[1] > -torch.inf)
                job.tokens.append(WrittenToken(token, float(logs[token]), finite, len(job.row.owed)))
        return chosen

    def _tell(self, job: Job) -> None:
        row = job.row
        piece = Piece(row.new_text(), row.num_new - job.num_reported, tuple(job.tokens), row.finish_reason)
        job.num_reported, job.tokens = row.num_new, []
        if row.finish_reason:
            self._leave(job)
        job.listen(piece)

    def _leave(self, job: Job) -> None:
        if job in self.running:
            self._withdraw(job)
        else:
            self.waiting.remove(job)

    def _withdraw(self, job: Job) -> None:
        self.running.remove(job)
        self.cache.release(job.blocks)
        job.blocks, job.num_held = [], 0
