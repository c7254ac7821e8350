"""Judges completions. Equal completions of a problem are judged once; every judgement is stored at once."""

import itertools
import platform
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import chaku
from chaku.console import progress
from chaku.errors import ChakuError
from chaku.evals.benchmark import Benchmark, Judgement, Task, tasks_sha256
from chaku.files import sha256_json
from chaku.journal import Journal
from chaku.sandbox import pool
from chaku.sandbox.languages import toolchains
from chaku.sandbox.probe import check_sandbox
from chaku.sandbox.verdict import Job, Verdict

NUM_WRONG = 3  # problems on which a wrong completion is tried
TIME_FACTOR = 4.0  # time limit / CPU seconds of the reference; EvalPlus's `gt_time_limit_factor`
PATIENCE = 10.0  # factor of the limit for a reference that timed out: the machine may be slow, or busy


@dataclass(frozen=True)
class Limits:
    """How programs are run: CPU seconds and megabytes for every program, how many at a time, and whether isolated.

    `timeout`: the smallest limit; a problem whose reference is slow here gets more time (`check_references`).
    """

    timeout: float
    memory_mb: int
    num_workers: int | None = None
    isolated: bool = True


class Judge:
    """Judges completions of one benchmark, with a journal of earlier judgements.

    A failure of the sandbox is never a judgement: the program is run a second time, and a second failure stops the
    scoring.
    """

    def __init__(self, benchmark: Benchmark, limits: Limits, journal: Path):
        self._benchmark, self._limits, self._path = benchmark, limits, journal
        self._task_hashes: dict[str, str] = {}  # cached: tests may be long, and samples many
        self._slowest: dict[str, float] = {}  # CPU seconds of a completion's slowest program, by the completion's key
        self.longer_timeouts: dict[str, float] = {}  # task id -> CPU seconds, where more than the limit

    def judge(self, asked: Sequence[tuple[Task, str]], description: str) -> list[Judgement]:
        """The judgements of completions, in their order. Raises ChakuError when the sandbox fails."""
        keys = [self._key(task, completion) for task, completion in asked]
        with Journal(self._path) as journal:
            self._slowest = {row["key"]: row.pop("slowest") for row in journal.rows}
            known = {row.pop("key"): Judgement(**row) for row in journal.rows}
            missing = {key: pair for key, pair in zip(keys, asked, strict=True) if key not in known}
            with progress(description, len(set(keys)), "programs", initial=len(set(keys)) - len(missing)) as bar:
                for attempt in (1, 2):
                    broken = ""
                    for key, judgement, slowest in self._run(missing):
                        if judgement.verdict == "sandbox_error":
                            broken = judgement.reason
                            continue
                        known[key], self._slowest[key] = judgement, slowest
                        journal.append([{"key": key, "slowest": slowest, **asdict(judgement)}])
                        bar.advance(1)
                    missing = {key: pair for key, pair in missing.items() if key not in known}
                    if not missing:
                        break
                    if attempt == 2:
                        raise ChakuError(
                            f"the sandbox failed twice on {len(missing)} of {len(set(keys))} programs: {broken}; "
                            "nothing is scored. Judgements so far are kept: run the same command again to go on"
                        )
        return [known[key] for key in keys]

    def timeout(self, task: Task) -> float:
        """The limit of CPU seconds of every program of a task."""
        return self.longer_timeouts.get(task.task_id, self._limits.timeout)

    def allow(self, task: Task, seconds: float) -> None:
        """Give a task's programs at least `seconds` of CPU time: doubles the limit until it is enough."""
        timeout = self._limits.timeout
        while timeout < seconds:
            timeout *= 2
        if timeout > self._limits.timeout:
            self.longer_timeouts[task.task_id] = timeout
        else:
            self.longer_timeouts.pop(task.task_id, None)

    def slowest(self, task: Task, completion: str) -> float:
        """CPU seconds of the slowest program of a judged completion."""
        return self._slowest[self._key(task, completion)]

    def _run(self, missing: dict[str, tuple[Task, str]]) -> Iterator[tuple[str, Judgement, float]]:
        """Yields (key, judgement, CPU seconds of the slowest program). Runs completions with equal limits together."""
        by_timeout: dict[float, dict[str, tuple[Task, str]]] = {}
        for key, (task, completion) in missing.items():
            if self._benchmark.jobs is None:
                yield key, self._benchmark.judge(task, completion, []), 0.0
            else:
                by_timeout.setdefault(self.timeout(task), {})[key] = (task, completion)
        for timeout, together in sorted(by_timeout.items()):
            yield from self._run_programs(together, timeout)

    def _run_programs(
        self, missing: dict[str, tuple[Task, str]], timeout: float
    ) -> Iterator[tuple[str, Judgement, float]]:
        benchmark, limits = self._benchmark, self._limits
        assert benchmark.jobs is not None
        make_jobs = benchmark.jobs
        owners: list[tuple[str, int]] = []  # job -> (the completion's key, the job's place among its jobs)
        waiting: dict[str, list[Verdict | None]] = {}

        def jobs() -> Iterator[Job]:
            for key, (task, completion) in missing.items():
                made = make_jobs(task, completion)
                if not made:
                    raise ChakuError(f"{benchmark.name}: {task.task_id} has no test")
                waiting[key] = [None] * len(made)
                for place, job in enumerate(made):
                    if key not in waiting:  # already judged
                        break
                    owners.append((key, place))
                    yield job

        stream = pool.run_stream(
            jobs(),
            timeout=timeout,
            memory_mb=limits.memory_mb,
            num_workers=limits.num_workers,
            isolated=limits.isolated,
        )
        for number, verdict in stream:
            key, place = owners[number]
            if key not in waiting:
                continue
            waiting[key][place] = verdict
            task, completion = missing[key]
            judgement = _judgement(benchmark, task, completion, waiting[key])
            if judgement is not None:
                slowest = max(verdict.cpu_seconds for verdict in waiting.pop(key) if verdict is not None)
                yield key, judgement, slowest

    def _key(self, task: Task, completion: str) -> str:
        if task.task_id not in self._task_hashes:
            self._task_hashes[task.task_id] = tasks_sha256([task])
        limits = self._limits
        how = [self.timeout(task), limits.memory_mb, limits.isolated, chaku.__version__, platform.python_version()]
        # The prompt form distinguishes a completion from a whole program with the same text.
        asked = [self._benchmark.name, self._benchmark.prompt_form, self._task_hashes[task.task_id]]
        return sha256_json([*asked, completion, how])


