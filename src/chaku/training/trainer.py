"""The training loop of one stage. A run that is stopped and resumed gives the same bits as a run without a stop."""

import dataclasses
import math
import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from functools import partial
from pathlib import Path

import torch

from chaku.console import progress, say, short
from chaku.errors import ChakuError, Interrupted
from chaku.model.llama import Llama
from chaku.tokens.loader import Batch, load_batches
from chaku.tokens.packed_dataset import PackedDataset
from chaku.training.config import DpoConfig, TrainingConfig
from chaku.training.dpo import accumulate_pairs
from chaku.training.float8 import use_float8
from chaku.training.grpo import LimitReached, SampleBatch, SampleSource, accumulate_samples
from chaku.training.heartbeats import Heartbeats
from chaku.training.heldout import heldout_values
from chaku.training.metrics import MetricsLog, NoLog
from chaku.training.micro_batches import Stopped
from chaku.training.optimizers import make_optimizer
from chaku.training.profile import StepProfiler
from chaku.training.ranks import ALONE, Ranks
from chaku.training.schedule import batch_rows, decay_start, goes_on, learning_rate, num_steps
from chaku.training.speed import SpeedMeter
from chaku.training.state import Progress, States
from chaku.training.step import accumulate, autocast, not_finite_samples, optimizer_step, training_step_loss
from chaku.training.stopping import stop_requested
from chaku.training.storage import check_storage
from chaku.training.trackers import TrackedStage, open_trackers


