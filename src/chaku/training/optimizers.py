"""The optimizers of a stage: AdamW, AdamW with moments of 8 bits, and Muon."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from chaku.model.llama import Llama
from chaku.model.lora import trainable_parameters
from chaku.model.quantization import from_torchao
from chaku.training.config import TrainingConfig


def make_optimizer(model: Llama, config: TrainingConfig) -> Optimizer:
    """The optimizer over the weights that are not frozen. Weight decay is for matrices; norms and biases have none.

    Raises ChakuError when "adamw8bit" needs torchao, which is missing.
    """
    trainable = trainable_parameters(model)
    if config.optimizer == "muon":
        inner = [parameter for name, parameter in trainable if _is_inner(name, parameter)]
        outer = [parameter for name, parameter in trainable if not _is_inner(name, parameter)]
        return MuonAndAdamW(inner, outer, config)
    groups = _decay_groups([parameter for _, parameter in trainable], config)
    if config.optimizer == "adamw8bit":
        return _adamw8bit(groups, config)
    return _adamw(groups, config)


def set_learning_rate(optimizer: Optimizer, rate: float) -> None:
    """Set the learning rate of all weights."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], torch.Tensor):  # torchao's: a compiled step would compile again for another float
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


class MuonAndAdamW(Optimizer):
    """Muon on the matrices of the layers, AdamW on all other weights: one optimizer, with one state.

    Muon (Keller Jordan, 2024) makes a matrix's momentum orthogonal, so that all directions move alike. Embedding and
    output stay with AdamW, as its author advises. An orthogonal (m x n) matrix's root mean square is
    1 / sqrt(max(m, n)); AdamW's update has about 0.2 to 0.4. So "match_rms_adamw" multiplies the learning rate by
    0.2 * sqrt(max(m, n)) ("Muon is Scalable for LLM Training", arXiv 2502.16982, section 2.2), and AdamW's learning
    rate and weight decay serve both.
    """

    def __init__(self, inner: list[nn.Parameter], outer: list[nn.Parameter], config: TrainingConfig):
        muon = torch.optim.Muon(
            inner, lr=config.learning_rate, weight_decay=config.weight_decay, adjust_lr_fn="match_rms_adamw"
        )
        self._parts = muon, _adamw(_decay_groups(outer, config), config)
        super().__init__([group for part in self._parts for group in part.param_groups], {})

    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        assert closure is None
        first = 0
        for part in self._parts:
            last = first + len(part.param_groups)
            # A loaded state has replaced the state and the groups of this optimizer.
            part.state, part.param_groups = self.state, self.param_groups[first:last]
            part.step()
            first = last


def _is_inner(name: str, parameter: nn.Parameter) -> bool:
    return name.startswith("model.layers.") and parameter.ndim == 2


def _decay_groups(parameters: list[nn.Parameter], config: TrainingConfig) -> list[dict[str, Any]]:
    matrices = [parameter for parameter in parameters if parameter.ndim >= 2]
    vectors = [parameter for parameter in parameters if parameter.ndim < 2]
    return [{"params": matrices, "weight_decay": config.weight_decay}, {"params": vectors, "weight_decay": 0.0}]


def _adamw(groups: list[dict[str, Any]], config: TrainingConfig) -> torch.optim.AdamW:
    return torch.optim.AdamW(
        groups, lr=config.learning_rate, betas=(config.beta1, config.beta2), eps=config.eps, fused=True
    )


def _adamw8bit(groups: list[dict[str, Any]], config: TrainingConfig) -> Optimizer:
    """torchao's AdamW, whose moments take a byte and a share of the scale of their block of 256 (arXiv 2110.02861).

    Small weights, and weights that are no multiple of 256, keep moments of 32 bits. torchao compiles the step, which
    needs a C compiler; on a CPU the step runs uncompiled, which is slower.
    """
    compiled: Any = from_torchao("torchao.optim", "AdamW8bit")

    class Uncompiled(compiled):
        def step(self, closure: Callable[[], float] | None = None) -> None:
            with torch.compiler.set_stance("force_eager"):
                super().step(closure)

    on_cpu = groups[0]["params"][0].device.type == "cpu"
    make = Uncompiled if on_cpu else compiled
    return make(groups, lr=config.learning_rate, betas=(config.beta1, config.beta2), eps=config.eps)
