"""What `complete` and `infill` share: the options of sampling, and how a completion is printed."""

import json
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import click

from chaku.cli.shared.loading import Loading
from chaku.cli.shared.options import Decorator, at_least_one, gathered, json_option, seed_option, warn_if_alike
from chaku.errors import ChakuError

if TYPE_CHECKING:
    from chaku.inference.generator import InfillPrompt, TextPrompt


@dataclass(frozen=True)
class Writing:
    """The options as they were given."""

    max_tokens: int
    temperature: float
    top_p: float
    stop: tuple[str, ...]
    seed: int
    num_samples: int
    as_json: bool


def writing_options() -> Decorator:
    """The options, in the parameter `writing`."""
    return gathered(
        "writing",
        Writing,
        click.option(
            "--max-tokens", type=int, default=128, callback=at_least_one, help="Write at most so many tokens."
        ),
        click.option("--temperature", type=float, default=0.0, help="Sample at this temperature; 0 is greedy."),
        click.option(
            "--top-p", type=float, default=1.0, help="Sample from the likeliest tokens whose probabilities sum to this."
        ),
        click.option("--stop", multiple=True, help="Stop before this text; may be given several times."),
        seed_option(),
        click.option(
            "--num-samples",
            type=int,
            default=1,
            callback=at_least_one,
            help="Write so many; more than one prints JSON lines.",
        ),
        json_option("Print a line of JSON: text, finish_reason, prompt_tokens_cut."),
    )


def write(
    model: str,
    loading: Loading,
    prompt: "TextPrompt | InfillPrompt",
    writing: Writing,
    before: str = "",
    after: str = "",
) -> None:
    """Print a completion as it is written, between two texts; or several, or as JSON, when they are whole."""
    loaded = loading.load(model)
    warn_if_alike(writing.num_samples, writing.temperature)
    sampling = asdict(writing)
    as_json, num_samples = sampling.pop("as_json"), sampling.pop("num_samples")
    if as_json or num_samples > 1:
        for completion in loaded.generate([prompt], num_samples=num_samples, **sampling)[0]:
            row = {
                "text": completion.text,
                "finish_reason": completion.finish_reason,
                "prompt_tokens_cut": completion.prompt_tokens_cut,
            }
            print(json.dumps(row, ensure_ascii=False))
        return
    shown = before
    for piece in loaded.stream(prompt, **sampling):  # raises before its first piece: then nothing is printed
        sys.stdout.write(shown + piece)
        sys.stdout.flush()
        shown = ""
    sys.stdout.write(shown)
    sys.stdout.write(after if after.endswith("\n") else after + "\n")


def read_stdin() -> str:
    """Standard input as text. Raises ChakuError where it is not UTF-8."""
    try:
        return sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError as error:
        raise ChakuError(
            f"standard input is not UTF-8 (byte {error.start + 1}); convert it, as with iconv -f latin1 -t utf-8"
        ) from None
