"""The page of the Python interface: every public name of `chaku`, with its signature and its docstring."""

import ast
import dataclasses
import inspect
import re
import textwrap
from typing import Any

import chaku
from chaku.api import TextScore
from chaku.inference.generator import Completion, SamplingParams
from chaku.results import BenchmarkResult
from docs.generate.markdown import words

INTRODUCTION = """# Python

`import chaku` takes a few milliseconds and does not import torch: a name imports what it needs when it is first used.
The command line calls the same functions. Every error that you can mend is a `chaku.ChakuError`.

```python
import chaku

model = chaku.load("smollm2-135m-instruct")  # or a directory, a .gguf file, a Hub id
print(model.complete("def fibonacci(n):\\n", max_tokens=40, stop=["\\n\\n"]).text)
print(model.chat("What is the capital of Peru?").text)
for piece in model.stream("import os\\n", max_tokens=20):
    print(piece, end="")

[[one, two]] = model.generate(["x = "], num_samples=2, temperature=0.8)  # many prompts at a time
coder = chaku.load("qwen2.5-coder-0.5b-instruct")
print(coder.infill("def add(a, b):\\n    ", "\\n    return result\\n", max_tokens=7).text)
print(model.score(["import os"])[0].bits_per_byte)

answer = chaku.ask("shop.sqlite", model, "How many customers are from Peru?")
print(answer.sql, answer.result.rows, answer.confidence)
result = chaku.evaluate(model, "first_steps", chat=True, out="results")
print(result.pass_at_k[1], result.intervals_95[1])
chaku.build_corpus(["path/to/repositories"], "corpus")
report = chaku.run("my-recipe.toml", overrides=["code.training.learning_rate=1e-4"])
```
"""
RESULTS = (SamplingParams, Completion, TextScore, BenchmarkResult)


def page() -> str:
    """The page, in Markdown."""
    parts = [INTRODUCTION]
    for name in (name for name in chaku.__all__ if name[0] != "_"):
        parts.append(described(f"chaku.{name}", getattr(chaku, name)))
    parts.append("## Settings and results\n")
    parts += [described(kind.__name__, kind, "###") for kind in RESULTS]
    return "\n".join(parts)


def described(name: str, thing: Any, level: str = "##") -> str:
    """A function, or a class with its public methods."""
    if not inspect.isclass(thing):
        return f"{level} {name}\n\n{signature(name, thing)}\n{words(thing.__doc__)}\n"
    parts = [f"{level} {name}\n\n{words(thing.__doc__)}\n"]
    if dataclasses.is_dataclass(thing):
        lines = "\n".join(f"{field.name}: {type_of(field.type)}{default(field)}" for field in dataclasses.fields(thing))
        parts.append(f"```python\n{lines}\n```\n")
    for key, member in vars(thing).items():
        if key.startswith("_") or not (inspect.isfunction(member) or isinstance(member, property)):
            continue
        if isinstance(member, property):
            parts.append(f"{level}# {name}.{key}\n\n{words(member.__doc__)}\n")
        else:
            parts.append(f"{level}# {name}.{key}\n\n{signature(key, member)}\n{words(member.__doc__)}\n")
    return "\n".join(parts)


def signature(name: str, function: Any) -> str:
    """A function's parameters as the code has them, one on each line where there are many."""
    [node] = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function)))).body
    assert isinstance(node, ast.FunctionDef)
    node.args.args = [argument for argument in node.args.args if argument.arg != "self"]
    for argument in ast.walk(node.args):
        if isinstance(argument, ast.arg) and isinstance(argument.annotation, ast.Constant):  # a type in quotes
            argument.annotation = ast.Name(str(argument.annotation.value))
    returns = "" if node.returns is None else f" -> {ast.unparse(node.returns)}".replace("'", "")
    arguments = ast.unparse(node.args)
    if len(name + arguments + returns) > 100:
        arguments = "\n    " + re.sub(r", (?=[\w*]+(?::|=|,|$))", ",\n    ", arguments) + ",\n"
    return f"```python\n{name}({arguments}){returns}\n```\n"


def type_of(hint: Any) -> str:
    return getattr(hint, "__name__", str(hint)) if inspect.isclass(hint) and "[" not in str(hint) else str(hint)


def default(field: dataclasses.Field) -> str:
    return "" if field.default is dataclasses.MISSING else f" = {field.default!r}"
