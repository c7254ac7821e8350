"""Estimates the memory of one of the ranks that share a model, by kind; `training/simulate.py` checks it."""

from dataclasses import dataclass

from chaku.model.memory import model_memory, num_projection_weights
from chaku.training.config import ParallelConfig
from chaku.training.memory import activations, moments_memory, num_trained, training_memory
from chaku.training.step import score_rows
from chaku.training.workload import Workload


@dataclass(frozen=True)
class Memory:
    """Bytes on one rank at the moment when their sum is highest.

    `buffers`: the weights that FSDP2 gathers and the gradients that it sends; on one GPU, autocast's copies.
    `activations`: with what the loss and the backward pass of one layer work with.
    """

    weights: int
    gradients: int
    optimizer: int
    buffers: int
    activations: int

    @property
    def total(self) -> int:
        """Bytes of all kinds."""
        return self.weights + self.gradients + self.optimizer + self.buffers + self.activations


def rank_memory(work: Workload, parallel: ParallelConfig, num_ranks: int) -> Memory:
    """The peak of one GPU of `num_ranks`.

    Weights, their gradients and the moments are divided among the ranks of `shard`, `context` and `tensor`; a base
    with a `scheme` is whole on every rank. CUDA's and NCCL's own memory and the allocator's gaps are not counted.
    """
    if num_ranks == 1:
        return _one_gpu(work)
    shape, training, lora, scheme = work.shape, work.training, work.lora, work.scheme
    replicate, shard, context, tensor = parallel.sizes(num_ranks)
    shared = shard * context * tensor
    rows, times = work.micro_batches(replicate * shard, context)
    trained = num_trained(shape, lora)
    weights = (model_memory(shape, scheme=scheme) if scheme else shape.num_parameters * 4 // shared) + (
        trained * 4 // shared if lora else 0
    )
    moments = moments_memory(shape, training.optimizer, lora) // shared
    gradients = trained * 4 // shared
    layers = shape.num_hidden_layers
    size = 4 if training.precision == "float32" else 2  # bytes of gathered weights and of activations
    layer = 0 if scheme else num_projection_weights(shape) // layers // tensor  # a quantised base is not gathered
    root = 0 if scheme else shape.num_parameters // tensor - layer * layers
    head = shape.vocab_size * shape.hidden_size // tensor
    layer_gradient, root_gradient = (num_trained(shape, lora) // layers // tensor, 0) if lora else (layer, root)
    gathered = size * (root if parallel.reshard else root + layer * layers)
    # Without `reshard`, whole gradients wait in 32 bits for the last micro-batch.
    waiting = 0 if parallel.reshard or times == 1 else trained * 4 // tensor
    accumulated = gradients if times > 1 and parallel.reshard else waiting

    tokens = rows * work.sequence_length // context
    kept, whole = _kept(work, context, tensor)
    states = 4 * tokens * shape.hidden_size * size  # around the loss: states before and after the norm, their gradients
    loss = min(score_rows(head // shape.hidden_size), tokens) * head // shape.hidden_size * (4 if size == 4 else 6)
    loss += 0 if lora else head * (8 + size)  # the sum of the output weights' gradient in 32 bits, and its product
    again = tokens * (whole - kept + 2 * shape.intermediate_size // tensor) * size
    own = size * layer_gradient  # the present layer's gradient before it is sent
    pending = 0 if lora else size * head  # the output weights' gradient is sent at the end
    traffic = size * layer * 2 * parallel.reshard + 4 * layer_gradient  # this layer, the next one, the sent gradient
    moments_of_a_step = [
        (accumulated, gathered, layers * tokens * kept * size + states + loss),
        (accumulated, gathered + traffic, (layers - 1) * tokens * kept * size + states // 4 + again + own + pending),
        (waiting + gradients, gathered + 4 * root_gradient, size * root_gradient + 2 * tokens * shape.hidden_size),
    ]
    at = max(moments_of_a_step, key=sum)
    return Memory(weights, at[0], moments, at[1], at[2])


def _kept(work: Workload, context: int, tensor: int) -> tuple[int, int]:
    """Numbers that a token of this rank keeps in a layer: with the stage's recomputation, and without any.

    A tensor group shares the residual stream, but each of its ranks keeps the whole input of its projections. A
    context group's rank keeps the keys and values of all ranks. The norm of 32 bits, on CPUs, keeps its values before
    scaling too.
    """
    shape, training = work.shape, work.training
    hidden, ffn = shape.hidden_size, shape.intermediate_size
    q, kv = shape.num_attention_heads * shape.head_dim, shape.num_key_value_heads * shape.head_dim
    keys = 2 * kv * context
    inputs = 2 * hidden if work.lora is None or tensor > 1 else hidden
    inputs += 2 * hidden if training.precision == "float32" else 0
    whole = (2 * hidden + 2 * q + keys + 4 * ffn) // tensor + inputs
    selected = (hidden + 2 * q + kv + ffn) // tensor + hidden
    return {"none": whole, "selective": selected, "full": hidden // tensor, "offload": 0}[training.recompute], whole


def _one_gpu(work: Workload) -> Memory:
    shape, lora = work.shape, work.lora
    trained = num_trained(shape, lora)
    weights = model_memory(shape, scheme=work.scheme) + (trained * 4 if lora else 0)
    moments, gradients = moments_memory(shape, work.training.optimizer, lora), trained * 4
    copies = 2 * num_projection_weights(shape) if activations(work, "cuda").narrow else 0
    rest = max(0, training_memory(work, "cuda") - weights - moments - gradients - copies)
    return Memory(weights, gradients, moments, copies, rest)
