"""MultiPL-E: HumanEval and MBPP in other languages (Cassano et al. 2022, arXiv 2208.08227).

Translators wrote the prompts and tests. Program: the prompt without white space at its end, the completion, the tests.
The set has no reference solutions to run before scoring. Instead, a wrong completion is run, whose body raises an
error: if it passed, or did not compile, the tests would not have run.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from chaku.evals.benchmark import Benchmark, Task, cut_at, unique_tasks
from chaku.evals.benchmarks.evalplus_chat import evalplus_chat
from chaku.evals.benchmarks.multipl_e_chat import function_name, program_of_reply
from chaku.evals.benchmarks.problem_files import find_file, read_rows
from chaku.sandbox.verdict import Job


@dataclass(frozen=True)
class MultiplELanguage:
    """A language: MultiPL-E's short name, the sandbox's name, the stop strings, and a body that raises an error."""

    short: str
    name: str
    stops: tuple[str, ...]
    wrong: str


# Stop strings from the translators of nuprl/MultiPL-E, for rows without their own `stop_tokens`. When a stop string is
# the end of the function, the tests begin with this end.
LANGUAGES = (
    MultiplELanguage("cpp", "cpp", ("\n}",), "\n    throw 1;"),
    MultiplELanguage("cs", "csharp", ("\n    }\n",), "\n        throw new Exception();"),
    MultiplELanguage(
        "d", "d", ("\n\n", "\nvoid", "\nbool", "\nint"), "\n{\n    assert(false);\n}"
    ),  # the prompt ends in `)`
    MultiplELanguage("go", "go", ("\nfunc", "struct", "\n// "), '\n    panic("wrong")\n}'),
    MultiplELanguage("java", "java", ("\n    }\n",), "\n        throw new RuntimeException();"),
    MultiplELanguage("js", "javascript", ("\nfunction ", "\n/*", "\n//", "\nconsole.log"), "\n  throw new Error();\n}"),
    MultiplELanguage("lua", "lua", ("\nlocal", "\nfunction", "\n--", "\n\n"), "\n    error('wrong')\nend"),
    MultiplELanguage("php", "php", ("\nfunction", "\n?>", "\n//", "\n#"), "\n    throw new Exception();\n}"),
    MultiplELanguage("pl", "perl", ("\nsub", "\n#", "\n\n"), "\n    die 'wrong';\n}"),
    MultiplELanguage("r", "r", ("\n#", "\n```"), "\n    stop('wrong')\n}"),
    MultiplELanguage("rb", "ruby", ("\nclass", "\ndef", "\n#", "\n\n"), "\n  raise 'wrong'\nend"),
    MultiplELanguage("rs", "rust", ("\n}",), "\n    panic!();"),
    MultiplELanguage("scala", "scala", ("\n    }\n",), "\n        throw new Exception()"),
    MultiplELanguage("sh", "bash", ("\n}",), "\n    exit 1"),
    MultiplELanguage(
        "ts",
        "typescript",
        ("\nfunction ", "\n/*", "\n//", "\nconsole.log", "\nclass"),
        "\n  throw new Error();\n}",
    ),
)


TITLES = {"cpp": "C++", "csharp": "C#", "javascript": "JavaScript", "php": "PHP", "typescript": "TypeScript"}


def load_multipl_e(origin: str, language: MultiplELanguage, path: Path | None = None) -> list[Task]:
    """The problems of one language, in the file's order. `origin`: the translated set, humaneval or mbpp."""
    url = f"https://huggingface.co/datasets/nuprl/MultiPL-E ({origin}-{language.short}, as JSON lines)"
    path = find_file(path, f"multipl-e/{origin}-{language.short}.jsonl", url)
    tasks = [
        Task(
            task_id=row["name"],
            prompt=row["prompt"].rstrip(),
            data={
                "prompt": row["prompt"].rstrip(),
                "tests": row["tests"],
                "stops": tuple(row.get("stop_tokens") or language.stops),
            },
        )
        for row in read_rows(path, ("name", "prompt", "tests"))
    ]
    return unique_tasks(tasks, str(path))


def _benchmark(origin: str, language: MultiplELanguage) -> Benchmark:
    def program_jobs(task: Task, program: str) -> list[Job]:
        prompt, tests = task.data["prompt"], (task.data["tests"],)
        return [Job(program, language.name, tests, prelude=prompt, entry_point=function_name(prompt))]

    return Benchmark(
        name=f"multipl-e-{'mbpp-' if origin == 'mbpp' else ''}{language.short}",
        load=partial(load_multipl_e, origin, language),
        prompt_form="zero-shot, stripped at the end",
        jobs=lambda task, completion: program_jobs(task, task.prompt + completion),
        stops=language.stops,
        cut=lambda task, text: cut_at(text, task.data["stops"]),
        timeout=15.0,  # MultiPL-E's, by the clock
        wrong=lambda task: language.wrong,
        languages=(language.name,),
        chat=evalplus_chat(
            program_jobs,
            extract=program_of_reply,
            problem=lambda task: task.prompt,
            program=lambda task, completion: f"{task.data['prompt']}{completion}",
            language=TITLES.get(language.name, language.name.capitalize()),
            fence=language.name,
            stops=("<|endoftext|>", "<|endofmask|>", "</s>", "\n```\n"),
        ),
    )


MULTIPL_E = tuple(_benchmark(origin, language) for origin in ("humaneval", "mbpp") for language in LANGUAGES)
