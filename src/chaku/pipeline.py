"""Run a recipe: corpus, tokenizer, tokens, stages, evals, report. What is done is skipped; what was cut off goes on."""

import dataclasses
import fcntl
import json
import platform
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import chaku
from chaku.chat_sets import (
    FOLDER,
    all_chat_names,
    chat_names,
    describe_sets,
    encode_set,
    epoch_tokens,
    in_run,
    open_sets,
    set_inputs,
    stage_chat,
    with_end,
)
from chaku.checkpoint.formats import load_model, open_checkpoint, sha256_checkpoint
from chaku.checkpoint.huggingface import find_checkpoint, save_model
from chaku.checkpoint.peft import load_adapter, save_adapter
from chaku.console import Bar, progress, say, short
from chaku.corpus.build import build_corpus, show_summary
from chaku.corpus.documents import read_documents
from chaku.errors import ChakuError
from chaku.evals.stage import evaluate_stage
from chaku.files import read_json, remove_directory, sha256_file, sha256_json, write_json
from chaku.inference.engine import Engine
from chaku.inference.prompts import complete, infill
from chaku.inference.sampling import SamplingParams
from chaku.instruct.step import Instruct, run_instruct
from chaku.model import PRESETS, Llama, LlamaConfig
from chaku.model.lora import add_lora, merge_lora
from chaku.recipe import DocumentSet, Recipe, Stage, shop_stages, stage_order, stage_shape
from chaku.report import write_report
from chaku.sql.stage import ask_shop, make_shop
from chaku.tokens.loader import ChatSet, PackedDataset, TokenSet
from chaku.tokens.store import TokenStore, encode_corpus
from chaku.tokens.tokenizer import Tokenizer, extend_for_infilling
from chaku.tokens.tokenizer_training import train_tokenizer
from chaku.training.dpo import with_reference
from chaku.training.speed import measure_training_speed
from chaku.training.trainer import batch_rows, num_steps, train

HELDOUT_ROWS = 8  # sequences a set in the held-out loss that is logged during training
INFILLING_PIECES = 16  # that `extend_for_infilling` adds to Llama 2's vocabulary
SAMPLE_TOKENS = 64  # of the completion and the infill that a run ends with
SPEED_MARGIN = 0.85  # of the measured speed goes into the budget: logging, held-out loss and saving take the rest

COMPLETE_PROMPT = 'def read_lines(path):\n    """Return the lines of a file."""\n'
INFILL_PROMPT = ("def largest(values):\n    best = None\n    for value in values:\n", "    return best\n")


class Run:
    """A recipe and the directory that it fills."""

    def __init__(self, recipe: Recipe, directory: Path, device: torch.device):
        self.recipe = recipe
        self.directory = directory
        self.device = device

    def step(self, name: str, inputs: dict[str, Any], make: Callable[[Path], tuple[float, str]]) -> dict[str, Any]:
        """Make DIRECTORY/NAME by `make(path)` unless it was made from the same inputs; say why when it is made again.

        `make` returns how much it did, and the unit, for the report. Returns `inputs` with their fingerprint.
        """
        path = self.directory / name
        record = path / "inputs.json"
        fingerprinted = _fingerprinted(inputs)
        if record.exists():
            changed = _changed(read_json(record), fingerprinted)
            if not changed:
                say(f"{name}: done before")
                return fingerprinted
            say(f"{name}: made again, because {changed} changed")
        started = time.monotonic()
        record.unlink(missing_ok=True)  # from here until it is whole it is nobody's
        items, unit = make(path)
        write_json(record, fingerprinted)
        self.record_time(name, time.monotonic() - started, items, unit)
        return fingerprinted

    def record_time(self, name: str, seconds: float, items: float, unit: str) -> None:
        path = self.directory / "timings.json"
        timings = [each for each in read_json(path) if each["name"] != name] if path.exists() else []
        write_json(path, [*timings, {"name": name, "seconds": seconds, "items": items, "unit": unit}])


