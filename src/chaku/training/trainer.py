"""The training loop of one stage. A run that is stopped and resumed gives the same bits as a run without a stop."""

import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import torch
from torch import Tensor

from chaku.console import progress, say, short
from chaku.errors import ChakuError
from chaku.model.llama import Llama
from chaku.tokens.loader import PackedDataset, load_batches
from chaku.training.config import DpoConfig, TrainingConfig
from chaku.training.dpo import accumulate_pairs
from chaku.training.metrics import MetricsLog
from chaku.training.schedule import batch_rows, learning_rate, num_steps
from chaku.training.speed import choose_precision, peak_flops
from chaku.training.state import Progress, load_state, save_state
from chaku.training.step import accumulate, autocast, make_optimizer, optimizer_step, training_step_loss


class Interrupted(Exception):
    """SIGTERM or SIGINT arrived. The state is saved, and the same command resumes from it."""


def train(
    name: str,
    model: Llama,
    dataset: PackedDataset,
    config: TrainingConfig,
    directory: Path,
    *,
    heldout: dict[str, Tensor] | None = None,
    sample: Callable[[Llama], dict[str, str]] | None = None,
    dpo: DpoConfig | None = None,
) -> Progress:
    """Train `model` in place to the end of its budget, saving its state under DIRECTORY/state.

    `heldout`: for each held-out set, (rows, seq + 1) tokens whose mean loss is logged. `sample`: writes texts with the
    model so far, to log. `dpo`: `dataset` holds pairs with their reference log-probabilities; train with the DPO loss.
    Raises Interrupted on SIGTERM or SIGINT, after saving; ChakuError, with the batch's samples, when the loss or the
    gradient is not finite.
    """
    device = model.lm_head.weight.device
    sequence_length = dataset.sequence_length
    steps, rows = num_steps(config, sequence_length), batch_rows(config, sequence_length)
    optimizer = make_optimizer(model, config)
    reached = load_state(directory / "state", model, optimizer)
    if reached.step >= steps:
        return reached
    if reached.step:
        say(f"{name}: going on at step {reached.step} of {steps}")
    precision = reached.precision or choose_precision(config.precision, device)
    peak = peak_flops(device, torch.bfloat16 if precision == "bfloat16" else torch.float32)
    flops_per_token = model.config.flops_per_token(sequence_length)
    if not all(parameter.requires_grad for parameter in model.parameters()):
        flops_per_token *= 2 / 3  # a frozen weight has no gradient: one of its three products falls away
    forward = torch.compile(training_step_loss) if config.compile else training_step_loss
    batches = load_batches(dataset, start=reached.step * rows, batch_size=rows, num_workers=config.num_workers)
    batch_tokens = rows * sequence_length
    model.train()
    with (
        MetricsLog(directory, reached.step) as log,
        stop_requested() as stop,
        progress(name, steps * batch_tokens, "tokens", initial=reached.step * batch_tokens) as bar,
    ):
        seconds = reached.seconds
        for step in range(reached.step, steps):
            started = time.perf_counter()
            batch = next(batches)
            torch.manual_seed(dataset.seed + step)  # a resumed step must draw the same LoRA dropout
            notes: dict[str, float] = {}
            with autocast(device, precision):
                if dpo:
                    loss, notes = accumulate_pairs(model, batch, dpo, config, device)
                else:
                    loss = accumulate(forward, model, batch, config, device)
            rate = learning_rate(step, steps, config)
            norm = optimizer_step(model, optimizer, rate, config.max_grad_norm)
            if not (math.isfinite(loss) and math.isfinite(norm)):
                wrong = f"gradient's norm is {norm}" if math.isfinite(loss) else f"loss is {loss}"
                last = batch.first_sample + rows - 1
                raise ChakuError(
                    f"stage {name}, step {step + 1}: the {wrong} on samples {batch.first_sample} to {last}; the "
                    "last saved state is kept. Lower the learning rate, or look at these samples, and start again"
                )
            elapsed = time.perf_counter() - started
            seconds += elapsed
            bar.advance(batch_tokens, f"loss {loss:.3f}")
            done = step + 1
            if done % config.log_every == 0 or done == steps:
                speed = batch_tokens / elapsed
                log.write(
                    done,
                    tokens=done * batch_tokens,
                    loss=loss,
                    learning_rate=rate,
                    grad_norm=norm,
                    tokens_per_second=speed,
                    flops_per_second=speed * flops_per_token,
                    mfu=speed * flops_per_token / peak,
                    infilling_rate=batch.infilled_tokens / batch_tokens,
                    seconds=seconds,
                    **notes,
                )
            if heldout and (done % config.heldout_every == 0 or done == steps):
                log.write(done, heldout_loss=heldout_losses(model, heldout, precision, config.micro_batch_tokens))
            if sample and config.sample_every and done % config.sample_every == 0:
                log.write(done, sample=sample(model))
                model.train()
            if done % config.checkpoint_every == 0 or stop() or done == steps:
                save_state(directory / "state", model, optimizer, Progress(done, seconds, precision))
            if stop() and done < steps:
                raise Interrupted(f"{name}: stopped and saved at step {done} of {steps}; run the same command to go on")
    say(f"{name}: {short(steps * batch_tokens / max(seconds, 1e-9))} tokens/s, {precision}")
    return Progress(steps, seconds, precision)


@torch.no_grad()
def heldout_losses(
    model: Llama, heldout: dict[str, Tensor], precision: str, micro_batch_tokens: int
) -> dict[str, float]:
    """Mean next-token loss, in nats, of each held-out set: (rows, seq + 1) tokens."""
    device = model.lm_head.weight.device
    model.eval()
    losses = {}
    for name, tokens in heldout.items():
        total = 0.0
        for rows in tokens.split(max(1, micro_batch_tokens // tokens.shape[1])):
            with autocast(device, precision):
                total += float(training_step_loss(model, rows.to(device), num_valid=1))
        losses[name] = total / (tokens.shape[0] * (tokens.shape[1] - 1))
    model.train()
    return losses


@contextmanager
def stop_requested() -> Iterator[Callable[[], bool]]:
    """Inside this context, SIGTERM and SIGINT only set a flag. Yields a function that reads the flag.

    A second signal acts as usual.
    """
    received: list[int] = []
    previous = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def note(number: int, frame: FrameType | None) -> None:
        received.append(number)
        say("stopping after this step ...")
        for key, handler in previous.items():
            signal.signal(key, handler)

    try:
        for number in previous:
            signal.signal(number, note)
    except ValueError:  # not the main thread: Python lets only the main thread handle signals
        yield lambda: False
        return
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
