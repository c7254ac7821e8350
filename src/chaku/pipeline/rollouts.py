"""Opens what a GRPO stage samples from: the tasks of its sets, their rewards, and the model that writes."""

import copy
from collections import Counter

from chaku.console import say
from chaku.errors import ChakuError
from chaku.instruct.conversations import read_rows
from chaku.model.llama import Llama
from chaku.pipeline.chat_sets import is_held_out, source_of
from chaku.pipeline.stage_model import StageWork
from chaku.recipe.schema import ConversationSet, DocumentSet, PreferenceSet, ShopSet, StageConfig
from chaku.reinforcement.open_rewards import open_rewards
from chaku.reinforcement.rollouts import Rollouts
from chaku.reinforcement.tasks import Task, read_task
from chaku.reinforcement.vllm import VllmWriter
from chaku.reinforcement.writer import EngineWriter, Writer
from chaku.tokens.chat import Chat
from chaku.tokens.tokenizer import Tokenizer
from chaku.training.ranks import Ranks

HELDOUT_TASKS = 200  # of each set, at most: a greedy reply to each is judged


def open_rollouts(
    work: StageWork, stage: StageConfig, model: Llama, tokenizer: Tokenizer, chat: Chat, ranks: Ranks
) -> Rollouts:
    """The rollouts of a stage, to be closed at its end. `model`: as the stage begins with it.

    Raises ChakuError on several ranks, for a set without usable tasks, and as `open_rewards` does.
    """
    assert stage.grpo is not None
    if ranks.size > 1:
        raise ChakuError(f"stage {work.name}: grpo trains in one process; start chaku without torchrun")
    read = {name: list(_read(work, name, chat, tokenizer)) for name in stage.mixture}
    rewards = open_rewards(
        stage.grpo.rewards, [task for tasks in read.values() for _, task in tasks], work.directory / "shop"
    )
    try:
        sets: dict[str, list[Task]] = {}
        heldout: dict[str, list[Task]] = {}
        room = stage.sequence_length + 1 - stage.grpo.max_tokens
        for name, tasks in read.items():
            left_out: Counter[str] = Counter()
            sets[name] = []
            for is_held, task in tasks:
                problem = rewards.problem(task)
                if not problem and len(task.prompt.ids) > room:
                    problem = f"the prompt is longer than {room} tokens; raise sequence_length"
                if problem:
                    left_out[problem] += 1
                elif is_held:
                    heldout.setdefault(name, []).append(task)
                else:
                    sets[name].append(task)
            for problem, count in left_out.most_common():
                say(f"{name}: {count} of {len(tasks)} tasks left out: {problem}")
            if not sets[name]:
                first = next(iter(left_out), "the file has no rows")
                raise ChakuError(f"stage {work.name}: the set {name} has no usable task: {first}")
        writer: Writer = EngineWriter(model, tokenizer)
        if stage.grpo.endpoint is not None:
            assert stage.lora is not None
            writer = VllmWriter(stage.grpo.endpoint, model, stage.lora, work.path, str(work.base_model))
        initial = copy.deepcopy(model).requires_grad_(False).eval() if stage.grpo.beta else None
        return Rollouts(
            model,
            writer,
            rewards,
            sets,
            stage.mixture,
            {name: tasks[:HELDOUT_TASKS] for name, tasks in heldout.items()},
            stage.grpo,
            stage.training,
            stage.sequence_length,
            work.path,
            work.seed,
            initial,
        )
    except BaseException:
        rewards.close()
        raise


def _read(work: StageWork, name: str, chat: Chat, tokenizer: Tokenizer) -> list[tuple[bool, Task]]:
    """(whether it is held out, task) of each row of a set. Raises ChakuError for a row that is no task."""
    chosen = work.recipe.sets[name]
    assert not isinstance(chosen, DocumentSet)
    subset = chosen.subset if isinstance(chosen, ConversationSet | PreferenceSet) else None
    fraction = 0.0 if isinstance(chosen, ShopSet) else chosen.heldout_fraction
    tasks = []
    for row in read_rows(source_of(chosen, work.directory), subset):
        task = read_task(row, chat, tokenizer)
        tasks.append((is_held_out(task.messages, fraction), task))
    return tasks
