"""EvalPlus's prompts for instruct models (github.com/evalplus/evalplus, v0.3.1: codegen.py and provider/utility.py).

The user's message shows the problem in a fenced block. The assistant's reply begins with a given sentence and fence, so
that the model continues inside the block. With OpenAI's API (provider/openai.py), the reply has no given beginning.
"""

from collections.abc import Callable

from chaku.evals.benchmark import ChatForm, Task
from chaku.evals.extract import python_program
from chaku.sandbox.verdict import Job

INSTRUCTION = "Please provide a self-contained {} script that solves the following problem in a markdown code block:"
RESPONSE = "Below is a {} script with a self-contained function that solves the problem and passes corresponding tests:"
PYTHON_STOPS = ("<|endoftext|>", "<|endofmask|>", "</s>", "\nif __name__", "\ndef main(", "\nprint(", "\n```\n")
MAX_TOKENS = 768


def evalplus_chat(
    jobs: Callable[[Task, str], list[Job]],
    extract: Callable[[Task, str], str],
    problem: Callable[[Task], str],
    program: Callable[[Task, str], str],
    language: str = "Python",
    fence: str = "python",
    stops: tuple[str, ...] = PYTHON_STOPS,
) -> ChatForm:
    """EvalPlus's chat form. `problem`: the text in the user's block.

    `language`: the language's name in the sentences. `fence`: its name in the reply's fence.
    """
    instruction = INSTRUCTION.format(language)
    return ChatForm(
        prompt_form="chat: EvalPlus's instruction, and its beginning of the reply",
        message=lambda task: f"{instruction}\n```\n{problem(task).strip()}\n```\n",
        endpoint_message=lambda task: f"{instruction}\n```{fence}\n{problem(task).strip()}\n```",
        opening=f"{RESPONSE.format(language)}\n```{fence}\n",
        extract=extract,
        jobs=jobs,
        program=program,
        stops=stops,
        max_tokens=MAX_TOKENS,
    )


def function_chat(jobs: Callable[[Task, str], list[Job]]) -> ChatForm:
    """The chat form for Python functions with a docstring to complete: HumanEval and HumanEval+."""
    return evalplus_chat(
        jobs,
        extract=lambda task, reply: python_program(reply, task.data["entry_point"], task.data["prompt"]),
        problem=lambda task: task.prompt,
        program=lambda task, completion: f"{task.data['prompt']}{completion}",
    )


def script_chat(
    jobs: Callable[[Task, str], list[Job]], problem: Callable[[Task], str], extract: Callable[[Task, str], str]
) -> ChatForm:
    """The chat form for Python programs to write from a sentence and an assert: MBPP and MBPP+."""
    return evalplus_chat(
        jobs,
        extract=extract,
        problem=problem,
        program=lambda task, completion: completion,
    )
