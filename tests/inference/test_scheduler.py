"""Texts join and leave between steps, share what they begin with, are guessed ahead, and are as if each was alone."""

import random
import threading
from dataclasses import replace

import pytest
import torch

from chaku.inference.constraints import forbidden_tokens
from chaku.inference.engine import Engine
from chaku.inference.generator import SamplingParams
from chaku.inference.lookup import Lookup
from chaku.inference.prompts import Prompt, complete
from chaku.inference.sampling import choose
from chaku.inference.scheduler import Job, Scheduler
from chaku.model.config import PRESETS
from chaku.model.llama import Llama

REPEATED = "for x in range(10):\n    print(x)\n" * 3


@pytest.fixture(scope="module")
def engine(tokenizer):
    torch.manual_seed(1)
    model = Llama(replace(PRESETS["tiny"], max_position_embeddings=256))
    with torch.no_grad():
        model.lm_head.weight.mul_(20)  # clear winners: batches may differ in the last bit
    return Engine(model.eval(), tokenizer)


class Counting:
    """A decoder that counts the tokens that it reads, and the steps."""

    def __init__(self, decoder):
        self._decoder, self.block_size, self.num_blocks = decoder, decoder.block_size, decoder.num_blocks
        self.num_tokens = self.num_steps = 0
        self.longest = 0
        self.copy_block = decoder.copy_block

    def forward(self, spans):
        self.num_steps += 1
        self.num_tokens += sum(len(span.ids) for span in spans)
        self.longest = max(self.longest, *(len(span.ids) for span in spans))
        return self._decoder.forward(spans)


def scheduler_of(engine, num_blocks=40, **settings):
    decoder = Counting(engine.decoder.with_blocks(num_blocks))
    return Scheduler(decoder, engine.tokenizer.vocab_size, choose, **settings)


def job_of(engine, text, params=None, grammar=None, num_top=None):
    prompt = text if isinstance(text, Prompt) else complete(engine.tokenizer, text)
    pieces = []
    job = Job(engine.row(prompt, params or SamplingParams(max_tokens=24), 0, grammar), pieces.append, num_top)
    job.pieces = pieces
    return job


def run(scheduler, *jobs):
    for job in jobs:
        scheduler.submit(job)
    while scheduler.step():
        pass
    return [job.row.completion() for job in jobs]


def text_of(job):
    return "".join(piece.text for piece in job.pieces)


def test_texts_that_join_and_leave_are_as_if_alone(engine):
    draw = random.Random(1)
    scheduler, jobs = scheduler_of(engine, max_rows=4), []
    texts = ["def", "x", REPEATED, "for x", "print(x)\n" * 4, "", "def add(a, b):\n", "☺"]
    for number in range(24):
        params = SamplingParams(
            draw.randrange(1, 30), draw.choice([0.0, 0.9]), stop=("\n",) if draw.random() < 0.3 else (), seed=number
        )
        jobs.append((job_of(engine, draw.choice(texts), params), params))
        scheduler.submit(jobs[-1][0])
        for _ in range(draw.randrange(4)):
            scheduler.step()
    while scheduler.step():
        pass
    for job, params in jobs:
        [[alone]] = engine.generate([Prompt(tuple(job.row.prompt))], params)
        assert job.row.completion().ids == alone.ids
        assert text_of(job) == job.row.completion().text
        assert job.pieces[-1].finish_reason == alone.finish_reason
        assert sum(piece.num_tokens for piece in job.pieces) == alone.num_tokens


def test_a_cancelled_text_stops_after_the_step_and_leaves_its_blocks(engine):
    scheduler = scheduler_of(engine)
    job = job_of(engine, "def", SamplingParams(max_tokens=100))
    scheduler.submit(job)
    for _ in range(3):
        scheduler.step()
    written = len(job.row.ids)
    job.cancelled = True
    assert not scheduler.step()
    assert len(job.row.ids) == written
    assert scheduler.cache.num_available == 40


def test_a_prompt_that_grew_by_a_word_is_read_from_there(engine):
    scheduler = scheduler_of(engine)
    run(scheduler, job_of(engine, REPEATED, SamplingParams(max_tokens=1)))
    before = scheduler.decoder.num_tokens
    longer = job_of(engine, REPEATED + "x", SamplingParams(max_tokens=1))
    run(scheduler, longer)
    assert scheduler.decoder.num_tokens - before <= 3
    assert longer.num_prompt_cached >= longer.num_prompt - 3


def test_samples_of_a_prompt_read_it_once(engine):
    scheduler = scheduler_of(engine)
    params = SamplingParams(max_tokens=1, temperature=1.0, num_samples=5)
    prompt = complete(engine.tokenizer, REPEATED)
    run(scheduler, *(Job(engine.row(prompt, params, sample), lambda piece: None) for sample in range(5)))
    assert scheduler.decoder.num_tokens < len(prompt.ids) + 10


@pytest.mark.parametrize(("temperature", "penalty"), [(0.0, 0.0), (0.7, 0.0), (0.0, 0.1)])
def test_guesses_save_steps_and_change_nothing(engine, temperature, penalty):
    """The rows of an untrained model repeat themselves when they are greedy."""
    params = SamplingParams(max_tokens=100, temperature=temperature, frequency_penalty=penalty, seed=3)
    plain, guessing = scheduler_of(engine, guess=False), scheduler_of(engine, guess=True)
    texts = ["def", "x = ", REPEATED]
    expected = run(plain, *(job_of(engine, text, params) for text in texts))
    jobs = [job_of(engine, text, params) for text in texts]
    assert run(guessing, *jobs) == expected
    assert sum(job.num_guessed for job in jobs) > 0
    if temperature == penalty == 0:
        assert sum(job.num_right for job in jobs) > 0
        assert guessing.decoder.num_steps < plain.decoder.num_steps


