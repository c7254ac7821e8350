"""Measures the stages of a run: benchmarks, questions about the shop, samples."""

import time

from chaku.checkpoint.find import find_checkpoint
from chaku.checkpoint.formats import open_checkpoint
from chaku.console import say
from chaku.files import read_json, sha256_json, write_json
from chaku.inference.engine import Engine
from chaku.inference.generator import SamplingParams
from chaku.inference.prompts import complete, infill
from chaku.pipeline.evaluation import evaluate_stage
from chaku.pipeline.run_directory import Run, Work
from chaku.pipeline.shop import ask_shop
from chaku.pipeline.training import check_weights
from chaku.recipe.schema import BASE_MODEL
from chaku.tokens.tokenizer import Tokenizer

SAMPLE_TOKENS = 64  # in the completion and the infill at the end of a run
COMPLETE_PROMPT = 'def read_lines(path):\n    """Return the lines of a file."""\n'
INFILL_PROMPT = ("def largest(values):\n    best = None\n    for value in values:\n", "    return best\n")


def checkpoint(run: Run, name: str) -> str:
    """The directory of a stage's weights; the base model's for the name "model"."""
    return run.recipe.model.path or "" if name == BASE_MODEL else str(run.directory / "stages" / name)


def stage_engine(run: Run, name: str) -> Engine:
    """The engine of a stage, with the tokenizer that the stage saved, which may have a chat template.

    Raises ChakuError when the stage's weights changed after its training.
    """
    if name != BASE_MODEL:
        check_weights(run.directory / "stages" / name)
    return run.engines.open(find_checkpoint(checkpoint(run, name)))


def evaluate(run: Run, fingerprints: dict[str, str]) -> None:
    """Run the recipe's benchmarks on each stage of `evals.stages`."""
    stages = run.recipe.stages
    longest = max((_training_length(run, name) for name in run.recipe.evals.stages if name in stages), default=0)
    for name in run.recipe.evals.stages:
        started = time.monotonic()
        done = evaluate_stage(
            stage_engine(run, name),
            name,
            run.recipe.evals,
            run.directory / "corpus",
            run.directory / "evals" / name,
            training_length=_training_length(run, name),
            longest_length=longest,
            fingerprint=fingerprints[name],
        )
        if done:
            run.record_time(f"evaluate {name}", time.monotonic() - started, Work(done, "benchmarks"))


def _training_length(run: Run, name: str) -> int:
    if name in run.recipe.stages:
        return run.recipe.stages[name].sequence_length
    return open_checkpoint(checkpoint(run, name)).config.max_position_embeddings


def ask_about_shop(run: Run, learnt: list[str], fingerprints: dict[str, str]) -> None:
    """Measure the answers about the shop of the stages in `learnt`; measure the parent of each of them first."""
    if (shop := run.recipe.shop) is None:
        return
    base = BASE_MODEL if run.recipe.model.path else None
    pairs = [(run.recipe.stages[stage].parent or base, stage) for stage in learnt]
    for name in dict.fromkeys(name for pair in pairs for name in pair if name):
        started = time.monotonic()
        inputs = sha256_json([fingerprints[name], read_json(run.directory / "shop" / "inputs.json")["fingerprint"]])
        path = run.directory / "evals" / name / "shop.json"
        engine, instructed = stage_engine(run, name), name not in learnt
        if ask_shop(shop, engine, name, run.directory / "shop", path, inputs, instructed=instructed):
            run.record_time(f"ask {name} about the shop", time.monotonic() - started, Work(1, "benchmarks"))


def write_samples(run: Run, tokenizer: Tokenizer, fingerprints: dict[str, str]) -> None:
    """Write a completion and infills by each evaluated stage into samples.json; print the last sample of each kind."""
    path = run.directory / "samples.json"
    if path.exists() and {entry["stage"]: entry["fingerprint"] for entry in read_json(path)} == fingerprints:
        return
    samples: list[dict[str, str]] = []
    for name in run.recipe.evals.stages:
        engine = stage_engine(run, name)
        room = min(SAMPLE_TOKENS, engine.model.config.max_position_embeddings // 2)
        params = SamplingParams(max_tokens=room, temperature=0.2, top_p=0.95, seed=run.recipe.seed)
        [[completion]] = engine.generate([complete(tokenizer, COMPLETE_PROMPT)], params)
        about = {"stage": name, "fingerprint": fingerprints[name]}
        samples.append({**about, "kind": "complete", "prefix": COMPLETE_PROMPT, "text": completion.text})
        if tokenizer.infilling is None or (name in run.recipe.stages and run.recipe.stages[name].infilling is None):
            continue
        prefix, suffix = INFILL_PROMPT
        for mode in tokenizer.infilling.modes:
            [[middle]] = engine.generate([infill(tokenizer, prefix, suffix, mode=mode)], params)
            infilled = {"prefix": prefix, "middle": middle.text, "suffix": suffix}
            samples.append({**about, "kind": "infill", "mode": mode, **infilled})
    write_json(path, samples)
    for sample in {sample["kind"]: sample for sample in samples}.values():
        written = sample.get("text", sample.get("middle", ""))
        say(f"--- {sample['kind']} by {sample['stage']}: the model wrote the text between >>> and <<<")
        say(f"{sample['prefix']}>>>{written}<<<{sample.get('suffix', '')}")
