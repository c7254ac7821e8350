"""Plans a recipe for a cluster: memory, layout, time, energy and cost of each stage, before anything is bought."""

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chaku.checkpoint.formats import open_checkpoint
from chaku.console import say
from chaku.errors import ChakuError
from chaku.model.config import PRESETS, LlamaConfig
from chaku.pipeline.sampling_plan import SamplingPlan, SamplingRates, plan_sampling
from chaku.recipe.family import preset_shape, stage_order, stage_shape
from chaku.recipe.schema import Recipe
from chaku.training.gpus import Cluster
from chaku.training.plan import USABLE, Choice, Layout, choose
from chaku.training.schedule import num_steps
from chaku.training.step_time import COMPUTE_SHARE, HOST_LINK, LINK_SHARE
from chaku.training.workload import Workload

if TYPE_CHECKING:
    from chaku.training.simulate import Simulated

OVERHEAD = 1.3  # watts of the whole centre for a watt of a GPU, with hosts, network and cooling: our assumption
MOST_NODES = 4096  # where the search for enough GPUs ends


@dataclass(frozen=True)
class StagePlan:
    """One stage on a cluster. `tokens` and what follows from them are None when the recipe leaves them to a budget.

    `enough`: GPUs on which the stage would fit, when it does not fit on the cluster; None when it fits. `simulated`:
    one rank's memory and messages, counted. `sampling`: of a stage with `grpo`, which comes before its training.
    """

    name: str
    choice: Choice
    tokens: int | None
    tokens_per_second: float | None = None
    mfu: float | None = None
    days: float | None = None
    gpu_hours: float | None = None
    kilowatt_hours: float | None = None
    dollars: float | None = None
    enough: int | None = None
    simulated: "Simulated | None" = None
    sampling: SamplingPlan | None = None


@dataclass(frozen=True)
class Plan:
    """A recipe's stages in the order of training, on a cluster. `compute_share`: see `COMPUTE_SHARE`."""

    recipe: str
    cluster: Cluster
    stages: tuple[StagePlan, ...]
    compute_share: float

    def total(self, figure: str) -> float | None:
        """The sum of a figure over the stages; None when one stage has none."""
        values = [getattr(stage, figure) for stage in self.stages]
        return None if None in values else sum(values)

    def assumptions(self) -> list[str]:
        """What the estimates assume, a sentence each."""
        gpu = self.cluster.kind
        return [
            f"computation reaches {self.compute_share:.0%} of a GPU's {gpu.flops / 1e12:.0f} TFLOP/s in bfloat16 "
            "(Llama 3 405B reached 38 to 43%, communication included: arXiv 2407.21783, table 4)",
            f"messages reach {LINK_SHARE:.0%} of {gpu.link / 1e9:.0f} GB/s inside a node and of "
            f"{self.cluster.network:g} GB/s between nodes; those of FSDP2 run beside computation",
            f"recompute offload moves {HOST_LINK / 1e9:.0f} GB/s between a GPU and its host",
            f"{USABLE:.0%} of a GPU's {gpu.memory / 1e9:.0f} GB can be used",
            f"a GPU draws {gpu.watts:.0f} W, and the centre {OVERHEAD} times as much",
            f"a GPU hour costs ${self.cluster.price:g}",
            "nothing for held-out losses, saved states, evaluation, failures; days and cost leave out GRPO's sampling",
        ]

    def as_json(self) -> dict[str, Any]:
        """Plain values, for programs."""
        return {**dataclasses.asdict(self), "assumptions": self.assumptions()}


def plan_recipe(
    recipe: Recipe,
    cluster: Cluster,
    shape: str | None = None,
    compute_share: float = COMPUTE_SHARE,
    *,
    simulated: bool = False,
    rates: SamplingRates | None = None,
) -> Plan:
    """Plan every stage. `shape`: a preset's name, for a base model whose checkpoint is not here.

    `simulated`: count one rank's memory and messages too, where `can_simulate`. `rates`: of the samples of GRPO.

    Raises ChakuError when the shape of the base model is unknown.
    """
    base = planned_base(recipe, shape)
    stages = []
    for name in stage_order(recipe):
        grpo = recipe.stages[name].grpo
        sampling = plan_sampling(grpo, rates) if grpo else None
        planned = _plan_stage(recipe, name, base, cluster, compute_share)
        stages.append(dataclasses.replace(planned, sampling=sampling))
    if simulated:
        stages = [_simulated(stage, stage_work(recipe, stage.name, base), cluster) for stage in stages]
    return Plan(recipe.name, cluster, tuple(stages), compute_share)


