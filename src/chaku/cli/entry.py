"""The command line: one verb a job. Parses, calls, prints; no logic."""

import argparse
import json
import os
import signal
import sys
import threading
import webbrowser
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from chaku.cli import chat, instruct_synthesize, models
from chaku.cli import eval_run as eval_commands
from chaku.cli import sandbox_run as sandbox_commands
from chaku.cli.loading import MODEL, add_loading, load
from chaku.console import set_quiet
from chaku.errors import ChakuError
from chaku.files import FULL, UNWRITABLE

if TYPE_CHECKING:  # each command imports what it needs: torch takes a second
    from chaku.inference.generator import InfillPrompt, TextPrompt


def main(arguments: list[str] | None = None) -> int:
    """Run one command. Exit status: 0 done, 1 a program failed, 2 the user's mistake, 130 or 143 stopped."""
    # By default threads wait for each other awake, for long: up to ten times slower where another program wants a core
    # too. Asleep at once is a quarter slower on an idle machine (docs/log.md). torch's OpenMP reads it as it loads.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    options = _parser().parse_args(arguments)
    set_quiet(options.quiet)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _terminate)
    try:
        status = options.command(options) or 0
        sys.stdout.flush()
        return status
    except ChakuError as error:
        print(f"chaku: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stopped:
        print("chaku: stopped; what is finished is kept", file=sys.stderr)
        return 143 if isinstance(stopped, _Terminated) else 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.errno not in UNWRITABLE | FULL:
            raise
        print(f"chaku: cannot read or write {error.filename or 'the output'}: {error.strerror}", file=sys.stderr)
        with suppress(OSError):  # what is left to be written would be tried again at the end
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 2
    except ModuleNotFoundError as error:
        if error.name not in ("fcntl", "resource"):
            raise
        print(
            f"chaku: this command needs Unix ({error.name} is missing here): use chaku inside WSL (wsl --install)",
            file=sys.stderr,
        )
        return 2
    except Exception as error:
        if type(error).__name__ != "Interrupted":  # imported lazily: torch takes a second
            raise
        print(f"chaku: {error}", file=sys.stderr)
        return 130


class _Terminated(KeyboardInterrupt):
    """SIGTERM arrived: as for Ctrl-C, what is open is closed and what was started is ended."""


def _terminate(number: int, frame: FrameType | None) -> None:
    raise _Terminated


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--quiet", action="store_true", help="no progress, only results and errors")
    parser = argparse.ArgumentParser(prog="chaku", description="The whole Code Llama recipe as one program.")
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")

    run = verbs.add_parser("run", parents=[common], help="run a recipe, or go on with it")
    run.add_argument("recipe", type=Path)
    run.add_argument("--out", type=Path, help="run directory (default: runs/NAME)")
    run.add_argument("--set", action="append", metavar="KEY=VALUE", dest="overrides", help="override a recipe key")
    run.add_argument(
        "--without-missing",
        action="store_true",
        help="run what can run without what this machine lacks; the report says what was left out",
    )
    run.add_argument(
        "--yes",
        action="store_true",
        help="make finished work again where the recipe or its sources changed, without asking first",
    )
    run.add_argument("--open", action="store_true", help="open the report in a browser at the end")
    run.set_defaults(command=_run)

    corpus = verbs.add_parser("corpus", help="documents").add_subparsers(required=True, metavar="COMMAND")
    build = corpus.add_parser("build", parents=[common], help="gather, filter, deduplicate, split, write Parquet")
    build.add_argument("sources", nargs="*", help="directories, git checkouts, .jsonl or .parquet files (.gz, .zst)")
    build.add_argument("--recipe", type=Path, help="take sources and limits from this recipe's [corpus]")
    build.add_argument("--out", type=Path, required=True)
    build.add_argument("--json", action="store_true", help="print the summary as JSON")
    build.set_defaults(command=_corpus_build)

    completing = verbs.add_parser("complete", parents=[common], help="complete a text")
    completing.add_argument("model", help=MODEL)
    completing.add_argument("prompt", nargs="?", help="the text; '-' or nothing reads standard input")
    _add_sampling(completing)
    completing.set_defaults(command=_complete)

    infilling = verbs.add_parser("infill", parents=[common], help="fill the hole in a file")
    infilling.add_argument("model", help=MODEL)
    infilling.add_argument("file", nargs="?", help="a file with one <FILL_ME>; '-' reads standard input")
    infilling.add_argument("--prefix", help="text before the hole, in place of a file")
    infilling.add_argument("--suffix", help="text after the hole")
    infilling.add_argument("--mode", choices=["psm", "spm"], help="default: psm where the model has it")
    infilling.add_argument("--whole", action="store_true", help="print prefix and suffix too")
    infilling.add_argument(
        "--context",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="other files of the repository, which the model reads first (Qwen2.5-Coder, StarCoder2)",
    )
    infilling.add_argument("--path", help="of the file with the hole, as --context tells it (default: its name)")
    _add_sampling(infilling)
    infilling.set_defaults(command=_infill)

    models.add_commands(verbs, common)
    chat.add_commands(verbs, common)
    instruct_synthesize.add_commands(verbs, common)
    evaluating = verbs.add_parser("eval", help="benchmarks: list, run, score, compare")
    eval_commands.add_commands(evaluating.add_subparsers(required=True, metavar="COMMAND"), common)

    converting = verbs.add_parser("convert", parents=[common], help="write a checkpoint in another format")
    converting.add_argument("source", help=MODEL)
    converting.add_argument("target", type=Path, help="a new directory; for GGUF a new file")
    converting.add_argument("--to", choices=["hf", "meta", "gguf"], required=True)
    converting.add_argument("--dtype", help="float32, float16, bfloat16 (default: as stored); GGUF: f32, f16, q8_0")
    converting.add_argument("--shards", type=int, default=1, help="files of Meta's format: its model parallelism")
    converting.add_argument("--verify", action="store_true", help="compare the scores of both sides before it stands")
    converting.add_argument("--json", action="store_true")
    converting.set_defaults(command=_convert)

    merging = verbs.add_parser("merge", parents=[common], help="add a LoRA adapter to its base")
    merging.add_argument("base", help=MODEL)
    merging.add_argument("adapter", type=Path, help="a directory in PEFT's format")
    merging.add_argument("target", type=Path, help="a new directory")
    merging.set_defaults(command=_merge)

    inspecting = verbs.add_parser("inspect", parents=[common], help="what a checkpoint is; no weight is read")
    inspecting.add_argument("model", help=MODEL)
    inspecting.add_argument("--json", action="store_true")
    inspecting.set_defaults(command=_inspect)

    from chaku.cli import sql_prepare as sql

    sql.add_commands(verbs, common)

    report = verbs.add_parser("report", parents=[common], help="write a run's report.html again")
    report.add_argument("run", type=Path, help="the directory of a run")
    report.add_argument(
        "--beside", type=Path, nargs="+", default=[], metavar="RUN", help="other runs, whose figures are shown too"
    )
    report.add_argument("--open", action="store_true", help="open the report in a browser")
    report.set_defaults(command=_report)

    sandbox_commands.add_commands(verbs, common)

    doctor = verbs.add_parser("doctor", parents=[common], help="what this machine can do, and what to install")
    doctor.set_defaults(command=_doctor)
    return parser


def _add_sampling(parser: argparse.ArgumentParser) -> None:
    add_loading(parser)
    parser.add_argument("--max-tokens", type=int, default=128)
    parser.add_argument("--temperature", type=float, default=0.0, help="0 is greedy")
    parser.add_argument("--top-p", type=float, default=1.0)
    parser.add_argument("--stop", action="append", default=[], help="stop before this text; may be given several times")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--num-samples", type=int, default=1, help="more than one prints JSON lines")
    parser.add_argument("--json", action="store_true")


def _run(options: argparse.Namespace) -> None:
    _say_what_does_not_run()
    from chaku import api

    report = api.run(
        options.recipe,
        options.out,
        overrides=options.overrides or (),
        without_missing=options.without_missing,
        make_again=options.yes or (_may_make_again if sys.stdin.isatty() and sys.stderr.isatty() else False),
    )
    _show_report(report, report.parent, options.open)


def _may_make_again(what: str) -> bool:
    print(f"chaku: {what}", file=sys.stderr)
    return input("make it again? [y/N] ").strip().lower() in ("y", "yes")


def _show_report(report: Path, run: Path, in_browser: bool) -> None:
    from chaku.pipeline.try_it import read_commands

    if in_browser and (os.environ.get("DISPLAY") or sys.platform == "darwin"):
        webbrowser.open(report.resolve().as_uri())
    print(report)
    for command in read_commands(run):
        print(f"\n# {command.about}\n{command.command}")


def _corpus_build(options: argparse.Namespace) -> None:
    from chaku import api
    from chaku.corpus.build import show_summary

    summary = api.build_corpus(options.sources, options.out, recipe=options.recipe)
    if options.json:
        print(json.dumps(summary))
    else:
        show_summary(summary)


def _complete(options: argparse.Namespace) -> None:
    from chaku.inference.generator import TextPrompt

    text = _read_stdin() if options.prompt in (None, "-") else options.prompt
    _generate(options, TextPrompt(text), before=text)


def _infill(options: argparse.Namespace) -> None:
    from chaku.inference.generator import InfillPrompt, RepositoryFile
    from chaku.inference.prompts import split_fill_me

    if options.prefix is not None or options.suffix is not None:
        if options.file is not None:
            raise ChakuError("give a file, or --prefix and --suffix: not both")
        prefix, suffix = options.prefix or "", options.suffix or ""
    elif options.file in (None, "-"):
        prefix, suffix = split_fill_me(_read_stdin())
    else:
        prefix, suffix = split_fill_me(_read(Path(options.file)))
    file = None
    if options.context:
        path = options.path or (options.file if options.file not in (None, "-") else "file")
        others = tuple((str(other), _read(other)) for other in options.context)
        file = RepositoryFile(Path.cwd().name, path, others)
    around = (prefix, suffix) if options.whole else ("", "")
    _generate(options, InfillPrompt(prefix, suffix, options.mode, file), before=around[0], after=around[1])


def _generate(
    options: argparse.Namespace, prompt: "TextPrompt | InfillPrompt", before: str = "", after: str = ""
) -> None:
    model = load(options)
    sampling = {name: getattr(options, name) for name in ("max_tokens", "temperature", "top_p", "seed")}
    sampling["stop"] = tuple(options.stop)
    if options.json or options.num_samples > 1:
        for completion in model.generate([prompt], num_samples=options.num_samples, **sampling)[0]:
            row = {
                "text": completion.text,
                "finish_reason": completion.finish_reason,
                "prompt_tokens_cut": completion.prompt_tokens_cut,
            }
            print(json.dumps(row, ensure_ascii=False))
        return
    sys.stdout.write(before)
    for piece in model.stream(prompt, **sampling):
        sys.stdout.write(piece)
        sys.stdout.flush()
    sys.stdout.write(after if after.endswith("\n") else after + "\n")


def _read_stdin() -> str:
    try:
        return sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError as error:
        raise ChakuError(
            f"standard input is not UTF-8 (byte {error.start + 1}); convert it, as with iconv -f latin1 -t utf-8"
        ) from None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ChakuError(f"cannot read {path}: {error}") from error


def _convert(options: argparse.Namespace) -> None:
    from chaku.checkpoint.convert import convert, in_words

    result = convert(
        options.source,
        options.target,
        options.to,
        dtype=options.dtype,
        num_shards=options.shards,
        verify=options.verify,
    )
    print(json.dumps(result) if options.json else in_words(result))


def _merge(options: argparse.Namespace) -> None:
    from chaku.checkpoint.convert import in_words, merge

    print(in_words(merge(options.base, options.adapter, options.target)))


def _inspect(options: argparse.Namespace) -> None:
    from chaku.checkpoint.inspect import in_lines, inspect

    about = inspect(options.model)
    print(json.dumps(about) if options.json else "\n".join(in_lines(about)))


def _report(options: argparse.Namespace) -> None:
    from chaku.report import write_report

    for run in (options.run, *options.beside):
        if not run.is_dir():
            raise ChakuError(f"{run} is not a run directory")
    _show_report(write_report(options.run, options.beside), options.run, options.open)


def _say_what_does_not_run() -> None:
    """In the first second, before torch is imported."""
    from chaku.console import say
    from chaku.machine import what_does_not_run

    for line in what_does_not_run():
        say(line)


def _doctor(options: argparse.Namespace) -> None:
    _say_what_does_not_run()
    from chaku.doctor import examine

    for line in examine():
        print(line)
