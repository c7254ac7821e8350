"""Lists all benchmarks, by family and by name."""

from chaku.errors import ChakuError, did_you_mean
from chaku.evals.benchmark import Benchmark
from chaku.evals.benchmarks.apps import APPS
from chaku.evals.benchmarks.bigcodebench import BIGCODEBENCH
from chaku.evals.benchmarks.cruxeval import CRUXEVAL
from chaku.evals.benchmarks.docstrings import DOCSTRINGS
from chaku.evals.benchmarks.evalplus import HUMANEVAL_PLUS, MBPP_PLUS
from chaku.evals.benchmarks.exercises import EXERCISES, EXERCISES_SAMPLED
from chaku.evals.benchmarks.first_steps import FIRST_STEPS
from chaku.evals.benchmarks.humaneval import HUMANEVAL
from chaku.evals.benchmarks.humaneval_infilling import INFILLING
from chaku.evals.benchmarks.humaneval_x import HUMANEVAL_X
from chaku.evals.benchmarks.livecodebench import LIVECODEBENCH
from chaku.evals.benchmarks.mbpp import MBPP, MBPP_SANITIZED, MBPP_ZERO_SHOT
from chaku.evals.benchmarks.multipl_e import MULTIPL_E
from chaku.evals.benchmarks.multipl_fim import MULTIPL_FIM
from chaku.evals.benchmarks.next_line import NEXT_LINE

# (description, benchmarks)
FAMILIES: tuple[tuple[str, tuple[Benchmark, ...]], ...] = (
    ("Short Python functions that come with chaku", (FIRST_STEPS,)),
    (
        "Python functions from their docstrings, judged by tests; -plus tests many more inputs",
        (HUMANEVAL, HUMANEVAL_PLUS),
    ),
    (
        "Python functions from a sentence and examples, judged by asserts",
        (MBPP, MBPP_ZERO_SHOT, MBPP_SANITIZED, MBPP_PLUS),
    ),
    ("HumanEval in other languages, translated by hand", HUMANEVAL_X),
    ("HumanEval and MBPP in other languages, translated by a program", MULTIPL_E),
    ("Python programs that solve problems from programming contests", (*APPS, LIVECODEBENCH)),
    ("Python functions that use many libraries", BIGCODEBENCH),
    ("-o: the output of a Python function for an input; -i: an input for an output; -cot: with reasoning", CRUXEVAL),
    ("Infilling: a hidden line, several lines, or a random span of HumanEval's solutions", INFILLING),
    ("Infilling: a hidden line of JavaScript or Java, judged by exact match and tests", MULTIPL_FIM),
    ("Docstrings of Python functions, judged by BLEU", (DOCSTRINGS,)),
    ("The next line of long files", NEXT_LINE),
    ("Synthetic Python exercises, like those that chaku's rehearsal trains on", (EXERCISES, EXERCISES_SAMPLED)),
)
BENCHMARKS: dict[str, Benchmark] = {benchmark.name: benchmark for _, family in FAMILIES for benchmark in family}
# Measures on held-out documents of a corpus; `heldout/measures.py` runs them.
HELDOUT_MEASURES = ("bits_per_byte", "infilling", "perplexity", "key_retrieval")


def find_benchmark(name: str) -> Benchmark:
    """The benchmark of that name. Raises ChakuError for an unknown name, and for a measure that has no samples."""
    if name in HELDOUT_MEASURES:
        raise ChakuError(
            f"{name} is measured on a model, not on samples: run `chaku eval run MODEL --benchmark {name}`"
        )
    if name not in BENCHMARKS:
        raise no_such_benchmark(name, tuple(BENCHMARKS))
    return BENCHMARKS[name]


def no_such_benchmark(name: str, names: tuple[str, ...] = (*HELDOUT_MEASURES, *BENCHMARKS)) -> ChakuError:
    return ChakuError(f"there is no benchmark {name!r}{did_you_mean(name, names)} (`chaku eval list` lists all)")
