"""LoRA: a trained low-rank update beside each frozen projection (arXiv 2106.09685)."""

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from chaku.errors import ChakuError
from chaku.model.config import LoraConfig
from chaku.model.llama import Llama
from chaku.model.quantization import dense, is_quantized


class LoraLinear(nn.Module):
    """A frozen linear layer, quantised or not, with an update in float32. B begins at zero, so the update does too."""

    def __init__(self, base: nn.Linear, config: LoraConfig, generator: torch.Generator | None = None):
        super().__init__()
        device = base.weight.device
        self.base = base.requires_grad_(False)
        first = first_matrix(config.rank, base.in_features, generator)
        self.lora_A = nn.Parameter(first.to(device))
        self.lora_B = nn.Parameter(torch.zeros(base.out_features, config.rank, device=device))
        self.scale = config.scale
        self.dropout = nn.Dropout(config.dropout)
        self.train(base.training)

    def forward(self, hidden: Tensor) -> Tensor:
        """(..., in) -> (..., out), in the dtype of the base or of autocast."""
        out = self.base(hidden)
        if not torch.is_autocast_enabled(hidden.device.type):
            hidden = hidden.to(self.lora_A.dtype)
        update = F.linear(F.linear(self.dropout(hidden), self.lora_A), self.lora_B)
        return out + (update * self.scale).to(out.dtype)

    @torch.no_grad()
    def merged(self) -> nn.Linear:
        """The base with the update added to its weight. A quantised weight becomes dense. Raises as `dense` does."""
        weight = dense(self.base.weight)
        total = weight.float().addmm(self.lora_B, self.lora_A, alpha=self.scale)  # float32, rounded once
        self.base.weight = nn.Parameter(total.to(weight.dtype), requires_grad=False)
        return self.base


def first_matrix(rank: int, in_features: int, generator: torch.Generator | None = None) -> Tensor:
    """A new A, (rank, in), as the paper's code and PEFT draw it; on the CPU, so that it is the same for any device."""
    return nn.init.kaiming_uniform_(torch.empty(rank, in_features, device="cpu"), a=math.sqrt(5), generator=generator)


def add_lora(model: Llama, config: LoraConfig, generator: torch.Generator | None = None) -> None:
    """Put LoRA on the targets, in place, and freeze all other weights. `generator`, of the CPU, draws A.

    Raises ChakuError, before anything changes, as `find_targets` does.
    """
    targets = find_targets(model, config.targets)
    model.requires_grad_(False)
    for name, base in targets.items():
        parent, _, leaf = name.rpartition(".")
        setattr(model.get_submodule(parent), leaf, LoraLinear(base, config, generator))


def find_targets(model: Llama, targets: tuple[str, ...]) -> dict[str, nn.Linear]:
    """The linear layers whose names equal a target or end in one, by name.

    Raises ChakuError for a target that matches no layer, for the embedding and the output, and for a model that has
    LoRA already.
    """
    if next(lora_layers(model), None):
        raise ChakuError("the model has LoRA already; merge it into the base first")
    linears = {
        f"model.layers.{name}": module
        for name, module in model.model.layers.named_modules()
        if isinstance(module, nn.Linear)
    }
    found = {target: [name for name in linears if f".{name}".endswith(f".{target}")] for target in targets}
    if unknown := [key for key, names in found.items() if not names]:
        known = ", ".join(dict.fromkeys(name.rpartition(".")[2] for name in linears))
        raise ChakuError(f"LoRA's target {', '.join(unknown)} matches no layer; choose from {known}")
    chosen = {name for names in found.values() for name in names}
    return {name: module for name, module in linears.items() if name in chosen}


def lora_layers(model: nn.Module) -> Iterator[tuple[str, LoraLinear]]:
    """The layers with LoRA, by the names of the linear layers that they replaced."""
    return ((name, module) for name, module in model.named_modules() if isinstance(module, LoraLinear))


def trainable_parameters(model: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """The parameters that are not frozen, by name: with LoRA, every `lora_A` and `lora_B`."""
    return [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]


def merge_lora(model: Llama) -> None:
    """Add every update to its base, which leaves a plain model.

    All weights become trainable, except weights that are still quantised. Raises ChakuError for int4 weights.
    """
    for name, layer in list(lora_layers(model)):
        parent, _, leaf = name.rpartition(".")
        setattr(model.get_submodule(parent), leaf, layer.merged())
    for parameter in model.parameters():
        parameter.requires_grad_(not is_quantized(parameter))