def run_recipe(recipe: Recipe, directory: Path, *, device: torch.device | None = None) -> Path:
    """Run every step of a recipe into `directory`; returns the path of the report.

    Safe to kill at any moment: the same call goes on from what is whole. Raises ChakuError for what the user can mend,
    Interrupted after a signal.
    """
    if recipe.num_threads:
        torch.set_num_threads(recipe.num_threads)
    run = Run(
        in_run(recipe, directory), directory, device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    )
    with only_one(directory):
        write_json(directory / "recipe.json", dataclasses.asdict(recipe))
        corpus: dict[str, Any] = {"fingerprint": None}
        if recipe.corpus.sources:
            corpus = run.step("corpus", {"corpus": dataclasses.asdict(recipe.corpus)}, lambda path: _build(run, path))
        tokenizer_inputs: dict[str, Any] = {"tokenizer": dataclasses.asdict(recipe.tokenizer)}
        if (given := _given_tokenizer(recipe)) is None:
            tokenizer_inputs["corpus"] = corpus["fingerprint"]
        else:
            tokenizer_inputs["sha256"] = given.sha256
        run.step("tokenizer", tokenizer_inputs, lambda path: _make_tokenizer(run, path))
        tokenizer = Tokenizer.load(directory / "tokenizer")
        tokens: dict[str, Any] = {"fingerprint": None}
        if recipe.corpus.sources:
            tokens = run.step(
                "tokens",
                {"corpus": corpus["fingerprint"], "tokenizer": tokenizer.sha256},
                lambda path: _encode(run, tokenizer, path),
            )
        if recipe.shop:
            shop_inputs = {"shop": dataclasses.asdict(recipe.shop), "seed": recipe.seed, "tokenizer": tokenizer.sha256}
            shop = recipe.shop
            run.step("shop", shop_inputs, lambda path: make_shop(shop, tokenizer, path, recipe.seed))
        conversations = {name: _encode_set(run, name, tokenizer) for name in all_chat_names(recipe)}
        base = _base_shape(recipe, tokenizer)
        budgets = token_budgets(run, base)
        fingerprints: dict[str, str] = {}
        for name in stage_order(recipe):
            stage = recipe.stages[name]
            training = dataclasses.replace(stage.training, tokens=budgets[name], share=None, epochs=None)
            stage = dataclasses.replace(stage, training=training)
            inputs = {
                "stage": _stage_fields(stage),
                "sets": {key: dataclasses.asdict(recipe.sets[key]) for key in stage.mixture},
                "tokens": tokens["fingerprint"],
                "model": dataclasses.asdict(stage_shape(recipe, name, base)),
                "seed": _stage_seed(recipe, name),
                "parent": fingerprints[stage.parent] if stage.parent else _base_fingerprint(recipe),
            }
            if chats := chat_names(recipe, stage):
                for each in chats:
                    if each not in conversations:  # made by this run
                        conversations[each] = _encode_set(run, each, tokenizer)
                inputs["conversations"] = {each: conversations[each] for each in chats}
            fingerprints[name] = _run_stage(run, name, stage, base, tokenizer, inputs)
            if recipe.instruct and recipe.instruct.stage == name:
                _write_instructions(run, recipe.instruct, fingerprints[name])
        _evaluate(run, fingerprints)
        _ask_shop(run, shop_stages(recipe), fingerprints)
        _write_samples(run, tokenizer, {name: fingerprints[name] for name in recipe.evals.stages})
        return write_report(directory)


