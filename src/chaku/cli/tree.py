"""Every command with its line of help, in the order of `chaku --help`. Nothing is imported for it."""

from typing import NamedTuple


class Group(NamedTuple):
    """A command that has commands of its own."""

    about: str
    verbs: "dict[str, str | Group]"


# The command `eval run` is the function `eval_run` of the file eval_run.py.
TREE: dict[str, dict[str, str | Group]] = {
    "train": {
        "run": "run a recipe, or go on with it",
        "plan": "the GPUs, time and cost that a recipe would take",
        "report": "write a run's report.html again, or compare two runs",
        "merge": "add a LoRA adapter to its base",
        "convert": "write a checkpoint in another format",
    },
    "use": {
        "models": "open models that `chaku get` brings, by name",
        "get": "bring a model of the catalogue; prints its path",
        "complete": "complete a text",
        "infill": "fill the hole in a file",
        "chat": "talk with a model",
        "serve": "a model behind HTTP, for editors and applications",
        "sql": Group(
            "questions to SQL: ask a database, train, score",
            {
                "ask": "ask a database a question",
                "chat": "ask, correct, remember",
                "remember": "keep a question with its right SQL as an example",
                "glossary": Group(
                    "what your company's words mean in a database",
                    {
                        "init": "write a first glossary from a database",
                        "check": "compare a glossary with its database",
                        "import": "add descriptions and metrics from dbt, a CSV file or comments",
                    },
                ),
                "mcp": "let an assistant ask your databases, over MCP",
                "export": "write the remembered pairs, as training data",
                "shop": "write a small online shop with questions about it",
                "prepare": "questions with SQL to conversations to train on",
                "eval": "a model on published questions, by execution accuracy",
                "robustness": "where a model's answers break when the questions change",
                "score": "score predicted SQL by the official rules",
            },
        ),
    },
    "measure": {
        "eval": Group(
            "benchmarks: list, run, score, compare",
            {
                "list": "the benchmarks, and whether their data is here",
                "run": "measure a model: generate and score, or held-out measures",
                "score": "score anybody's samples",
                "compare": "two results side by side, with significance",
            },
        ),
        "inspect": "say what a checkpoint is, from its files, without reading a weight",
    },
    "data": {
        "corpus": Group(
            "documents from directories and files",
            {
                "build": "gather, filter, deduplicate, split, write Parquet",
                "why": "where a document came from, and why it was dropped or kept",
                "remove": "which models saw a document or source; leave it out next time",
            },
        ),
        "instruct": Group(
            "instruction data made and judged by running code",
            {
                "synthesize": "questions, tests, solutions; keep the solutions that pass",
                "evolve": "harder questions from those that were kept, judged alike",
                "verify": "check a ledger's evidence, run a sample of it again",
                "export": "write conversations, preference pairs, a data card",
            },
        ),
    },
    "machine": {
        "doctor": "what this machine can do, and what to install",
        "sandbox": Group("untrusted programs", {"run": "run a program: exit status 0 if it passes, else 1"}),
        "completion": "print the script that completes chaku's commands in a shell",
    },
}
