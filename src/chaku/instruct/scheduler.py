"""Works on many questions at a time: the model writes while the sandbox runs; the ledger answers repeated requests."""

import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import takewhile
from queue import SimpleQueue
from typing import Any

from chaku.console import Bar, progress
from chaku.errors import ChakuError
from chaku.inference.generator import Generator
from chaku.instruct.asks import Ask, Reply, answer
from chaku.instruct.evidence import Evidence, Where
from chaku.instruct.ledger import Ledger, LedgerRun, ask_key, run_key
from chaku.instruct.triples import Outcome, Runs, Way
from chaku.sandbox.pool import Pool
from chaku.sandbox.verdict import Job, Verdict

JOBS_AHEAD = 400  # begin no new question while this number of jobs waits for the sandbox
WRITE_EVERY = 200  # verdicts in one transaction of the ledger


@dataclass
class Times:
    """Seconds in total, while a model wrote, while programs ran, and while both were busy."""

    whole: float = 0.0
    generating: float = 0.0
    executing: float = 0.0
    both: float = 0.0

    def add(self, seconds: float, generating: bool, executing: bool) -> None:
        self.whole += seconds
        self.generating += seconds * generating
        self.executing += seconds * executing
        self.both += seconds * (generating and executing)


@dataclass(frozen=True)
class Summary:
    """Counts of a synthesis. `funnel`: see `synthesize.funnel`. `asked`, `run`: what was not in the ledger before."""

    funnel: Mapping[str, int]
    num_tokens: int
    asked: int
    run: int
    times: Times


@dataclass
class _Question:
    key: str
    way: Way
    verdicts: list[Verdict | None] = field(default_factory=list)
    num_open: int = 0