@contextmanager
def only_one(directory: Path) -> Iterator[None]:
    """Hold the run directory's lock. Raises ChakuError when another process has it, or it cannot be written."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = (directory / ".lock").open("w")
    except OSError as error:
        raise ChakuError(f"cannot write the run directory {directory} ({error.strerror}); choose another") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ChakuError(
                f"another chaku is running in {directory}; wait for it, or choose another directory"
            ) from None
        yield


def _build(run: Run, path: Path) -> tuple[float, str]:
    corpus = run.recipe.corpus
    summary = build_corpus(
        corpus.sources,
        path,
        heldout_fraction=corpus.heldout_fraction,
        max_bytes=corpus.max_bytes,
        num_workers=corpus.num_workers,
    )
    show_summary(summary)
    return sum(row["bytes"] for row in summary["kept"]), "bytes"


def _make_tokenizer(run: Run, path: Path) -> tuple[float, str]:
    settings = run.recipe.tokenizer
    remove_directory(path)
    path.mkdir(parents=True)
    if (tokenizer := _given_tokenizer(run.recipe)) is not None:
        if any(stage.infilling for stage in run.recipe.stages.values()):
            tokenizer = extend_for_infilling(tokenizer)
        tokenizer.save(path)
        return 0, "bytes"
    used = 0

    def texts(bar: Bar) -> Iterator[str]:
        nonlocal used
        for document in read_documents(run.directory / "corpus", "train"):
            if used >= settings.train_bytes:
                return
            used += len(document.text)
            bar.advance(len(document.text))
            yield document.text

    with progress("tokenizer", settings.train_bytes, "bytes") as bar:
        train_tokenizer(texts(bar), settings.vocab_size or PRESETS["7b"].vocab_size).save(path)
    return used, "bytes"


def _given_tokenizer(recipe: Recipe) -> Tokenizer | None:
    """The tokenizer that the recipe names, else the base model's own; None where one is to be trained."""
    path = recipe.tokenizer.path or recipe.model.path
    return None if path is None else Tokenizer.load(find_checkpoint(path))


def _encode_set(run: Run, name: str, tokenizer: Tokenizer) -> str:
    inputs = set_inputs(run.recipe, name, tokenizer)
    made = run.step(f"{FOLDER}/{name}", inputs, lambda path: encode_set(run.recipe, name, tokenizer, path))
    return str(made["fingerprint"])


def _write_instructions(run: Run, settings: Instruct, stage: str) -> None:
    """`stage`: the fingerprint of the stage that writes."""
    inputs = {"instruct": dataclasses.asdict(settings), "stage": stage, "seed": run.recipe.seed}
    if settings.questions:
        inputs["questions"] = sha256_file(Path(settings.questions))

    def make(path: Path) -> tuple[float, str]:
        path.mkdir(parents=True, exist_ok=True)
        engine = _engine(run, settings.stage)
        return run_instruct(settings, engine, path, run.recipe.seed, sha256_json(inputs))

    run.step("instruct", inputs, make)


def _encode(run: Run, tokenizer: Tokenizer, path: Path) -> tuple[float, str]:
    stores = [encode_corpus(run.directory / "corpus", tokenizer, path, split=split) for split in ("train", "heldout")]
    return float(sum(int(store.lengths.sum()) for store in stores)), "tokens"


def _base_shape(recipe: Recipe, tokenizer: Tokenizer) -> LlamaConfig:
    if recipe.model.path is not None:
        shape = open_checkpoint(recipe.model.path).config
        missing = tokenizer.vocab_size - shape.vocab_size
        if missing == INFILLING_PIECES and tokenizer.prefix_id is not None:
            return dataclasses.replace(shape, vocab_size=tokenizer.vocab_size)
        # Qwen's and DeepSeek-Coder's embeddings have rows that none of their tokens uses.
        padded = missing < 0 and recipe.tokenizer.path is None
        if missing and not padded:
            raise ChakuError(
                f"{recipe.model.path} has a vocabulary of {shape.vocab_size}, but the tokenizer has "
                f"{tokenizer.vocab_size}; leave tokenizer.path out: the model's own tokenizer is then used"
            )
        return shape
    return dataclasses.replace(PRESETS[recipe.model.preset or ""], vocab_size=tokenizer.vocab_size)


def _base_fingerprint(recipe: Recipe) -> str:
    if recipe.model.path is None:
        return "random"
    return sha256_checkpoint(open_checkpoint(recipe.model.path).directory)