def _judgement(
    benchmark: Benchmark, task: Task, completion: str, verdicts: Sequence[Verdict | None]
) -> Judgement | None:
    """The judgement; None while it is open. It is decided when every program has its verdict, or when a program was
    ended from outside and all programs before it have verdicts.

    After a timeout, say, the other programs are not awaited: each may take as long.
    """
    found = [
        verdict for verdict in itertools.takewhile(lambda verdict: verdict is not None, verdicts) if verdict is not None
    ]
    if broken := next((verdict for verdict in found if verdict.status == "sandbox_error"), None):
        return Judgement("sandbox_error", False, broken.reason)
    if len(found) < len(verdicts) and all(verdict.status in ("passed", "failed") for verdict in found):
        return None
    return benchmark.judge(task, completion, found)


def check_machine(benchmark: Benchmark, *, isolated: bool = True) -> None:
    """Raises ChakuError, with the remedy, when this machine cannot run the benchmark's programs."""
    if problem := why_not_here(benchmark, isolated=isolated):
        raise ChakuError(problem)


def why_not_here(benchmark: Benchmark, *, isolated: bool = True) -> str | None:
    """Why this machine cannot run a benchmark's programs: no sandbox, or no toolchain; None when it can."""
    if benchmark.jobs is None:
        return None
    if isolated and (problem := check_sandbox()):
        return problem
    problems = (toolchains.why_not(language) for language in benchmark.languages)
    return next((problem for problem in problems if problem), None)


def check_references(judge: Judge, tasks: Sequence[Task]) -> int:
    """Run the reference solutions; returns the number of problems that have some.

    A problem is sound when at least one reference passes, as some of APPS's solutions are wrong. When none passes, a
    reference that timed out is run again with `PATIENCE` times the limit. The problem's programs may then take
    `TIME_FACTOR` times the CPU seconds of the reference that passed, if that is more than the limit. Raises ChakuError,
    with the problems, when a problem's references all fail: the scores would be wrong.
    """
    sound: dict[str, bool] = {task.task_id: False for task in tasks if task.references}
    first: dict[str, Judgement] = {}
    slow: dict[str, tuple[Task, str]] = {}

    def run(asked: Sequence[tuple[Task, str]]) -> None:
        judgements = judge.judge(asked, "check reference solutions") if asked else []
        for (task, reference), judgement in zip(asked, judgements, strict=True):
            first.setdefault(task.task_id, judgement)
            if judgement.passed:
                sound[task.task_id] = True
                judge.allow(task, TIME_FACTOR * judge.slowest(task, reference))
            elif judgement.verdict == "timed_out":
                slow.setdefault(task.task_id, (task, reference))

    for place in range(max((len(task.references) for task in tasks), default=0)):
        left = [task for task in tasks if len(task.references) > place and not sound[task.task_id]]
        run([(task, task.references[place]) for task in left])
    again = [pair for task_id, pair in slow.items() if not sound[task_id]]
    for task, _ in again:
        judge.allow(task, PATIENCE * judge.timeout(task))
    run(again)
    if wrong := {task_id: first[task_id] for task_id, passed in sound.items() if not passed}:
        named = [f"{task_id} ({judgement.verdict}: {judgement.reason})" for task_id, judgement in wrong.items()]
        too_slow = any(judgement.verdict == "timed_out" for judgement in wrong.values())
        raise ChakuError(
            f"the reference solutions of {len(wrong)} of {len(sound)} problems fail here, so nothing is scored: "
            f"{'; '.join(named[:5])}{'; on a slow machine give more seconds with --timeout' if too_slow else ''}; "
            f"to score only the other problems, give --exclude {' '.join(wrong)}"
        )
    return len(sound)


def check_wrong(judge: Judge, benchmark: Benchmark, tasks: Sequence[Task]) -> None:
    """Run a wrong completion on the first few problems without references, to check that the tests can fail.

    Raises ChakuError when the wrong completion passes, or fails before a test could run it.
    """
    make_wrong = benchmark.wrong
    asked = [task for task in tasks if not task.references][:NUM_WRONG]
    if make_wrong is None or not asked:
        return
    judgements = judge.judge([(task, make_wrong(task)) for task in asked], "check that the tests can fail")
    for task, judgement in zip(asked, judgements, strict=True):
        if judgement.passed or judgement.verdict not in ("failed", "crashed"):
            raise ChakuError(
                f"{benchmark.name}: a completion that only raises an error should fail {task.task_id}, but the verdict "
                f"is {judgement.verdict} ({judgement.reason}). The tests cannot tell right from wrong, so nothing is "
                "scored; check the toolchain, and use the published problem file"
            )