def train(
    name: str,
    model: Llama,
    dataset: PackedDataset | SampleSource,
    config: TrainingConfig,
    directory: Path,
    *,
    heldout: dict[str, Batch] | None = None,
    sample: Callable[[Llama], dict[str, str]] | None = None,
    dpo: DpoConfig | None = None,
    ranks: Ranks = ALONE,
    project: str = "chaku",
) -> Progress:
    """Train `model` in place to the end of its budget, saving its state under DIRECTORY/state.

    `config.precision` is not "auto": `choose_precision`, or the saved state, has resolved it.

    On many ranks, all of them call this together, after `parallelize`; rank 0 writes metrics and messages.
    `heldout`: rows of each held-out set, whose mean loss is logged. `sample`: writes texts with the
    model so far, to log. `dpo`: `dataset` holds pairs with their reference log-probabilities; train with the DPO loss.
    A `dataset` of the type `SampleSource` gives samples of the model so far; train with GRPO's loss.
    `project`: the stage's project in `config.trackers`.
    Raises Interrupted on SIGTERM or SIGINT, after the present micro-batch and after saving; ChakuError, with the
    batch's samples, when the loss or the gradient is not finite; LostContact, on one rank, when another rank hangs.
    """
    device = model.lm_head.weight.device
    sequence_length = dataset.sequence_length
    steps, rows = num_steps(config, sequence_length), batch_rows(config, sequence_length)
    before_decay = decay_start(steps, config) if config.keep_state and config.schedule == "wsd" else None
    model.set_recompute(config.recompute)
    optimizer = make_optimizer(model, config)
    check_storage(directory, ranks)
    if config.state and not config.state.startswith(str(directory)):
        check_storage(config.state, ranks)
    states = States(
        config.state or directory / "state",
        model,
        optimizer,
        ranks,
        keep_last=config.keep_last,
        keep_best=config.keep_best,
        keep_step=before_decay,
    )
    reached = states.load(lambda state: goes_on(state.step, state.num_steps, steps, config))
    if reached.step >= steps:
        return reached
    if reached.step and ranks.is_first:
        say(f"{name}: going on at step {reached.step} of {steps}")
    precision = config.precision
    assert precision != "auto"
    if precision == "float8" and not model.distributed:
        use_float8(model, device, sequence_length)
    meter = SpeedMeter(model, sequence_length, precision, device, ranks.size)
    compiled = config.compile and not model.distributed  # `parallelize` compiles each layer
    forward = torch.compile(training_step_loss) if compiled else training_step_loss
    batches = (
        dataset.batches(reached.step)
        if isinstance(dataset, SampleSource)
        else load_batches(
            dataset,
            start=reached.step * rows,
            batch_size=rows,
            rank=ranks.data_rank,
            world_size=ranks.num_data,
            num_workers=config.num_workers,
        )
    )
    batch_tokens = rows * sequence_length
    if sample and config.sample_every and ranks.size > 1:
        sample = None
        if ranks.is_first:
            say(f"{name}: no texts are sampled during the training, since many ranks share the model")
    # FSDP2 casts the weights itself.
    precision_context = nullcontext if model.distributed else partial(autocast, device, precision)
    model.train()
    with (
        _open_log(name, config, directory, reached.step, project) if ranks.is_first else NoLog() as log,
        StepProfiler(config.profile_steps if ranks.is_first else None, directory) as profiler,
        stop_requested(quiet=not ranks.is_first) as stop,
        progress(name, steps * batch_tokens, "tokens", initial=reached.step * batch_tokens) as bar,
        Heartbeats(timedelta(minutes=config.timeout_minutes)) as heart,
    ):
        seconds, heldout_loss, saved = reached.seconds, reached.heldout, reached.step

        def interrupted(done: int, why: str = "") -> Interrupted:
            if saved < done:
                states.save(Progress(done, seconds, precision, heldout_loss, steps))
            states.finish()
            if ranks.any(heart.store_is_gone):
                why = " because the launcher of the ranks is gone"
            return Interrupted(
                f"{name}: stopped and saved at step {done} of {steps}{why}; run the same command to go on"
            )

        def asked_to_stop() -> bool:
            heart.move(f"{name}, step {step + 1}, the next micro-batch")
            return stop() or heart.store_is_gone

        for step in range(reached.step, steps):
            started = time.perf_counter()
            profiler.begin(step + 1)
            heart.move(f"{name}, step {step + 1}, reading its batch")
            try:
                batch = next(batches)
            except LimitReached as limit:
                raise interrupted(step, f" because {limit}") from None
            heart.move(f"{name}, step {step + 1}, the first micro-batch")
            # A resumed step must draw the same LoRA dropout.
            torch.manual_seed(dataset.seed + step + 1_000_003 * ranks.data_rank)
            notes: dict[str, float] = {}
            try:
                with precision_context():
                    if isinstance(batch, SampleBatch):
                        assert isinstance(dataset, SampleSource)
                        loss, notes = accumulate_samples(
                            model, batch, dataset.config, config, device, ranks, asked_to_stop
                        )
                    elif dpo:
                        loss, notes = accumulate_pairs(model, batch, dpo, config, device, ranks, asked_to_stop)
                    else:
                        loss = accumulate(forward, model, batch, config, device, ranks, asked_to_stop)
            except Stopped:
                optimizer.zero_grad(set_to_none=True)
                raise interrupted(step) from None
            if not math.isfinite(loss):
                with precision_context():
                    where = not_finite_samples(model, batch, config, device, ranks)
                raise _failed(states, f"stage {name}, step {step + 1}: the loss is {loss} on {where}")
            heart.move(f"{name}, step {step + 1}, the update of the weights")
            rate = learning_rate(step, steps, config)
            norm = optimizer_step(model, optimizer, rate, config.max_grad_norm)
            profiler.end(step + 1)
            heart.move(f"{name}, step {step + 1}, after the update")
            if not math.isfinite(norm):
                where = f"samples {batch.first_sample} to {batch.first_sample + rows - 1}"
                raise _failed(states, f"stage {name}, step {step + 1}: the gradient's norm is {norm} on {where}")
            elapsed = time.perf_counter() - started
            seconds += elapsed
            bar.advance(batch_tokens, f"loss {loss:.3f}")
            done = step + 1
            if done % config.log_every == 0 or done == steps:
                counts = [batch.infilled_tokens, batch.fallbacks]
                infilled, fallbacks = ranks.sum([count / ranks.num_context for count in counts])
                if fallbacks:
                    notes["syntax_fallbacks"] = fallbacks
                log.write(
                    done,
                    tokens=done * batch_tokens,
                    loss=loss,
                    learning_rate=rate,
                    grad_norm=norm,
                    **meter.values(batch_tokens / elapsed),
                    infilling_rate=infilled / batch_tokens,
                    seconds=seconds,
                    **notes,
                )
            is_due = done % config.heldout_every == 0 or done == steps
            if is_due and isinstance(dataset, SampleSource) and (solved := dataset.measure()):
                heldout_loss = 1 - statistics.fmean(solved["heldout_pass_rate"].values())
                log.write(done, **solved)
            if heldout and is_due:
                with precision_context():
                    measured = heldout_values(model, heldout, config, dpo, ranks)
                heldout_loss = statistics.fmean(measured["heldout_loss"].values())
                log.write(done, **measured)
            if sample and config.sample_every and done % config.sample_every == 0:
                log.write(done, sample=sample(model))
                model.train()
            states.poll()
            if done % config.checkpoint_every == 0 or done in (steps, before_decay):
                states.save(Progress(done, seconds, precision, heldout_loss, steps))
                saved = done
            if done < steps and ranks.any(stop() or heart.store_is_gone):
                raise interrupted(done)
        states.finish()
    if ranks.is_first:
        say(f"{name}: {short(steps * batch_tokens / max(seconds, 1e-9))} tokens/s, {precision}")
    return Progress(steps, seconds, precision)


def _open_log(name: str, config: TrainingConfig, directory: Path, first_step: int, project: str) -> MetricsLog:
    stage = TrackedStage(project, name, directory, first_step, dataclasses.asdict(config))
    return MetricsLog(directory, first_step, open_trackers(config.trackers, stage))


def _failed(states: States, what: str) -> ChakuError:
    states.finish()
    return ChakuError(
        f"{what}; the last saved state is kept. Lower the learning rate, or look at these samples, and start again"
    )
