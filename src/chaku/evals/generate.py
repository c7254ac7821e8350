"""Problems to samples: by the engine in batches, or by an endpoint, written down as they come."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chaku.console import progress
from chaku.errors import ChakuError
from chaku.evals.benchmark import Benchmark, Task, tasks_sha256
from chaku.evals.endpoint import Endpoint
from chaku.evals.journal import Journal
from chaku.evals.manifest import decoder_record, sampling_record, versions, weights_sha256
from chaku.evals.samples import Sample
from chaku.files import read_json, sha256_json, write_json

if TYPE_CHECKING:
    from chaku.inference.engine import Engine
    from chaku.inference.sampling import SamplingParams
    from chaku.tokens.chat import Chat

REQUESTS_AT_ONCE = 16  # to an endpoint, which batches them


@dataclass(frozen=True)
class Sampling:
    """What may be chosen of a generation. `max_tokens` None: the benchmark's, or half of a shorter context.

    `max_prompt_tokens`: only the end of a longer prompt is asked (None: what the context has room for).
    """

    temperature: float = 0.0
    top_p: float = 1.0
    num_samples: int = 1
    seed: int = 0
    max_tokens: int | None = None
    max_prompt_tokens: int | None = None

    def params(self, benchmark: Benchmark, source: "Engine | Endpoint") -> "SamplingParams":
        """Raises ChakuError for a value out of range."""
        from chaku.inference.sampling import SamplingParams

        if self.max_prompt_tokens is not None and self.max_prompt_tokens < 1:
            raise ChakuError(f"max_prompt_tokens is {self.max_prompt_tokens}; it must be at least 1")
        max_tokens = benchmark.max_tokens
        if not isinstance(source, Endpoint):
            max_tokens = min(max_tokens, source.model.config.max_position_embeddings // 2)
        return SamplingParams(
            max_tokens=max_tokens if self.max_tokens is None else self.max_tokens,
            temperature=self.temperature,
            top_p=self.top_p,
            stop=benchmark.stops,
            seed=self.seed,
            num_samples=self.num_samples,
            healing=benchmark.healing,
        )


GREEDY = Sampling()


def generate_samples(
    benchmark: Benchmark, tasks: Sequence[Task], source: "Engine | Endpoint", sampling: Sampling, out: Path
) -> tuple[list[Sample], dict[str, Any]]:
    """Samples of the tasks of the benchmark's split, in order, and the manifest of how they were made.

    They are kept in OUT/completions.jsonl as they come: killed and called again, it asks for what is missing. Raises
    ChakuError when OUT holds completions that were made otherwise, for a problem without a prompt, and for what the
    engine or the endpoint refuses.
    """
    tasks = [task for task in tasks if task.in_split]
    if unasked := next((task.task_id for task in tasks if not task.prompt and task.suffix is None), None):
        raise ChakuError(
            f"{benchmark.name}: {unasked} has no prompt: {benchmark.prompt_form} cannot be made of the file"
        )
    params = sampling.params(benchmark, source)
    if isinstance(source, Endpoint) and (benchmark.healing or sampling.max_prompt_tokens is not None):
        raise ChakuError(
            f"{benchmark.name}: an endpoint takes text, so tokens can be neither healed nor counted; give a model's "
            "directory, or choose a benchmark without healing and no limit of the prompt's tokens"
        )
    if isinstance(source, Endpoint) and benchmark.repository:
        raise ChakuError(
            f"{benchmark.name}: an endpoint is not told a repository; ask without `-repository`, or a model's directory"
        )
    record = {**source_record(source), "prompt_form": benchmark.prompt_form, **sampling_record(params)}
    record["max_prompt_tokens"] = sampling.max_prompt_tokens
    chat = None if benchmark.opening is None or isinstance(source, Endpoint) else _chat(benchmark, source)
    if chat is not None:
        params = replace(params, stop_ids=(*params.stop_ids, chat.end_id))
        record |= {"chat_template_sha256": sha256_json(chat.template), "opening": benchmark.opening}
    if benchmark.mode is not None:
        record["mode"] = "the endpoint's own" if isinstance(source, Endpoint) else benchmark.mode
    claim(out / "completions.json", {**versions(), **record, "tasks_sha256": tasks_sha256(tasks)})
    with ExitStack() as stack:
        journal = stack.enter_context(Journal(out / "completions.jsonl"))
        texts = {(row["task_id"], row["index"]): row["completion"] for row in journal.rows}
        wanted = [(task, index) for task in tasks for index in range(params.num_samples)]
        missing = [pair for pair in wanted if (pair[0].task_id, pair[1]) not in texts]
        done = len(wanted) - len(missing)
        bar = stack.enter_context(progress(f"{benchmark.name}: samples", len(wanted), "samples", initial=done))
        if isinstance(source, Endpoint):
            groups = _ask_endpoint(missing, source, params)
        else:
            groups = _ask_engine(benchmark, missing, source, params, sampling.max_prompt_tokens, chat)
        for group in groups:
            rows = [_row(benchmark, task, index, text) for task, index, text in group]
            journal.append(rows)
            texts |= {(row["task_id"], row["index"]): row["completion"] for row in rows}
            bar.advance(len(rows))
    return [Sample(task.task_id, index, texts[task.task_id, index]) for task, index in wanted], record


def _row(benchmark: Benchmark, task: Task, index: int, text: str) -> dict[str, Any]:
    """A line of completions.jsonl; of a chat it has the whole reply, too, which can be read and extracted again."""
    row = {"task_id": task.task_id, "index": index}
    if benchmark.opening is None:
        return {**row, "completion": benchmark.cut_text(task, text)}
    reply = benchmark.opening + text
    return {**row, "completion": benchmark.cut_text(task, reply), "reply": reply}


def _chat(benchmark: Benchmark, engine: "Engine") -> "Chat":
    from chaku.tokens.chat import Chat

    try:
        return Chat(engine.tokenizer)
    except ChakuError as error:
        raise ChakuError(f"{benchmark.name} cannot be asked in a chat: {error}") from error


def source_record(source: "Engine | Endpoint") -> dict[str, Any]:
    """What writes, for a manifest."""
    if isinstance(source, Endpoint):
        return {"model": source.model, "endpoint": source.address}
    return {
        "model_sha256": weights_sha256(source.model),
        "tokenizer_sha256": source.tokenizer.sha256,
        "context": source.model.config.max_position_embeddings,
        **decoder_record(source.model),
    }


def claim(path: Path, record: dict[str, Any]) -> None:
    """Say how the completions beside `path` are made, or check that the earlier ones were made so."""
    if path.exists():
        if differences := differing(read_json(path), record):
            raise ChakuError(
                f"{path.parent} holds completions that were made otherwise ({'; '.join(differences)}); give another "
                "--out, or remove it"
            )
    else:
        write_json(path, record)


def differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """`name: before, now` of each key whose values are not the same."""
    return [
        f"{name}: {before.get(name)!r}, now {now.get(name)!r}"
        for name in dict.fromkeys([*before, *now])
        if before.get(name) != now.get(name)
    ]


Group = list[tuple[Task, int, str]]  # completions that came together


def _ask_engine(
    benchmark: Benchmark,
    missing: Sequence[tuple[Task, int]],
    engine: "Engine",
    params: "SamplingParams",
    max_prompt_tokens: int | None,
    chat: "Chat | None" = None,
) -> Iterator[Group]:
    """A batch of tasks at a time. The samples of a task come together, and depend on nothing but it and the seed."""
    wanted: dict[str, list[int]] = {}
    tasks: dict[str, Task] = {}
    for task, index in missing:
        tasks[task.task_id] = task
        wanted.setdefault(task.task_id, []).append(index)
    if chat is not None:
        prompts = {name: _chat_ids(chat, task, benchmark.opening or "") for name, task in tasks.items()}
    else:
        prompts = {
            name: _prompt_ids(benchmark, task, engine, params, max_prompt_tokens) for name, task in tasks.items()
        }
    by_length = iter(sorted(tasks, key=lambda name: len(prompts[name])))
    at_once = max(engine.batch_size // params.num_samples, 1)
    while names := list(islice(by_length, at_once)):
        infilling = tasks[names[0]].suffix is not None
        completions = engine.generate([prompts[name] for name in names], params, infilling=infilling)
        yield [
            (tasks[name], index, several[index].text)
            for name, several in zip(names, completions, strict=True)
            for index in wanted[name]
        ]


def _chat_ids(chat: "Chat", task: Task, opening: str) -> list[int]:
    from chaku.tokens.chat import Message

    return chat.prompt([Message("user", task.prompt)], opening)


def _prompt_ids(
    benchmark: Benchmark, task: Task, engine: "Engine", params: "SamplingParams", max_prompt_tokens: int | None
) -> list[int]:
    from chaku.inference.prompts import complete, infill

    if task.suffix is None:
        ids = complete(engine.tokenizer, task.prompt)
        begin = len(engine.tokenizer.begin)
        if max_prompt_tokens is not None and len(ids) - begin > max_prompt_tokens:
            ids = ids[:begin] + ids[len(ids) - max_prompt_tokens :]
        return ids
    header: list[int] = []
    if benchmark.repository:
        from chaku.inference.repository import repository_header

        header = repository_header(engine.tokenizer, benchmark.repository, task.data["path"])
    room = engine.model.config.max_position_embeddings - params.max_tokens - len(header)
    sides = (task.prompt, task.suffix)
    return infill(engine.tokenizer, *sides, mode=benchmark.mode, max_length=max(room, 8), header=header)


def _ask_endpoint(missing: Sequence[tuple[Task, int]], endpoint: Endpoint, params: "SamplingParams") -> Iterator[Group]:
    """Many requests at a time, each for one sample, whose seed is the run's plus its index."""

    def ask(task: Task, index: int) -> Group:
        text = endpoint.complete(
            task.prompt,
            task.suffix,
            max_tokens=params.max_tokens,
            temperature=params.temperature,
            top_p=params.top_p,
            stop=params.stop,
            seed=params.seed + index,
        )
        return [(task, index, text)]

    pairs = iter(missing)
    with ThreadPoolExecutor(REQUESTS_AT_ONCE) as pool:
        running = {pool.submit(ask, task, index) for task, index in islice(pairs, REQUESTS_AT_ONCE)}
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            running |= {pool.submit(ask, task, index) for task, index in islice(pairs, len(done))}
            for request in done:
                yield request.result()
