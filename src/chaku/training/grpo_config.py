"""The settings of GRPO: how a stage samples, rewards and learns from its own replies."""

from dataclasses import dataclass
from typing import Literal

from chaku.settings import setting

RewardKind = Literal["tests", "share_of_tests", "shown_tests", "sql", "infilling", "function", "http"]
PASS_AT = 10  # k of the pass@k on held-out tasks, as Code Llama's tables have it
LossType = Literal["dapo", "grpo", "dr_grpo", "bnpo"]


@dataclass(frozen=True)
class RewardConfig:
    """One reward. A sample's reward is the sum of `weight` times the value of each reward.

    `path`: the databases of "sql" (default: the run's shop), the Python file of "function", the URL of "http".
    `timeout`: seconds of a program, a query or an answer.
    """

    kind: RewardKind
    weight: float = 1.0
    path: str | None = None
    timeout: float = setting(3.0, above=0)


@dataclass(frozen=True)
class LimitsConfig:
    """What the sampling of a stage may cost, held-out tasks included. None: no limit.

    The stage stops, with its state saved, before the step that would begin after a limit. With a higher limit, the same
    command goes on. `tokens`: of the replies. `verdicts`: equal replies to a task are judged once a step. `hours`: of
    sampling and judging.
    """

    samples: int | None = setting(None, at_least=1, changes_results=False)
    tokens: int | None = setting(None, at_least=1, changes_results=False)
    verdicts: int | None = setting(None, at_least=1, changes_results=False)
    hours: float | None = setting(None, above=0, changes_results=False)


@dataclass(frozen=True)
class GrpoConfig:
    """Group relative policy optimisation (arXiv 2402.03300), in the form of DAPO (arXiv 2503.14476).

    Each of `steps` steps trains on `prompts` groups of `group_size` samples of at most `max_tokens` tokens. The
    advantage of a sample is its reward minus its group's mean, divided by the group's deviation if `scale`. `rewards`:
    the default follows from the rows. `loss`: how the losses of tokens are averaged, named as in TRL; "bnpo" differs
    from "dapo" only in trainers that divide by the tokens of a part of the batch. `epsilon`, `epsilon_high`: the range
    of the probability ratio outside of which a sample teaches nothing more. `beta`: the weight of the divergence from
    the model that the stage begins with. A group with equal rewards teaches nothing, so it is dropped and other prompts
    are sampled, in at most `rounds` rounds a step. `mask_overlong`: a sample that was cut off at `max_tokens` has no
    loss. `off_policy_steps` 1: samples come from the weights before the last update, so that they are judged while
    the model trains; the ratio corrects the difference. `filter_samples`: before the first step, sample every prompt
    so many times, and drop those whose pass rate is outside of `pass_rate`. The stage stops when the share of samples
    that pass the shown tests, but not the hidden ones, has grown by more than `max_gap`. `endpoint`: the URL of a vLLM
    server that samples, and gets the stage's LoRA adapter again after each update. `heldout_samples`: besides the
    greedy reply, sample so many replies to each held-out task, at `temperature`, for pass@1 and pass@10. `limits`: of
    the cost of sampling.
    """

    steps: int = setting(at_least=1, changes_results=False)  # `training.tokens`, which follows from it, counts
    prompts: int = setting(16, at_least=1)
    group_size: int = setting(8, at_least=2)  # TRL's default
    max_tokens: int = setting(128, at_least=1)
    rewards: tuple[RewardConfig, ...] = ()
    temperature: float = setting(1.0, above=0)
    loss: LossType = "dapo"
    scale: bool = True
    epsilon: float = setting(0.2, above=0)  # DAPO, section 3.1
    epsilon_high: float = setting(0.28, above=0)  # DAPO, section 3.1
    beta: float = setting(0.0, at_least=0)  # TRL's default; DAPO has no divergence term
    rounds: int = setting(3, at_least=1)
    mask_overlong: bool = True
    off_policy_steps: Literal[0, 1] = 0
    filter_samples: int = setting(0, at_least=0)
    pass_rate: tuple[float, ...] = (0.0, 0.875)  # Seed-Coder drops prompts with a pass rate above 0.875
    max_gap: float = setting(0.2, above=0)
    endpoint: str | None = setting(None, added_later=True)
    heldout_samples: int = setting(0, at_least=0, changes_results=False)
    limits: LimitsConfig = setting(LimitsConfig(), changes_results=False)  # noqa: RUF009
