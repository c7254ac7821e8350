"""How fast this machine is: matrix products, and whole training steps."""

import statistics
import time
from functools import cache

import torch

from chaku.model import Llama, LlamaConfig
from chaku.training.config import TrainingConfig
from chaku.training.step import autocast, make_optimizer, optimizer_step, training_step_loss


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


def measure_training_speed(
    shape: LlamaConfig, config: TrainingConfig, sequence_length: int, device: torch.device, seconds: float = 3.0
) -> float:
    """Tokens per second of training on random tokens: the median step of about `seconds`, after one to warm up."""
    model = Llama(shape).to(device)
    optimizer = make_optimizer(model, config)
    precision = choose_precision(config.precision, device)
    rows = max(1, min(config.micro_batch_tokens, config.batch_tokens) // sequence_length)
    tokens = torch.randint(shape.vocab_size, (rows, sequence_length + 1), device=device)
    times: list[float] = []
    while len(times) < 2 or sum(times) < seconds:
        started = time.perf_counter()
        with autocast(device, precision):
            loss = training_step_loss(model, tokens)
        loss.backward()
        optimizer_step(model, optimizer, 1e-5, 1.0)
        _synchronize(device)
        times.append(time.perf_counter() - started)
    return rows * sequence_length / statistics.median(times[1:])


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