class Scheduler:
    """Runs the way of each question (see `triples`) to its outcome.

    `max_tokens`: send nothing more to the model once the ledger holds this number of tokens; questions that still wait
    for a reply stay unfinished.
    """

    def __init__(
        self,
        ledger: Ledger,
        generator: Generator,
        pool: Pool,
        limits: Mapping[str, Any],
        max_tokens: int | None = None,
    ):
        self.ledger, self.generator, self.pool, self.limits = ledger, generator, pool, limits
        self.max_tokens, self.num_tokens = max_tokens, ledger.num_tokens()
        self.times = Times()
        self.num_asked = self.num_run = 0  # asks and runs that were not in the ledger
        self._identity = generator.identity
        self._waiting: deque[tuple[_Question, Ask]] = deque()
        self._answers: dict[Future[list[list[Reply]]], list[tuple[_Question, Ask]]] = {}
        self._runs: dict[Future[Verdict], tuple[str, str, Job]] = {}
        self._wanting: dict[str, list[tuple[_Question, int]]] = {}  # run key -> questions and the verdict's index
        self._done: SimpleQueue[Future[Any]] = SimpleQueue()
        self._unwritten: dict[str, LedgerRun] = {}
        self._outcomes: list[tuple[str, Where, Evidence]] = []

    @property
    def out_of_tokens(self) -> bool:
        return self.max_tokens is not None and self.num_tokens >= self.max_tokens

    def summary(self, funnel: Mapping[str, int]) -> Summary:
        """The funnel, with the counts and times of this scheduler."""
        return Summary(funnel, self.num_tokens, self.num_asked, self.num_run, self.times)

    def answer(self, asks: Sequence[Ask]) -> list[list[Reply]]:
        """The replies to `asks`, from the ledger or the model, up to the first ask that `max_tokens` does not cover."""
        keys = [ask_key(ask, self._identity) for ask in asks]
        missing = [(key, ask) for key, ask in zip(keys, asks, strict=True) if not self.ledger.replies(key)]
        at_once = self._full()
        parts = [missing[start : start + at_once] for start in range(0, len(missing), at_once)]
        with ThreadPoolExecutor(self.generator.num_threads, "model") as models:
            while parts and not self.out_of_tokens:
                now, parts = parts[: self.generator.num_threads], parts[self.generator.num_threads :]
                for part, answers in zip(now, models.map(self._ask, now), strict=True):
                    self._keep([(*pair, replies) for pair, replies in zip(part, answers, strict=True)])
                    self.num_asked += len(part)
        return list(takewhile(bool, map(self.ledger.replies, keys)))

    def _ask(self, part: Sequence[tuple[str, Ask]]) -> list[list[Reply]]:
        return answer(self.generator, [ask for _, ask in part])

    def run(self, ways: Iterator[tuple[str, Way]], bar: Bar) -> None:
        """Run each (question key, way) to its outcome, and store the outcome in the ledger.

        Raises ChakuError when the sandbox fails; the ledger keeps the earlier results.
        """
        num_threads, open_ways = self.generator.num_threads, True
        models = ThreadPoolExecutor(num_threads, "model")
        try:
            while True:
                now = time.monotonic()
                while open_ways and len(self._runs) < JOBS_AHEAD and self._num_rows() < 2 * self._full() * num_threads:
                    if (taken := next(ways, None)) is None:
                        open_ways = False
                    else:
                        self._go_on(_Question(*taken), None)
                while self._waiting and len(self._answers) < num_threads and not self.out_of_tokens:
                    # Send a batch when it is full, or when no running work could add to it.
                    if self._num_rows() < self._full() and (self._runs or self._answers):
                        break
                    self._send(models)
                if not self._answers and not self._runs:
                    break
                state = (bool(self._answers), bool(self._runs))
                done = self._done.get()
                if done in self._answers:
                    self._take_answers(done)
                else:
                    self._take_verdict(done)
                bar.advance(self._write(everything=False))
                self.times.add(time.monotonic() - now, *state)
        finally:
            models.shutdown(wait=True, cancel_futures=True)
            for key, asked in self._answers.items():  # after an interruption: keep the replies that are already made
                if not key.cancelled() and key.exception() is None:
                    self._keep(self._keyed(asked, key.result()))
            bar.advance(self._write(everything=True))

    def _full(self) -> int:
        return self.generator.num_rows

    def _num_rows(self) -> int:
        return sum(ask.num_samples for _, ask in self._waiting)

    def _send(self, models: ThreadPoolExecutor) -> None:
        taken, rows = [], 0
        while self._waiting and rows < self._full():
            taken.append(self._waiting.popleft())
            rows += taken[-1][1].num_samples
        future = models.submit(answer, self.generator, [ask for _, ask in taken])
        self._answers[future] = taken
        future.add_done_callback(self._done.put)
        self.num_asked += rows

    def _go_on(self, question: _Question, sent: Any) -> None:
        """Send a way the results that it waits for; go on as long as the ledger has the next results."""
        while True:
            try:
                need = question.way.send(sent)
            except StopIteration as end:
                outcome: Outcome = end.value
                self._outcomes.append((question.key, outcome.where, self._with_keys(outcome)))
                return
            if isinstance(need, Ask):
                sent = self.ledger.replies(ask_key(need, self._identity))
                if not sent:
                    self._waiting.append((question, need))
                    return
            else:
                sent = self._start(question, need)
                if sent is None:
                    return

    def _start(self, question: _Question, runs: Runs) -> list[Verdict] | None:
        """The verdicts, if all are known. Otherwise submit the unknown jobs, and return None."""
        keys = [run_key(job, self.limits) for job in runs.jobs]
        question.verdicts = [self._known(key) for key in keys]
        question.num_open = sum(verdict is None for verdict in question.verdicts)
        if not question.num_open:
            return [verdict for verdict in question.verdicts if verdict is not None]
        for place, (key, job) in enumerate(zip(keys, runs.jobs, strict=True)):
            if question.verdicts[place] is None:
                if key not in self._wanting:
                    future = self.pool.submit(job)
                    self._runs[future] = (key, runs.kind, job)
                    future.add_done_callback(self._done.put)
                    self.num_run += 1
                self._wanting.setdefault(key, []).append((question, place))
        return None

    def _known(self, key: str) -> Verdict | None:
        return self._unwritten[key].verdict if key in self._unwritten else self.ledger.verdict(key)

    def _take_answers(self, done: Future[list[list[Reply]]]) -> None:
        taken = self._answers.pop(done)
        rows = self._keyed(taken, done.result())
        self._keep(rows)
        for (question, _), (_, _, replies) in zip(taken, rows, strict=True):
            self._go_on(question, list(replies))

    def _keyed(
        self, taken: Sequence[tuple[_Question, Ask]], answers: Sequence[list[Reply]]
    ) -> list[tuple[str, Ask, list[Reply]]]:
        return [(ask_key(ask, self._identity), ask, replies) for (_, ask), replies in zip(taken, answers, strict=True)]

    def _keep(self, rows: Sequence[tuple[str, Ask, Sequence[Reply]]]) -> None:
        self.ledger.add_replies(rows, self._identity)
        self.num_tokens += sum(reply.num_tokens for _, _, replies in rows for reply in replies)

    def _take_verdict(self, done: Future[Verdict]) -> None:
        key, kind, job = self._runs.pop(done)
        verdict = done.result()
        if verdict.status == "sandbox_error":  # says nothing about the program
            raise ChakuError(
                f"the sandbox failed: {verdict.reason}; the results so far are kept: run the same command again"
            )
        self._unwritten[key] = LedgerRun(key, kind, job, self.limits, verdict)
        for question, place in self._wanting.pop(key):
            question.verdicts[place] = verdict
            question.num_open -= 1
            if not question.num_open:
                self._go_on(question, [verdict for verdict in question.verdicts if verdict is not None])

    def _write(self, everything: bool) -> int:
        """Store verdicts, then the outcomes that depend on them. Returns the number of stored outcomes."""
        if not everything and len(self._unwritten) < WRITE_EVERY:
            return 0
        self.ledger.add_verdicts(list(self._unwritten.values()))
        self._unwritten.clear()
        self.ledger.set_outcomes(self._outcomes)
        written, self._outcomes = len(self._outcomes), []
        return written

    def _with_keys(self, outcome: Outcome) -> Evidence:
        """The outcome's evidence, with the ledger's keys of its asks and runs."""
        return replace(
            outcome.evidence,
            tests_ask=ask_key(outcome.tests_ask, self._identity) if outcome.tests_ask else "",
            solutions_ask=ask_key(outcome.solutions_ask, self._identity) if outcome.solutions_ask else "",
            corrections=tuple(ask_key(ask, self._identity) for ask in outcome.corrections),
            verdicts=tuple(run_key(job, self.limits) for job in outcome.jobs),
        )


def run_all(ledger: Ledger, pool: Pool, limits: Mapping[str, Any], kind: str, jobs: Sequence[Job]) -> list[Verdict]:
    """The verdicts of `jobs`, from the ledger or the sandbox. Raises ChakuError when the sandbox fails."""
    keys = [run_key(job, limits) for job in jobs]
    missing = {key: job for key, job in zip(keys, jobs, strict=True) if ledger.verdict(key) is None}
    with progress(f"run {kind}", len(missing), "programs") as bar:
        running = {key: pool.submit(job) for key, job in missing.items()}
        new: list[LedgerRun] = []
        for number, (key, future) in enumerate(running.items(), 1):
            verdict = future.result()
            if verdict.status == "sandbox_error":
                raise ChakuError(
                    f"the sandbox failed: {verdict.reason}; the results so far are kept: run the same command again"
                )
            new.append(LedgerRun(key, kind, missing[key], limits, verdict))
            if len(new) == WRITE_EVERY or number == len(running):
                ledger.add_verdicts(new)
                new = []
            bar.advance(1)
    return [known for key in keys if (known := ledger.verdict(key)) is not None]