def test_a_lookup_guesses_what_followed_last_time_and_more_after_a_longer_match():
    ids = [1, 2, 3, 4, 5, 6, 7, 1, 2, 3]
    lookup = Lookup(ids)
    assert lookup.guess(10) == [4]
    ids += [4, 5]
    assert lookup.guess(10) == [6, 7, 1]
    assert lookup.guess(2) == [6, 7]
    ids += [9]
    assert lookup.guess(10) == []
    ids += [1, 2, 3]
    assert lookup.guess(10) == [4]


def test_the_mask_of_a_grammar_is_begun_before_the_model_runs(engine, monkeypatch):
    scheduler, begun, expected = scheduler_of(engine), threading.Event(), ["aab", "bba"]

    def begin(*arguments):
        begun.set()
        return forbidden_tokens(*arguments)

    def model(spans, forward=scheduler.decoder.forward):
        assert begun.wait(20)
        begun.clear()
        return forward(spans)

    monkeypatch.setattr("chaku.inference.scheduler.forbidden_tokens", begin)
    scheduler.decoder.forward = model
    texts = [job_of(engine, "def", grammar=f'start: "{text}"') for text in expected]
    assert [completion.text for completion in run(scheduler, *texts)] == expected


def test_a_long_prompt_does_not_stop_the_others(engine):
    scheduler = scheduler_of(engine, guess=False, read_beside=128)
    short, long = (
        job_of(engine, "x", SamplingParams(max_tokens=12)),
        job_of(engine, Prompt((1,) * 240), SamplingParams(max_tokens=1)),
    )
    scheduler.submit(short)
    scheduler.step()
    scheduler.submit(long)
    while scheduler.step():
        pass
    assert scheduler.decoder.longest <= 128
    assert short.row.finish_reason == long.row.finish_reason == "length"


def test_a_short_prompt_overtakes_a_long_one(engine):
    scheduler = scheduler_of(engine, read_beside=128)
    writing = job_of(engine, "x", SamplingParams(max_tokens=100))
    scheduler.submit(writing)
    scheduler.step()
    long, short = job_of(engine, Prompt((1,) * 250), SamplingParams(max_tokens=1)), job_of(engine, "def")
    scheduler.submit(long)
    scheduler.submit(short)
    scheduler.step()
    assert short.row.ids
    assert not long.row.ids


def test_the_youngest_waits_when_the_cache_is_full(engine):
    """Three texts of four blocks in seven: all are written in the end, each as if alone."""
    params = SamplingParams(max_tokens=100)
    scheduler = scheduler_of(engine, num_blocks=7)
    jobs = [job_of(engine, text, params) for text in ("def", "x = 1\n", "for")]
    for job, completion in zip(jobs, run(scheduler, *jobs), strict=True):
        [[alone]] = engine.generate([Prompt(tuple(job.row.prompt))], params)
        assert completion.ids == alone.ids
    assert scheduler.cache.num_available == 7


def test_log_probabilities_are_those_of_the_model(engine):
    job = job_of(engine, "def", SamplingParams(max_tokens=5, temperature=1.0, seed=1), num_top=3)
    [completion] = run(scheduler_of(engine), job)
    tokens = [token for piece in job.pieces for token in piece.tokens]
    assert [token.id for token in tokens] == list(completion.ids)
    ids = torch.tensor([[*job.row.prompt, *completion.ids]])
    logits = engine.model(ids).detach()[0, len(job.row.prompt) - 1 : -1, : engine.tokenizer.vocab_size]
    expected = torch.log_softmax(logits.double(), dim=-1)
    for token, row in zip(tokens, expected, strict=True):
        assert abs(token.log_probability - row[token.id]) < 1e-4
        top = row.topk(3)
        assert [number for number, _ in token.top] == top.indices.tolist()


def test_a_text_that_waits_for_room_takes_nothing_from_the_cache(engine):
    scheduler = scheduler_of(engine, num_blocks=6)
    run(scheduler, job_of(engine, REPEATED, SamplingParams(max_tokens=2)))
    long = job_of(engine, "def add(a, b):\n", SamplingParams(max_tokens=150))
    scheduler.submit(long)
    scheduler.step()
    copies = []
    scheduler.cache._copy = lambda source, target: copies.append(target)
    scheduler.submit(job_of(engine, REPEATED[:-9] + "x" * 120, SamplingParams(max_tokens=2)))
    for _ in range(10):
        scheduler.step()
    assert scheduler.waiting, "there is no room"
    assert not copies


def test_a_text_that_had_to_wait_again_has_the_cached_tokens_of_its_first_time(engine):
    scheduler = scheduler_of(engine, num_blocks=9)
    jobs = [job_of(engine, text, SamplingParams(max_tokens=150)) for text in ("def", "for x in range", "print")]
    run(scheduler, *jobs)
    assert [job.num_prompt_cached for job in jobs] == [0, 0, 0]
