"""Run benchmarks by name: the one place that knows each one's settings and what goes into its manifest."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from chaku.console import say
from chaku.errors import ChakuError
from chaku.evals import bits_per_byte, first_steps, humaneval, infilling, key_retrieval, perplexity
from chaku.evals.heldout import heldout_sha256
from chaku.evals.manifest import manifest, weights_sha256
from chaku.evals.problems import GREEDY, problems_sha256
from chaku.files import read_json, sha256_json, write_json
from chaku.inference.engine import Engine
from chaku.recipe import BENCHMARKS, Evals
from chaku.sandbox.bubblewrap import check_sandbox

PROGRAMS = ("first_steps", "humaneval")  # these run what the model writes
LENGTHS = (1 / 8, 1 / 4, 1 / 2, 1, 3 / 2)  # of the longest training length: where keys are hidden
MAX_TOKENS = 200  # of a program; a HumanEval solution takes 68 in the median with Llama's vocabulary


def evaluate_model(
    engine: Engine,
    benchmark: str,
    settings: Evals,
    corpus: Path | None,
    training_length: int,
    longest_length: int | None = None,
) -> dict[str, Any]:
    """One benchmark on one model: `benchmark`, `results` and `manifest`.

    `training_length`: tokens of the sequences that the model was last trained on. `longest_length`: of the longest
    in its family, from which the lengths of the long-context benchmarks follow, so that they can be compared.
    Raises ChakuError for an unknown benchmark, one that needs a corpus and has none, and where it cannot be run.
    """
    if benchmark not in BENCHMARKS:
        raise ChakuError(f"there is no benchmark {benchmark!r}; there are {', '.join(BENCHMARKS)}")
    longest = longest_length or training_length
    about: dict[str, Any] = {}
    if benchmark in PROGRAMS:
        module = first_steps if benchmark == "first_steps" else humaneval
        problems = first_steps.load_first_steps() if benchmark == "first_steps" else humaneval.load_humaneval()
        room = engine.model.config.max_position_embeddings // 2
        params = replace(GREEDY, max_tokens=min(MAX_TOKENS, room))
        results = module.evaluate(engine, params=params)
        about = {"data_sha256": problems_sha256(problems), "prompt_form": module.PROMPT_FORM, "sampling": params}
    else:
        if corpus is None:
            raise ChakuError(f"{benchmark} is measured on held-out documents; give --corpus DIRECTORY")
        about = {"data_sha256": heldout_sha256(corpus)}
        if benchmark == "bits_per_byte":
            context = engine.model.config.max_position_embeddings
            results = bits_per_byte.evaluate(engine, corpus, max_bytes=settings.max_bytes_per_language)
            about |= {"context": context, "max_bytes_per_language": settings.max_bytes_per_language}
        elif benchmark == "infilling":
            results = infilling.evaluate(engine, corpus, num_examples=settings.num_examples)
            about |= {"sampling": infilling.PARAMS, "prompt_form": "psm, spm, left to right"}
        elif benchmark == "perplexity":
            results = perplexity.evaluate(
                engine,
                corpus,
                training_length=training_length,
                max_length=4 * longest,
                num_documents=settings.num_long_documents,
            )
        else:
            lengths = [int(longest * part) for part in LENGTHS]
            results = key_retrieval.evaluate(
                engine,
                corpus,
                training_length=training_length,
                lengths=lengths,
                num_examples=settings.retrieval_examples,
            )
    record = manifest(model_sha256=weights_sha256(engine.model), tokenizer_sha256=engine.tokenizer.sha256, **about)
    return {"benchmark": benchmark, "results": results, "manifest": record}


def evaluate_stage(
    engine: Engine,
    stage: str,
    settings: Evals,
    corpus: Path,
    out: Path,
    *,
    training_length: int,
    longest_length: int,
    fingerprint: str,
) -> int:
    """All benchmarks of a recipe on one stage, each into OUT/BENCHMARK.json; what was done from the same inputs stays.

    Returns how many were run. A benchmark that this machine cannot run (no sandbox, no problem file) is left out, and
    that is said.
    """
    inputs = sha256_json([fingerprint, asdict(settings), training_length, longest_length])
    done = 0
    for benchmark in settings.benchmarks:
        path = out / f"{benchmark}.json"
        if path.exists() and read_json(path).get("inputs") == inputs:
            continue
        if benchmark in PROGRAMS and (problem := why_not(benchmark)):
            say(f"{stage}: {benchmark} is NOT measured: {problem}")
            path.unlink(missing_ok=True)
            continue
        result = evaluate_model(engine, benchmark, settings, corpus, training_length, longest_length)
        write_json(path, {**result, "stage": stage, "inputs": inputs})
        done += 1
        say(f"{stage}: {benchmark} {in_a_line(benchmark, result['results'])}")
    return done


def why_not(benchmark: str) -> str | None:
    """What is missing here for a benchmark that runs programs; None when nothing is."""
    if problem := check_sandbox():
        return problem
    if benchmark == "humaneval":
        try:
            humaneval.find_humaneval()
        except ChakuError as error:
            return str(error)
    return None


def in_a_line(benchmark: str, results: dict[str, Any]) -> str:
    """The result that matters most, for the terminal."""
    if benchmark == "bits_per_byte":
        overall = results["overall"]
        return f"{overall['bits_per_byte']:.3f} (xz {overall['xz_bits_per_byte']:.3f})"
    if benchmark == "infilling":
        modes = [mode for mode in ("psm", "spm", "left_to_right") if mode in results]
        return ", ".join(f"{mode} {results[mode]['exact_match']:.1%}" for mode in modes)
    if benchmark == "perplexity":
        ends = zip(results["edges"][1:], results["perplexity"], strict=True)
        return ", ".join(f"{value:.1f} to {end:,}" for end, value in ends)
    if benchmark == "key_retrieval":
        cells = [cell for row in results["forced_accuracy"] for cell in row]
        return f"ranked first {sum(cells) / len(cells):.1%} of the time (chance 1.1%)"
    return f"{results['num_passed']} of {results['num_problems']} passed"
