"""A step on fake ranks sends and holds what the estimates say, and what ranks of real processes take."""

import ctypes
import dataclasses
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from chaku.errors import ChakuError
from chaku.model.config import PRESETS, LlamaConfig, LoraConfig
from chaku.model.llama import Llama
from chaku.training.config import ParallelConfig, TrainingConfig
from chaku.training.optimizers import make_optimizer
from chaku.training.parallel import parallelize
from chaku.training.rank_memory import rank_memory
from chaku.training.ranks import lay_out
from chaku.training.simulate import simulate
from chaku.training.step import optimizer_step, training_step_loss
from chaku.training.step_time import messages
from chaku.training.workload import Workload
from ranks import on_ranks

SEQ = 1024
SHAPE = LlamaConfig(2048, 512, 1408, 4, 8, 4, SEQ)
CONFIG = TrainingConfig(batch_tokens=32 * SEQ, micro_batch_tokens=2 * SEQ)
WORK = Workload(SHAPE, CONFIG, SEQ)
LAYOUTS = [
    (ParallelConfig(), "none"),
    (ParallelConfig(tensor=2), "full"),
    (ParallelConfig(replicate=2, context=2), "selective"),
    pytest.param(ParallelConfig(), "full", marks=pytest.mark.slow),
    pytest.param(ParallelConfig(tensor=2), "selective", marks=pytest.mark.slow),
    pytest.param(ParallelConfig(context=2), "full", marks=pytest.mark.slow),
    pytest.param(ParallelConfig(tensor=2, context=2), "none", marks=pytest.mark.slow),
    pytest.param(ParallelConfig(reshard=False), "selective", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("parallel", "recompute"), LAYOUTS)
def test_the_estimates_are_near_what_a_simulated_step_takes(parallel: ParallelConfig, recompute: str) -> None:
    config = dataclasses.replace(CONFIG, recompute=recompute)
    work = Workload(SHAPE, config, SEQ)
    found = simulate(work, parallel, 8)
    estimated = rank_memory(work, parallel, 8)
    assert found.memory["weights"] == pytest.approx(estimated.weights, rel=0.01)
    assert found.memory["optimizer"] == pytest.approx(estimated.optimizer, rel=0.01)
    assert estimated.total == pytest.approx(found.peak, rel=0.1)
    sent = messages(work, parallel, 8)
    for name, amount in sent.items():
        assert amount == pytest.approx(found.messages[name], rel=0.02), name
    small = [amount for name, amount in found.messages.items() if name not in sent]
    assert sum(small) < 0.02 * sum(sent.values())


def test_an_adapter_has_small_gradients_and_moments() -> None:
    work = Workload(SHAPE, CONFIG, SEQ, LoraConfig())
    found = simulate(work, ParallelConfig(), 8)
    estimated = rank_memory(work, ParallelConfig(), 8)
    assert found.memory["optimizer"] == pytest.approx(estimated.optimizer, rel=0.01)
    assert estimated.total == pytest.approx(found.peak, rel=0.1)
    sent = messages(work, ParallelConfig(), 8)
    assert sent["reduce-scatter shard"] == pytest.approx(found.messages["reduce-scatter shard"], rel=0.02)


def test_a_simulation_says_what_it_cannot_do_and_leaves_no_process_group() -> None:
    with pytest.raises(ChakuError, match="at least 2 ranks"):
        simulate(WORK, ParallelConfig(), 1)
    with pytest.raises(ChakuError, match="torchrun"):
        simulate(WORK, ParallelConfig(shard=3), 8)
    assert not dist.is_initialized()


def peak_of_two_steps(shape: LlamaConfig, config: TrainingConfig, sequence_length: int) -> int:
    """What this rank's memory grows by while it makes and trains a model."""

    def memory(field: str) -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(field))

    def train(shape: LlamaConfig, length: int) -> None:
        with torch.device("meta"):
            model = Llama(shape)
        parallelize(model, ranks, length, "float32")
        model.to_empty(device="cpu")
        model.set_recompute(config.recompute)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.fill_(0.01)
        optimizer = make_optimizer(model, config)
        for _ in range(2):
            tokens = torch.randint(shape.vocab_size, (config.batch_tokens // length // ranks.size, length + 1))
            training_step_loss(model, tokens, None, tokens.numel()).backward()
            optimizer_step(model, optimizer, 1e-4, 1.0)

    ctypes.CDLL(None).mallopt(-3, 65_536)  # M_MMAP_THRESHOLD: what is freed goes back to the system
    ranks = lay_out(ParallelConfig(), "cpu")
    train(PRESETS["tiny"], config.batch_tokens // ranks.size)  # what libraries take for themselves
    Path("/proc/self/clear_refs").write_text("5")  # the highest memory so far is forgotten
    before = memory("VmRSS")
    train(shape, sequence_length)
    return memory("VmHWM") - before


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from Linux's /proc")
@pytest.mark.parametrize("recompute", ["none", "full"])
def test_ranks_of_real_processes_take_what_is_estimated(recompute: str) -> None:
    config = TrainingConfig(batch_tokens=4 * SEQ, micro_batch_tokens=2 * SEQ, precision="float32", recompute=recompute)
    measured = on_ranks(2, peak_of_two_steps, SHAPE, config, SEQ)
    estimated = rank_memory(Workload(SHAPE, config, SEQ), ParallelConfig(), 2)
    assert estimated.total == pytest.approx(measured[0], rel=0.1)
