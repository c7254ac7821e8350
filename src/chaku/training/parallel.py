"""Lays a model out over many ranks with torch's own parts: tensor parallel, then compilation, then FSDP2."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard, distribute_module, distribute_tensor
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    ParallelStyle,
    PrepareModuleInput,
    RowwiseParallel,
    SequenceParallel,
    parallelize_module,
)

from chaku.errors import ChakuError
from chaku.model.context_parallel import ContextParallel
from chaku.model.llama import Llama
from chaku.model.lora import LoraLinear
from chaku.model.quantization import is_quantized
from chaku.training.divisions import check_model
from chaku.training.float8 import use_float8
from chaku.training.ranks import Ranks


def parallelize(model: Llama, ranks: Ranks, sequence_length: int, precision: str, *, compiled: bool = False) -> None:
    """Lay the model out, in place, in one strict order. It may be on the meta device: see `materialize`.

    `precision` "bfloat16": the weights are gathered and multiplied in bfloat16; each rank keeps its shard, and sums
    gradients, in float32. "float8": the same, but projections multiply in float8.
    Raises ChakuError, before anything changes, for sizes that do not divide.
    """
    if ranks.size == 1:
        return
    check_model(model.config, sequence_length, ranks.num_context, ranks.num_tensor)
    if ranks.num_tensor > 1 and any(is_quantized(weight) for weight in model.parameters()):
        raise ChakuError("a quantised base model cannot be trained with tensor parallelism; set parallel.tensor to 1")
    if precision == "float8" and ranks.num_tensor > 1:
        raise ChakuError('precision = "float8" does not work with tensor parallelism; set parallel.tensor to 1')
    if precision == "float8":
        assert ranks.shards is not None
        use_float8(model, torch.device(ranks.shards.device_type), sequence_length)
    model.distributed = True
    if ranks.context is not None:
        model.context = ContextParallel(ranks.context, ranks.context_rank, ranks.num_context)
    if ranks.tensor is not None:
        _tensor_parallel(model, ranks.tensor)
    if compiled:
        for layer in model.model.layers:
            layer.compile()
    _shard(model, ranks, precision)


def _tensor_parallel(model: Llama, mesh: DeviceMesh) -> None:
    """Cut every matrix; between the layers, each rank has a part of the tokens (sequence parallel)."""
    plan: dict[str, ParallelStyle] = {
        "model.embed_tokens": RowwiseParallel(input_layouts=Replicate(), output_layouts=Shard(1)),
        "model.norm": SequenceParallel(),
        "lm_head": ColwiseParallel(),  # `training/step.py` multiplies with its weight
    }
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    parallelize_module(model, mesh, plan)
    if model.config.tie_word_embeddings:
        model.lm_head.weight = model.model.embed_tokens.weight
    for layer in model.model.layers:
        whole = PrepareModuleInput(
            input_layouts=(Shard(1), None, None), desired_input_layouts=(Replicate(), None, None)
        )
        layer_plan: dict[str, ParallelStyle] = {
            "input_layernorm": SequenceParallel(),
            "self_attn": whole,
            "post_attention_layernorm": SequenceParallel(),
            "mlp": PrepareModuleInput(input_layouts=(Shard(1),), desired_input_layouts=(Replicate(),)),
        }
        for name, module in layer.named_modules():
            if name.endswith(("q_proj", "k_proj", "v_proj", "gate_proj", "up_proj")):
                layer_plan[name] = LoraColumns() if isinstance(module, LoraLinear) else ColwiseParallel()
            elif name.endswith(("o_proj", "down_proj")):
                rows = RowwiseParallel(output_layouts=Shard(1))
                layer_plan[name] = LoraRows() if isinstance(module, LoraLinear) else rows
        parallelize_module(layer, mesh, layer_plan)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name not in frozen)  # SequenceParallel makes the norms trainable


def _shard(model: Llama, ranks: Ranks, precision: str) -> None:
    """FSDP2: each layer is a group of weights that is gathered when it is computed; the rest is the root's group."""
    policy = MixedPrecisionPolicy()
    if precision != "float32":
        policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
    quantized = {weight for weight in model.parameters() if is_quantized(weight)}
    options: dict[str, Any] = {"mesh": ranks.shards, "mp_policy": policy, "ignored_params": quantized or None}
    for layer in model.model.layers:
        fully_shard(layer, reshard_after_forward=ranks.reshard, **options)
    fully_shard(model, **options)
    register_fsdp_forward_method(model, "forward_hidden")
    for module in model.modules():
        if isinstance(module, FSDPModule):
            # The loss is divided by the global number of tokens, so gradients are summed, not averaged.
            module.set_gradient_divide_factor(1.0)
            module.set_force_sum_reduction_for_comms(True)


class LoraColumns(ParallelStyle):
    """`ColwiseParallel` for a projection with LoRA: B is cut with the base's outputs, A is whole."""

    base, first, second = Shard(0), Replicate(), Shard(0)
    given, made = Replicate(), Shard(-1)

    def _apply(self, module: nn.Module, device_mesh: DeviceMesh) -> nn.Module:
        def place(_: str, part: nn.Module, mesh: DeviceMesh) -> None:
            owner = {"lora_A": self.first, "lora_B": self.second, "weight": self.base, "bias": self.bias}
            for name, parameter in list(part.named_parameters(recurse=False)):
                whole = distribute_tensor(parameter, mesh, [owner[name]], src_data_rank=None)
                part.register_parameter(name, nn.Parameter(whole, requires_grad=parameter.requires_grad))

        def take(_: nn.Module, inputs: tuple[Any, ...], mesh: DeviceMesh) -> Any:
            hidden = inputs[0]
            return hidden if isinstance(hidden, DTensor) else DTensor.from_local(hidden, mesh, [self.given])

        def give(_: nn.Module, output: Any, mesh: DeviceMesh) -> Any:
            return output.redistribute(placements=[self.made]).to_local()

        return distribute_module(module, device_mesh, place, take, give)

    @property
    def bias(self) -> Shard | Replicate:
        """The placement of the base's bias: with its outputs."""
        return self.base if self.base == Shard(0) else Replicate()


class LoraRows(LoraColumns):
    """`RowwiseParallel` for a projection with LoRA: A is cut with the base's inputs, B is whole."""

    base, first, second = Shard(1), Shard(1), Replicate()  # type: ignore[assignment]
    given, made = Shard(-1), Shard(1)  # type: ignore[assignment]


def whole_sequence(hidden: Tensor) -> Tensor:
    """Under tensor parallel, all tokens' states from each rank's part: (batch, seq, hidden).

    Each rank's gradient of them may be a part of the sum: the loss multiplies with a part of the vocabulary.
    """
    if not isinstance(hidden, DTensor):
        return hidden
    return hidden.redistribute(placements=[Replicate()]).to_local(grad_placements=[Partial()])


def local_part(weight: Tensor) -> tuple[Tensor, tuple[slice, ...]]:
    """This rank's part of a weight, and the slices of the whole weight that it holds."""
    from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

    if not isinstance(weight, DTensor):
        return weight, tuple(slice(0, size) for size in weight.shape)
    shape, offset = compute_local_shape_and_global_offset(weight.shape, weight.device_mesh, weight.placements)
    slices = tuple(slice(start, start + size) for start, size in zip(offset, shape, strict=True))
    return weight.to_local(), slices