def token_budgets(run: Run, base: LlamaConfig) -> dict[str, int]:
    """Each stage's tokens: as the recipe says, or its share of the time budget at the speed measured here, once."""
    recipe = run.recipe
    budgets = {
        name: stage.training.tokens for name, stage in recipe.stages.items() if stage.training.tokens is not None
    }
    budgets |= {
        name: epoch_tokens(recipe, stage, run.directory)
        for name, stage in recipe.stages.items()
        if stage.training.epochs is not None
    }
    shared = {name: stage for name, stage in recipe.stages.items() if stage.training.share is not None}
    if recipe.budget is not None and shared:
        record = run.directory / "budget.json"
        wanted = {
            "minutes": recipe.budget.minutes,
            "shares": {name: stage.training.share for name, stage in shared.items()},
            "shape": dataclasses.asdict(base),
        }
        if not record.exists() or read_json(record)["wanted"] != wanted:
            write_json(record, {"wanted": wanted, **_measure_budget(run, base, shared, recipe.budget.minutes)})
        measured = read_json(record)
        for name, speed in measured["speeds"].items():
            stage_tokens = measured["tokens_by_stage"][name]
            say(f"budget: {name} gets {short(stage_tokens)} tokens (measured {short(speed)} tokens/s)")
        minutes = recipe.budget.minutes
        say(f"budget: {minutes:g} minutes of training (--set budget.minutes=N changes it)")
        budgets.update(measured["tokens_by_stage"])
    return {name: budgets[name] for name in recipe.stages}


def _measure_budget(run: Run, base: LlamaConfig, shared: dict[str, Stage], minutes: float) -> dict[str, Any]:
    speeds: dict[str, float] = {}
    by_form: dict[tuple[int, int], float] = {}
    for name, stage in shared.items():
        form = (stage.sequence_length, stage.training.micro_batch_tokens)
        if form not in by_form:
            shape = stage_shape(run.recipe, name, base)
            by_form[form] = measure_training_speed(shape, stage.training, stage.sequence_length, run.device)
        speeds[name] = by_form[form]
    total = sum(stage.training.share or 0 for stage in shared.values())
    tokens = {
        name: int((stage.training.share or 0) / total * minutes * 60 * speeds[name] * SPEED_MARGIN)
        for name, stage in shared.items()
    }
    return {
        "minutes": minutes,
        "speeds": speeds,
        "tokens_by_stage": tokens,
        "tokens_per_second": sum(speeds.values()) / len(speeds),
        "tokens": sum(tokens.values()),
    }


def _stage_seed(recipe: Recipe, name: str) -> int:
    seed = recipe.stages[name].seed
    return seed if seed is not None else int(sha256_json([recipe.seed, name])[:8], 16)


def _stage_fields(stage: Stage) -> dict[str, Any]:
    """The stage as plain values, without what it does not use and earlier versions had not: a finished run stays so."""
    fields = dataclasses.asdict(stage)
    del fields["training"]["epochs"]  # it has become tokens
    return {key: value for key, value in fields.items() if key != "dpo" or value is not None}


def make_dataset(recipe: Recipe, directory: Path, tokenizer: Tokenizer, stage: Stage, seed: int) -> PackedDataset:
    """The batches of a stage, from a run directory. Raises ChakuError for a set that selects no document."""
    chats = open_sets(recipe, stage, directory)
    names = [name for name in stage.mixture if name not in {each.name for each in chats}]
    store = TokenStore.open(directory / "tokens", "train") if names else None
    sets: list[TokenSet | ChatSet] = list(chats)
    for name in names:
        assert store is not None
        indices = _select(recipe, store, name)
        sets.append(TokenSet(name, indices, stage.mixture[name]))
        if len(indices) == 0:
            raise ChakuError(
                f"the set {name!r} ({recipe.sets[name]}) selects none of the {len(store)} training documents"
            )
    sets.sort(key=lambda each: list(stage.mixture).index(each.name))
    return PackedDataset(
        store, sets, stage.sequence_length, tokenizer, seed, infilling=stage.infilling, infill_sets=stage.infill_sets
    )


def _select(recipe: Recipe, store: TokenStore, name: str) -> np.ndarray:
    selection = recipe.sets[name]
    assert isinstance(selection, DocumentSet)
    return store.select(kinds=selection.kinds, languages=selection.languages)


