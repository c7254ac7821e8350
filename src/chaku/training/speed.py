"""Measures this machine's speed: of matrix products, and of whole training steps."""

import statistics
import time
from collections.abc import Iterator
from contextlib import nullcontext
from functools import cache

import torch

from chaku.model.llama import Llama
from chaku.model.lora import add_lora
from chaku.tokens.loader import Batch
from chaku.training.optimizers import make_optimizer
from chaku.training.ranks import ALONE, Ranks
from chaku.training.step import accumulate, autocast, optimizer_step, training_step_loss
from chaku.training.workload import Workload


@cache
def peak_flops(device: torch.device, dtype: torch.dtype) -> float:
    """Floating-point operations per second of a large matrix product, measured: the denominator of MFU."""
    size = 1024 if device.type == "cpu" else 8192
    left, right = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    best = float("inf")
    for _ in range(8):
        _synchronize(device)
        started = time.perf_counter()
        left @ right
        _synchronize(device)
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best


def choose_precision(precision: str, device: torch.device) -> str:
    """Resolve "auto": bfloat16 where it multiplies at least 1.5 times as fast as float32."""
    if precision != "auto":
        return precision
    faster = peak_flops(device, torch.bfloat16) > 1.5 * peak_flops(device, torch.float32)
    return "bfloat16" if faster else "float32"


class SpeedMeter:
    """Turns tokens per second of training into floating-point operations, and their share of the devices' peak."""

    def __init__(self, model: Llama, sequence_length: int, precision: str, device: torch.device, num_devices: int):
        trains_all = all(parameter.requires_grad for parameter in model.parameters())
        self._flops_per_token = model.config.flops_per_token(sequence_length, trains_all=trains_all)
        dtype = torch.float32 if precision == "float32" else torch.bfloat16
        self._peak = num_devices * peak_flops(device, dtype)

    def values(self, tokens_per_second: float) -> dict[str, float]:
        """The speed's values in metrics.jsonl. "mfu": model FLOPs utilisation, of the measured peak."""
        flops = tokens_per_second * self._flops_per_token
        return {"tokens_per_second": tokens_per_second, "flops_per_second": flops, "mfu": flops / self._peak}


def measure_training_speed(
    work: Workload, batches: Iterator[Batch], device: torch.device, ranks: Ranks = ALONE, seconds: float = 3.0
) -> float:
    """Tokens per second of training on `batches`, counting tokens without a loss too.

    Runs steps for about `seconds` and takes their median time, without the first step, which warms up. With LoRA,
    trains only the adapter, on a base that is not quantised. Many ranks call this together, each with its part of the
    batches; the tokens are those of all ranks.
    """
    config = work.training
    precision = ranks.from_first(choose_precision(config.precision, device))
    model = _random_model(work, precision, device, ranks)
    model.set_recompute(config.recompute)
    optimizer = make_optimizer(model, config)
    times: list[float] = []
    while ranks.from_first(len(times) < 2 or sum(times) < seconds):
        batch = next(batches)
        started = time.perf_counter()
        with nullcontext() if model.distributed else autocast(device, precision):
            accumulate(training_step_loss, model, batch, config, device, ranks)
        optimizer_step(model, optimizer, 1e-5, 1.0)
        _synchronize(device)
        times.append(time.perf_counter() - started)
    return batch.tokens[:, 1:].numel() * ranks.num_data / statistics.median(times[1:])


def _random_model(work: Workload, precision: str, device: torch.device, ranks: Ranks) -> Llama:
    with torch.device("meta" if ranks.size > 1 else device):
        model = Llama(work.shape)
        if work.lora is not None:
            add_lora(model, work.lora)
    if ranks.size > 1:
        from chaku.training.parallel import local_part, parallelize

        parallelize(model, ranks, work.sequence_length, precision, compiled=work.training.compile)
        model.to_empty(device=device)
        for parameter in model.parameters():
            local_part(parameter.detach())[0].normal_(0, 0.02)
    return model


def random_batches(vocab_size: int, rows: int, sequence_length: int) -> Iterator[Batch]:
    """Endless batches of random tokens that all have a loss."""
    while True:
        tokens = torch.randint(vocab_size, (rows, sequence_length + 1))
        yield Batch(tokens, torch.zeros_like(tokens), 0, 0)


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
