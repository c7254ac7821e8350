"""Samples a benchmark's problems, and stores the samples as they arrive."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaku.console import progress
from chaku.errors import ChakuError
from chaku.evals.benchmark import Benchmark, Task, tasks_sha256
from chaku.evals.samples import Sample
from chaku.files import sha256_json
from chaku.inference.generator import (
    ChatPrompt,
    Generator,
    InfillPrompt,
    RepositoryFile,
    Request,
    SamplingParams,
    TextPrompt,
    answer_all,
)
from chaku.journal import Journal
from chaku.manifest import claim, versions
from chaku.tokens.chat import Chat, Message


@dataclass(frozen=True)
class Sampling:
    """The options of sampling. `max_tokens` None: the benchmark's, or half of the context if that is less.

    `max_prompt_tokens`: a longer prompt loses its beginning (None: the model reads as much as its context holds).
    """

    temperature: float = 0.0
    top_p: float = 1.0
    num_samples: int = 1
    seed: int = 0
    max_tokens: int | None = None
    max_prompt_tokens: int | None = None

    def params(self, benchmark: Benchmark, context: int | None) -> SamplingParams:
        """The sampling parameters for a benchmark. `context`: the model's context in tokens; None when unknown.

        Raises ChakuError for a value out of range.
        """
        if self.max_prompt_tokens is not None and self.max_prompt_tokens < 1:
            raise ChakuError(f"max_prompt_tokens is {self.max_prompt_tokens}; it must be at least 1")
        fitting = benchmark.max_tokens if context is None else min(benchmark.max_tokens, context // 2)
        return SamplingParams(
            max_tokens=fitting if self.max_tokens is None else self.max_tokens,
            temperature=self.temperature,
            top_p=self.top_p,
            stop=benchmark.stops,
            seed=self.seed,
            num_samples=self.num_samples,
            healing=benchmark.healing,
        )


GREEDY = Sampling()


def generate_samples(
    benchmark: Benchmark, tasks: Sequence[Task], generator: Generator, sampling: Sampling, out: Path
) -> tuple[list[Sample], dict[str, Any]]:
    """Samples of the tasks in the benchmark's test split, in order, and the manifest of their generation.

    Stores samples in OUT/completions.jsonl as they arrive; a run that resumes after a kill asks only for the missing
    samples. Raises ChakuError when OUT holds completions with another manifest, for a problem without a prompt, and for
    a request that the generator refuses.
    """
    tasks = [task for task in tasks if task.in_split]
    if unasked := next((task.task_id for task in tasks if not task.prompt and task.suffix is None), None):
        raise ChakuError(
            f"{benchmark.name}: the file of problems has no prompt ({benchmark.prompt_form}) for {unasked}; give "
            "the benchmark's published file with --problems"
        )
    params = sampling.params(benchmark, generator.context)
    wanted = {
        (task.task_id, index): Request(prompt, params, index)
        for task in tasks
        for prompt in [_prompt(benchmark, task, sampling.max_prompt_tokens)]
        for index in range(params.num_samples)
    }
    if wanted:
        try:
            generator.check(next(iter(wanted.values())))
        except ChakuError as error:
            raise ChakuError(f"{benchmark.name}: {error}") from error
    record = {**generator.record, "prompt_form": benchmark.prompt_form, **params.record()}
    record["max_prompt_tokens"] = sampling.max_prompt_tokens
    if benchmark.opening is not None and generator.tokenizer is not None:
        template = Chat(generator.tokenizer).template
        record |= {"chat_template_sha256": sha256_json(template), "opening": benchmark.opening}
    if benchmark.mode is not None:
        record["mode"] = "the endpoint's own" if generator.tokenizer is None else benchmark.mode
    claim(out / "completions.json", {**versions(), **record, "tasks_sha256": tasks_sha256(tasks)})
    tasks_by_id = {task.task_id: task for task in tasks}
    with ExitStack() as stack:
        journal = stack.enter_context(Journal(out / "completions.jsonl"))
        texts = {(row["task_id"], row["index"]): row["completion"] for row in journal.rows}
        missing = [key for key in wanted if key not in texts]
        done = len(wanted) - len(missing)
        bar = stack.enter_context(progress(f"{benchmark.name}: samples", len(wanted), "samples", initial=done))
        for answers in answer_all(generator, [wanted[key] for key in missing]):
            rows = []
            for number, completion in answers:
                task_id, index = missing[number]
                rows.append(_row(benchmark, tasks_by_id[task_id], index, completion.text))
            journal.append(rows)
            texts |= {(row["task_id"], row["index"]): row["completion"] for row in rows}
            bar.advance(len(rows))
    return [Sample(task_id, index, texts[task_id, index]) for task_id, index in wanted], record


def _prompt(benchmark: Benchmark, task: Task, max_prompt_tokens: int | None) -> TextPrompt | InfillPrompt | ChatPrompt:
    if benchmark.opening is None and task.suffix is None:
        return TextPrompt(task.prompt, max_prompt_tokens)
    if max_prompt_tokens is not None:
        raise ChakuError(
            f"{benchmark.name}: --max-prompt-tokens works only for prompts to complete, not for infilling or chat; "
            "leave it out"
        )
    if benchmark.opening is not None:
        return ChatPrompt((Message("user", task.prompt),), benchmark.opening)
    assert task.suffix is not None
    file = RepositoryFile(benchmark.repository, task.data["path"]) if benchmark.repository else None
    return InfillPrompt(task.prompt, task.suffix, benchmark.mode, file)


def _row(benchmark: Benchmark, task: Task, index: int, text: str) -> dict[str, Any]:
    """A line of completions.jsonl. For a chat it also has the whole reply, which can be extracted again."""
    row = {"task_id": task.task_id, "index": index}
    if benchmark.opening is None:
        return {**row, "completion": benchmark.cut_text(task, text)}
    reply = benchmark.opening + text
    return {**row, "completion": benchmark.cut_text(task, reply), "reply": reply}