def _heldout(recipe: Recipe, directory: Path, tokenizer: Tokenizer, stage: Stage) -> dict[str, Tensor]:
    batches: dict[str, Tensor] = {}
    names = [name for name in stage.mixture if isinstance(recipe.sets[name], DocumentSet)]
    if not names:
        return batches
    store = TokenStore.open(directory / "tokens", "heldout")
    for name in names:
        indices = _select(recipe, store, name)
        if len(indices):
            dataset = PackedDataset(
                store, [TokenSet(name, indices, 1.0)], stage.sequence_length, tokenizer, 0, infilling=None
            )
            rows = [torch.as_tensor(dataset[row].tokens.astype("int64")) for row in range(HELDOUT_ROWS)]
            batches[name] = torch.stack(rows)
    return batches


def _run_stage(
    run: Run, name: str, stage: Stage, base: LlamaConfig, tokenizer: Tokenizer, inputs: dict[str, Any]
) -> str:
    path = run.directory / "stages" / name
    inputs = _fingerprinted(inputs)
    record = path / "inputs.json"
    if record.exists() and (changed := _changed(read_json(record), inputs)):
        say(f"{name}: trained again, because {changed} changed")
        remove_directory(path)
    if (path / "stage.json").exists():
        say(f"{name}: done before")
        shutil.rmtree(path / "state", ignore_errors=True)  # a kill at the very end leaves it
        return inputs["fingerprint"]
    write_json(record, inputs)
    shape = stage_shape(run.recipe, name, base)
    if chat := stage_chat(run.recipe, name, tokenizer):
        shape, tokenizer = with_end(shape, chat), tokenizer.with_chat_template(chat.template)
    if stage.parent is not None or run.recipe.model.path is not None:
        base_model = run.directory / "stages" / stage.parent if stage.parent else Path(run.recipe.model.path or "")
        model = load_model(base_model, device=run.device, scheme=stage.base_quantization)
        if model.config.vocab_size < shape.vocab_size:
            if stage.lora:
                raise ChakuError(
                    f"stage {name}: LoRA freezes the infilling pieces that are new here; train them before"
                )
            say(f"{name}: {shape.vocab_size - model.config.vocab_size} embeddings are added for the infilling pieces")
            model.add_embeddings(shape.vocab_size, torch.Generator().manual_seed(inputs["seed"]))
        model.config = shape
        if stage.lora:
            add_lora(model, stage.lora, torch.Generator(run.device).manual_seed(inputs["seed"]))
    else:
        torch.manual_seed(inputs["seed"])
        model = Llama(shape).to(run.device)
    dataset = make_dataset(run.recipe, run.directory, tokenizer, stage, inputs["seed"])
    conversations = describe_sets(dataset)
    if stage.dpo:
        dataset = with_reference(model, dataset, stage.training, path)
    heldout = _heldout(run.recipe, run.directory, tokenizer, stage)

    def sample(model: Llama) -> dict[str, str]:
        prompt = "def "
        [[completion]] = Engine(model, tokenizer).generate([complete(tokenizer, prompt)], SamplingParams(max_tokens=48))
        return {"prompt": prompt, "text": completion.text}

    reached = train(name, model, dataset, stage.training, path, heldout=heldout, sample=sample, dpo=stage.dpo)
    if stage.lora:
        save_adapter(model, stage.lora, path / "adapter", str(base_model))
        if stage.base_quantization:  # the adapter goes into the base as it was
            model = load_model(base_model, device=run.device)
            model.config = shape
            load_adapter(model, path / "adapter")
        merge_lora(model)
    save_model(model, path)
    tokenizer.save(path)
    steps = num_steps(stage.training, stage.sequence_length)
    tokens = steps * batch_rows(stage.training, stage.sequence_length) * stage.sequence_length
    run.record_time(name, reached.seconds, tokens, "tokens")
    write_json(
        path / "stage.json",
        {
            "name": name,
            "parent": stage.parent,
            "kind": "train",
            "config": dataclasses.asdict(stage),
            **({"conversations": conversations} if conversations else {}),
            "model": dataclasses.asdict(shape),
            "num_parameters": shape.num_parameters,
            "seed": inputs["seed"],
            "tokens": tokens,
            "steps": steps,
            "seconds": reached.seconds,
            "fingerprint": inputs["fingerprint"],
            "weights_sha256": sha256_checkpoint(path),
            "versions": {"chaku": chaku.__version__, "torch": torch.__version__, "python": platform.python_version()},
        },
    )
    shutil.rmtree(path / "state", ignore_errors=True)
    return inputs["fingerprint"]


