"""The settings of a training stage."""

from dataclasses import dataclass
from typing import Literal

from chaku.errors import ChakuError
from chaku.model.config import Recompute
from chaku.settings import setting

Tracker = Literal["tensorboard", "wandb", "mlflow", "trackio"]
OptimizerName = Literal["adamw", "adamw8bit", "muon"]
Precision = Literal["auto", "float32", "bfloat16", "float8"]


@dataclass(frozen=True)
class TrainingConfig:
    """How a stage trains.

    `learning_rate`, warm-up, betas and batch come from the Code Llama paper; weight decay, clipping and eps, which the
    paper does not give, come from Llama 2.

    A stage has one budget: `tokens`; or `share`, its part of the recipe's time budget; or `epochs`, passes over its
    conversations or pairs. `schedule`: the form of the learning rate after the warm-up (`training/schedule.py`); "wsd"
    decays over the last `decay_share` of the steps. One optimizer step trains on `batch_tokens` tokens. The model reads
    `micro_batch_tokens` of them at once, and the gradients accumulate. `precision` "auto" measures matrix products and
    chooses bfloat16 where it is faster than float32. `micro_batch_tokens` and `compile` change the rounding of sums;
    chaku still counts the result as the same. `trackers` get the metrics (TensorBoard does whenever it is installed).
    The steps `profile_steps` are recorded with torch's profiler. The newest `keep_last` saved states are kept and, with
    `keep_best`, the state with the lowest held-out loss. `state`: where states are saved, a directory or a URL of
    fsspec; the default is beside the stage. `keep_state` keeps the state from which a longer stage can go on: the last
    state or, with "wsd", the state before the decay. `timeout_minutes`: a rank that waits so long for the others ends
    the run, and says which rank is late.
    """

    learning_rate: float = setting(3e-4, above=0)  # paper 2.6: code stage of 7B and 13B
    tokens: int | None = setting(None, above=0)
    share: float | None = setting(None, above=0)
    epochs: float | None = setting(None, above=0)
    batch_tokens: int = setting(4_000_000, at_least=1)  # paper 2.6
    micro_batch_tokens: int = setting(16_384, at_least=1, changes_results=False)
    warmup_steps: int = setting(1_000, at_least=0)  # paper 2.6
    schedule: Literal["cosine", "linear", "wsd"] = setting("cosine", added_later=True)  # paper 2.6: cosine
    # MiniCPM (arXiv 2404.06395, section 4.3): a decay over 10% of the tokens is enough, and 2.5% is too short.
    decay_share: float = setting(0.1, above=0, below=1, added_later=True)
    # Paper 2.6: cosine down to a thirtieth of the peak.
    min_learning_rate_ratio: float = setting(1 / 30, at_least=0, at_most=1)
    weight_decay: float = setting(0.1, at_least=0)  # Llama 2, section 2.2
    beta1: float = setting(0.9, at_least=0, below=1)  # paper 2.6
    beta2: float = setting(0.95, at_least=0, below=1)  # paper 2.6
    eps: float = setting(1e-5, above=0)  # Llama 2, section 2.2
    max_grad_norm: float = setting(1.0, above=0)  # Llama 2, section 2.2
    optimizer: OptimizerName = setting("adamw", added_later=True)  # noqa: RUF009
    precision: Precision = "auto"
    document_masking: bool = False
    compile: bool = setting(False, changes_results=False)
    recompute: Recompute = setting("none", changes_results=False)  # noqa: RUF009
    num_workers: int = setting(0, at_least=0, changes_results=False)
    checkpoint_every: int = setting(200, at_least=1, changes_results=False)  # optimizer steps
    keep_last: int = setting(1, at_least=1, changes_results=False)  # saved states
    keep_best: bool = setting(False, changes_results=False)
    state: str | None = setting(None, changes_results=False)
    keep_state: bool = setting(False, changes_results=False)  # after the end, for a longer stage
    timeout_minutes: float = setting(30.0, above=0, changes_results=False)  # of one wait for the other ranks
    log_every: int = setting(1, at_least=1, changes_results=False)
    heldout_every: int = setting(100, at_least=1, changes_results=False)
    sample_every: int = setting(0, at_least=0, changes_results=False)  # 0: no text sampled during training
    trackers: tuple[Tracker, ...] = setting((), changes_results=False)
    profile_steps: tuple[int, ...] | None = setting(None, changes_results=False)  # the first and the last, from 1 on


@dataclass(frozen=True)
class ParallelConfig:
    """How a stage is laid out over the ranks that torchrun starts; one process ignores it.

    The four sizes multiply to the number of ranks. `shard`: ranks that share the weights, gradients and optimizer
    state (FSDP2); None: all ranks that the other sizes leave. `replicate`: copies of such a group (HSDP). `context`:
    ranks that share the tokens of a sequence. `tensor`: ranks that share every matrix. `reshard`: free the gathered
    weights after each use, and reduce the gradients after each micro-batch, which needs the least memory (ZeRO-3);
    without it, whole weights and gradients stay until the end of a step, which needs the least communication. The
    layout changes only the rounding of sums.
    """

    replicate: int = setting(1, at_least=1, changes_results=False)
    shard: int | None = setting(None, at_least=1, changes_results=False)
    context: int = setting(1, at_least=1, changes_results=False)
    tensor: int = setting(1, at_least=1, changes_results=False)
    reshard: bool = setting(True, changes_results=False)

    def sizes(self, num_ranks: int) -> tuple[int, int, int, int]:
        """(replicate, shard, context, tensor). Raises ChakuError when they do not multiply to `num_ranks`."""
        others = self.replicate * self.context * self.tensor
        shard = self.shard or max(1, num_ranks // others)
        if others * shard != num_ranks:
            raise ChakuError(
                f"replicate {self.replicate} x shard {shard} x context {self.context} x tensor {self.tensor} is "
                f"{others * shard} ranks, but torchrun started {num_ranks}; change the stage's `parallel`, or the "
                "number of processes"
            )
        return self.replicate, shard, self.context, self.tensor


@dataclass(frozen=True)
class DpoConfig:
    """`beta`, of section 4 of the DPO paper (arXiv 2305.18290): the penalty for moving away from the initial model."""

    beta: float = setting(0.1, above=0)
