"""A page for every benchmark family: where its file comes from, how a model is asked, and how an answer is judged."""

import os
import sys
from collections.abc import Iterator
from types import ModuleType

from chaku.errors import ChakuError
from chaku.evals.benchmark import Benchmark
from chaku.evals.suite import BENCHMARKS, HELDOUT_MEASURES
from docs.generate.markdown import cell, code, table, words

INDEX = """# Benchmarks

`chaku eval list` prints these names, and which of them this machine can run. [How to score a
model](../../howto/score.md) begins with one of them; [the protocols side by side](../../evals.md#protocols) has the
rules that all of them share.

"""


def pages() -> dict[str, str]:
    """Every page's Markdown by its path below reference/benchmarks/."""
    found: dict[str, str] = {}
    rows = []
    for module, benchmarks in families():
        name = module.__name__.rpartition(".")[2].replace("_", "-")
        title, _, about = (module.__doc__ or "").strip().partition("\n")
        found[f"{name}.md"] = page(title, about, benchmarks)
        rows.append((f"[{title.partition(':')[0].rstrip('.')}]({name}.md)", ", ".join(short_names(benchmarks))))
    names = ", ".join(map(code, HELDOUT_MEASURES))
    measures = f"\nHeld-out measures on a corpus, which have no samples: {names}.\n"
    found["index.md"] = INDEX + table(["", "names"], rows) + measures
    return found


def families() -> Iterator[tuple[ModuleType, list[Benchmark]]]:
    """The files of `chaku.evals.benchmarks` that define benchmarks, with these, in the order of `chaku eval list`."""
    by_module: dict[str, list[Benchmark]] = {}
    modules = {
        name: module for name, module in sys.modules.items() if name.startswith("chaku.evals.benchmarks.") and module
    }
    for benchmark in BENCHMARKS.values():
        home = next(
            name
            for name, module in modules.items()
            if any(
                benchmark is value or (isinstance(value, tuple) and benchmark in value)
                for value in vars(module).values()
            )
        )
        by_module.setdefault(home, []).append(benchmark)
    for name, benchmarks in by_module.items():
        yield modules[name], benchmarks


def defines(module: ModuleType, benchmark: Benchmark) -> bool:
    """Whether a name of the module is the benchmark, or a tuple with it."""
    return any(
        benchmark is value or (isinstance(value, tuple) and benchmark in value) for value in vars(module).values()
    )


def page(title: str, about: str, benchmarks: list[Benchmark]) -> str:
    """One page."""
    first = benchmarks[0]
    parts = [f"# {title.partition(':')[0].rstrip('.')}\n\n{words(title.rstrip())}\n{words(about)}\n"]
    parts.append(f"```sh\nchaku eval run MODEL --benchmark {first.name} --out results/{first.name}\n```\n")
    if where := where_from(first):
        parts.append(f"**Problems.** {cell(where)}.\n")
    parts.append(f"**Prompt.** {cell(first.prompt_form)}.\n")
    rows = [
        (
            code(benchmark.name),
            ", ".join(dict.fromkeys(benchmark.languages)),
            " ".join(code(repr(stop)[1:-1]) for stop in benchmark.stops) or "its own end",
            benchmark.max_tokens,
            f"{benchmark.timeout:g} s, {benchmark.memory_mb:,} MB" if benchmark.jobs else "nothing runs",
            "yes" if benchmark.chat else "no",
        )
        for benchmark in benchmarks
    ]
    head = ["name", "language", "a sample ends at", "tokens at most", "limits of a program", "`--chat`"]
    return "\n".join([*parts, table(head, rows)])


def where_from(benchmark: Benchmark) -> str:
    """What chaku says where the problems are missing; nothing for those that come with chaku."""
    kept = os.environ.pop("CHAKU_BENCHMARKS", None)
    try:
        benchmark.load(None)
    except ChakuError as error:
        return str(error)
    finally:
        if kept is not None:
            os.environ["CHAKU_BENCHMARKS"] = kept
    return ""


def short_names(benchmarks: list[Benchmark]) -> list[str]:
    """At most six names, and how many more there are."""
    names = [code(benchmark.name) for benchmark in benchmarks]
    return names if len(names) <= 6 else [*names[:5], f"and {len(names) - 5} more"]
