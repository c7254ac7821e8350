"""Estimates the time of an optimizer step on many GPUs: computation, and the messages between ranks."""

from dataclasses import dataclass

from chaku.model.memory import num_projection_weights
from chaku.training.config import ParallelConfig
from chaku.training.gpus import Cluster
from chaku.training.memory import num_trained
from chaku.training.workload import Workload

# The share of a GPU's bfloat16 peak that computation reaches. Llama 3 405B reached 38 to 43% with all communication
# (arXiv 2407.21783, table 4).
COMPUTE_SHARE = 0.45
LINK_SHARE = 0.7  # of a link's bandwidth that a collective reaches: our assumption
HOST_LINK = 25e9  # bytes a second between a GPU and its host, of PCIe's 32e9 or more: our assumption
# Operations with recomputation, in those without it: the forward pass, a third of them, runs twice, or half of it does.
RECOMPUTED = {"none": 1.0, "selective": 7 / 6, "full": 4 / 3, "offload": 4 / 3}


@dataclass(frozen=True)
class StepTime:
    """Seconds of one optimizer step. `hidden`: communication that runs beside computation; only its excess counts."""

    compute: float
    hidden: float
    exposed: float

    @property
    def seconds(self) -> float:
        """The whole step."""
        return max(self.compute, self.hidden) + self.exposed


def messages(work: Workload, parallel: ParallelConfig, num_ranks: int) -> dict[str, int]:
    """The bytes that a rank sends in one optimizer step, by collective and dimension of the layout.

    In a ring of n ranks, gathering or scattering a tensor sends (n - 1) / n of it, and a sum sends twice as much.
    """
    shape, training, lora = work.shape, work.training, work.lora
    whole_base = work.scheme is not None  # and only an adapter is shared
    replicate, shard, context, tensor = parallel.sizes(num_ranks)
    size = 4 if training.precision == "float32" else 2
    rows, times = work.micro_batches(replicate * shard, context)
    trained = num_trained(shape, lora)
    inner = 0 if whole_base else num_projection_weights(shape)
    outer = 0 if whole_base else shape.num_parameters - inner
    inner += trained if lora else 0
    group = shard * context
    once = 1 if not parallel.reshard else times
    twice = 2 if parallel.reshard else 1
    hidden = rows * work.sequence_length // context * shape.hidden_size * size
    keys = rows * work.sequence_length * 2 * shape.num_key_value_heads * shape.head_dim // tensor * size
    layers = shape.num_hidden_layers
    again = training.recompute != "none"
    gathers, scatters = (6, 5) if again else (4, 4)  # of the layer's input and output, forward and backward
    found = {
        "all-gather shard": _ring(once * (twice * inner + outer) // tensor * size, group),
        "reduce-scatter shard": _ring(once * trained // tensor * 4, group),
        "all-reduce replicate": 2 * _ring(trained * 4 // (group * tensor), replicate),
        "all-gather context": _ring(times * layers * keys * (2 if again else 1), context),
        "reduce-scatter context": _ring(times * layers * keys, context),
        "all-gather tensor": _ring(times * (gathers * layers + 2) * hidden, tensor),
        "reduce-scatter tensor": _ring(times * (scatters * layers + 2) * hidden, tensor),
    }
    return {name: sent for name, sent in found.items() if sent}


def _ring(whole: int, ranks: int) -> int:
    return whole * (ranks - 1) // ranks


def step_time(
    work: Workload, parallel: ParallelConfig, cluster: Cluster, compute_share: float = COMPUTE_SHARE
) -> StepTime:
    """The time of a step. FSDP2 gathers and scatters beside computation; tensor and context groups wait."""
    gpu, shape, training, lora = cluster.kind, work.shape, work.training, work.lora
    replicate, shard, context, tensor = parallel.sizes(cluster.num_gpus)
    rows, times = work.micro_batches(replicate * shard, context)
    tokens = rows * times * work.sequence_length / (context * tensor)  # that one rank computes
    flops = tokens * shape.flops_per_token(work.sequence_length, trains_all=lora is None)
    compute = flops * RECOMPUTED[training.recompute] / (gpu.flops * compute_share)
    sent = messages(work, parallel, cluster.num_gpus)
    spans = {
        "tensor": tensor,
        "context": tensor * context,
        "shard": tensor * context * shard,
        "replicate": cluster.num_gpus,
    }
    seconds = dict.fromkeys(spans, 0.0)
    for name, amount in sent.items():
        dimension = name.split()[1]
        inside = spans[dimension] <= cluster.gpus_per_node
        seconds[dimension] += amount / (LINK_SHARE * (gpu.link if inside else cluster.network * 1e9))
    # AdamW reads weights, gradients and moments, and writes all but gradients: 28 bytes a weight.
    exposed = num_trained(shape, lora) / (shard * context * tensor) * 28 / gpu.bandwidth
    if training.recompute == "offload":  # each layer's input, to the host and back
        exposed += 2 * tokens * shape.num_hidden_layers * shape.hidden_size * 2 / HOST_LINK
    exposed += seconds["tensor"] + seconds["context"] + seconds["replicate"]
    return StepTime(compute, seconds["shard"], exposed)