def planned_base(recipe: Recipe, shape: str | None = None) -> LlamaConfig:
    """The shape of a recipe's base model, by a preset's name or from its checkpoint."""
    if shape is not None and shape not in PRESETS:
        raise ChakuError(f"{shape!r} is not a shape that chaku knows; choose from {', '.join(PRESETS)}")
    if named := shape or recipe.model.preset:
        return preset_shape(recipe, named)
    assert recipe.model.path is not None
    try:
        return open_checkpoint(recipe.model.path).config
    except ChakuError as error:
        raise ChakuError(f"{error}; without the checkpoint, name its shape: --shape {'|'.join(PRESETS)}") from None


def stage_work(recipe: Recipe, name: str, base: LlamaConfig) -> Workload:
    """What a stage trains."""
    stage = recipe.stages[name]
    shape = stage_shape(recipe, name, base)
    return Workload(shape, stage.training, stage.sequence_length, stage.lora, stage.base_quantization)


def _plan_stage(recipe: Recipe, name: str, base: LlamaConfig, cluster: Cluster, compute_share: float) -> StagePlan:
    work = stage_work(recipe, name, base)
    choice = choose(work, cluster, compute_share)
    training = work.training
    tokens = None
    if training.tokens is not None:
        tokens = num_steps(training, work.sequence_length) * work.rows * work.sequence_length
    if choice.layout is None:
        return StagePlan(name, choice, tokens, enough=enough_gpus(work, cluster))
    speed = work.rows * work.sequence_length / choice.layout.time.seconds
    flops = work.shape.flops_per_token(work.sequence_length, trains_all=work.lora is None)
    plan = StagePlan(name, choice, tokens, speed, speed * flops / (cluster.num_gpus * cluster.kind.flops))
    if tokens is None:
        return plan
    hours = tokens / speed / 3600
    gpu_hours = hours * cluster.num_gpus
    return dataclasses.replace(
        plan,
        days=hours / 24,
        gpu_hours=gpu_hours,
        kilowatt_hours=gpu_hours * cluster.kind.watts * OVERHEAD / 1000,
        dollars=gpu_hours * cluster.price,
    )


def _simulated(stage: StagePlan, work: Workload, cluster: Cluster) -> StagePlan:
    from chaku.training.simulate import can_simulate, simulate  # two seconds, which a run does not need

    layout = stage.choice.layout
    if layout is None or work.scheme is not None or not can_simulate(layout.recompute, cluster.num_gpus):
        return stage
    say(f"{stage.name}: counting a step on {cluster.num_gpus} simulated ranks ...")
    training = dataclasses.replace(
        work.training, recompute=layout.recompute, micro_batch_tokens=layout.micro_batch_tokens
    )
    counted = simulate(dataclasses.replace(work, training=training), layout.parallel, cluster.num_gpus)
    return dataclasses.replace(stage, simulated=counted)


def enough_gpus(work: Workload, cluster: Cluster, room: float | None = None) -> int | None:
    """The fewest GPUs on which a stage fits, doubling the nodes; None when no number is enough. `room` as `choose`."""
    nodes = 2 * cluster.nodes
    while nodes <= MOST_NODES:
        larger = dataclasses.replace(cluster, nodes=nodes)
        if choose(work, larger, room=room).layout is not None:
            return larger.num_gpus
        nodes *= 2
    return None


def in_toml(layout: Layout) -> str:
    """The keys of a stage that set a layout."""
    parallel = layout.parallel
    sizes = {name: getattr(parallel, name) for name in ("replicate", "shard", "context", "tensor")}
    keys = ", ".join(f"{name} = {size}" for name, size in sizes.items() if size > 1 or name == "shard")
    keys += "" if parallel.reshard else ", reshard = false"
    return (
        f'parallel = {{ {keys} }}, training.recompute = "{layout.recompute}", '
        f"training.micro_batch_tokens = {layout.micro_batch_tokens}"
    )
