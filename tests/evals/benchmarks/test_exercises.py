"""The benchmark of the synthetic family: its references pass, its prompt is what fine-tuning sees."""

from chaku.evals.benchmarks.exercises import EXERCISES, EXERCISES_SAMPLED, NEW, SEEN
from chaku.inference.prompts import complete
from chaku.sandbox.pool import run_many
from chaku.tokens.chat import Chat, Message
from chaku.tokens.tokenizer_training import train_tokenizer


def test_references_pass_and_an_empty_answer_does_not() -> None:
    tasks = EXERCISES.load(None)
    assert len(tasks) == 300
    assert {task.group for task in tasks} == {SEEN, NEW}
    assert EXERCISES.jobs is not None
    jobs = [EXERCISES.jobs(task, f" {task.references[0]}")[0] for task in tasks[:40]]
    assert all(verdict.passed for verdict in run_many(jobs))
    assert not any(verdict.passed for verdict in run_many([EXERCISES.jobs(task, "")[0] for task in tasks[:5]]))
    assert EXERCISES_SAMPLED.load(None) == tasks[:100]


def test_the_prompt_is_the_one_of_the_chat_template() -> None:
    tasks = EXERCISES.load(None)
    tokenizer = train_tokenizer((f"{task.prompt} {task.references[0]}" for task in tasks), 500)
    chat = Chat(tokenizer, "llama2")
    for task in tasks[:20]:
        assert list(complete(tokenizer, task.prompt).ids) == chat.prompt([Message("user", task.data["question"])])
        row = chat.reply([Message("user", task.data["question"])], task.references[0])
        whole = complete(tokenizer, f"{task.prompt} {task.references[0].strip()} ")
        assert row.ids[:-1] == list(whole.ids)  # the corpus' document, to the token
