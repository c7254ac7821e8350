"""The benchmarks by name."""

from chaku.errors import ChakuError
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

BENCHMARKS: dict[str, Benchmark] = {
    benchmark.name: benchmark
    for benchmark in (
        FIRST_STEPS,
        *(HUMANEVAL, HUMANEVAL_PLUS),
        *(MBPP, MBPP_ZERO_SHOT, MBPP_SANITIZED, MBPP_PLUS),
        *HUMANEVAL_X,
        *MULTIPL_E,
        *MULTIPL_FIM,
        *APPS,
        *INFILLING,
        *CRUXEVAL,
        *BIGCODEBENCH,
        LIVECODEBENCH,
        DOCSTRINGS,
        *NEXT_LINE,
        *(EXERCISES, EXERCISES_SAMPLED),
    )
}
# On held-out documents of a corpus; run by `measures.py`.
HELDOUT_MEASURES = ("bits_per_byte", "infilling", "perplexity", "key_retrieval")


def find_benchmark(name: str) -> Benchmark:
    """Raises ChakuError, with the names that there are, for another, and for a measure that takes no samples."""
    if name in HELDOUT_MEASURES:
        raise ChakuError(f"{name} is measured on a model itself, not on samples: chaku eval run MODEL")
    if name not in BENCHMARKS:
        raise no_such_benchmark(name, tuple(BENCHMARKS))
    return BENCHMARKS[name]


def no_such_benchmark(name: str, names: tuple[str, ...] = (*HELDOUT_MEASURES, *BENCHMARKS)) -> ChakuError:
    return ChakuError(f"there is no benchmark {name!r}; there are {', '.join(names)}")