def _engine(run: Run, name: str) -> Engine:
    path = run.directory / "stages" / name
    return Engine(load_model(path).to(run.device).eval(), Tokenizer.load(path))  # its own: it may know how to chat


def _evaluate(run: Run, fingerprints: dict[str, str]) -> None:
    stages = run.recipe.stages
    longest = max((stages[name].sequence_length for name in run.recipe.evals.stages), default=0)
    for name in run.recipe.evals.stages:
        started = time.monotonic()
        done = evaluate_stage(
            _engine(run, name),
            name,
            run.recipe.evals,
            run.directory / "corpus",
            run.directory / "evals" / name,
            training_length=stages[name].sequence_length,
            longest_length=longest,
            fingerprint=fingerprints[name],
        )
        if done:
            run.record_time(f"evaluate {name}", time.monotonic() - started, done, "benchmarks")


def _ask_shop(run: Run, learnt: list[str], fingerprints: dict[str, str]) -> None:
    """The stages that learnt about the shop, each after its parent, answer questions about it."""
    for name in dict.fromkeys(each for stage in learnt for each in (run.recipe.stages[stage].parent, stage) if each):
        started = time.monotonic()
        inputs = sha256_json([fingerprints[name], read_json(run.directory / "shop" / "inputs.json")["fingerprint"]])
        path = run.directory / "evals" / name / "shop.json"
        if ask_shop(_engine(run, name), name, run.directory / "shop", path, inputs):
            run.record_time(f"ask {name} about the shop", time.monotonic() - started, 1, "benchmarks")


def _write_samples(run: Run, tokenizer: Tokenizer, fingerprints: dict[str, str]) -> None:
    """A completion and infills by each evaluated stage, into samples.json; the last of each kind is printed."""
    path = run.directory / "samples.json"
    if path.exists() and {each["stage"]: each["fingerprint"] for each in read_json(path)} == fingerprints:
        return
    samples: list[dict[str, str]] = []
    for name in run.recipe.evals.stages:
        engine = _engine(run, name)
        room = min(SAMPLE_TOKENS, engine.model.config.max_position_embeddings // 2)
        params = SamplingParams(max_tokens=room, temperature=0.2, top_p=0.95, seed=run.recipe.seed)
        [[completion]] = engine.generate([complete(tokenizer, COMPLETE_PROMPT)], params)
        about = {"stage": name, "fingerprint": fingerprints[name]}
        samples.append({**about, "kind": "complete", "prefix": COMPLETE_PROMPT, "text": completion.text})
        if tokenizer.infilling is None or run.recipe.stages[name].infilling is None:
            continue
        prefix, suffix = INFILL_PROMPT
        for mode in tokenizer.infilling.modes:
            [[middle]] = engine.generate([infill(tokenizer, prefix, suffix, mode=mode)], params, infilling=True)
            infilled = {"prefix": prefix, "middle": middle.text, "suffix": suffix}
            samples.append({**about, "kind": "infill", "mode": mode, **infilled})
    write_json(path, samples)
    for each in {each["kind"]: each for each in samples}.values():
        written = each.get("text", each.get("middle", ""))
        say(f"--- {each['kind']} by {each['stage']}: what the model wrote is between >>> and <<<")
        say(f"{each['prefix']}>>>{written}<<<{each.get('suffix', '')}")


def _fingerprinted(inputs: dict[str, Any]) -> dict[str, Any]:
    plain = json.loads(json.dumps(inputs, default=str))
    return {**plain, "fingerprint": sha256_json(plain)}


def _changed(before: Any, now: Any, at: str = "") -> str:
    """The paths at which two JSON values differ, in words; empty when they are equal."""
    if before == now:
        return ""
    if isinstance(before, dict) and isinstance(now, dict):
        differences = [
            _changed(before.get(key), now.get(key), f"{at}.{key}" if at else key)
            for key in {**before, **now}
            if key != "fingerprint"
        ]
        return ", ".join(each for each in differences if each)
    return at
