"""The rewards that a recipe names, or that the rows of a set ask for."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

from chaku.errors import ChakuError
from chaku.reinforcement.infills import InfillReward
from chaku.reinforcement.programs import ProgramReward
from chaku.reinforcement.queries import QueryReward
from chaku.reinforcement.rewards import Reward, Rewards
from chaku.reinforcement.tasks import Task
from chaku.reinforcement.verifiers import FunctionReward, HttpReward
from chaku.training.grpo_config import RewardConfig


def open_rewards(configs: Sequence[RewardConfig], tasks: Sequence[Task], databases: Path) -> Rewards:
    """The rewards of a stage. `databases`: the run's shop, the default of "sql".

    Raises ChakuError for rows that ask for no known reward, and when programs cannot be isolated.
    """
    configs = configs or (RewardConfig(_asked_for(tasks)),)
    with ExitStack() as opened:
        rewards: list[tuple[str, float, Reward]] = []
        for config in configs:
            reward = _open(config, tasks, databases)
            opened.callback(reward.close)
            rewards.append((config.kind, config.weight, reward))
        opened.pop_all()
    return Rewards(rewards)


def _asked_for(tasks: Sequence[Task]) -> Literal["tests", "sql", "infilling"]:
    fields = tasks[0].fields if tasks else {}
    if "tests" in fields:
        return "tests"
    if "query" in fields and "database" in fields:
        return "sql"
    if "middle" in fields:
        return "infilling"
    raise ChakuError(
        "the rows do not say how replies are judged: give them `tests` and `entry_point`, or `query` and `database`, "
        "or `prefix`, `suffix` and `middle`; or name a reward in grpo.rewards"
    )


def _open(config: RewardConfig, tasks: Sequence[Task], databases: Path) -> Reward:
    match config.kind:
        case "tests" | "share_of_tests" | "shown_tests":
            return ProgramReward(config.kind, config.timeout)
        case "sql":
            return QueryReward(tasks, Path(config.path) if config.path else databases, config.timeout)
        case "infilling":
            return InfillReward(config.timeout)
        case "function":
            return FunctionReward(Path(config.path or ""), config.timeout)
        case "http":
            return HttpReward(config.path or "", config.timeout)
