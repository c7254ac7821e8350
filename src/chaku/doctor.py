"""`chaku doctor`: which parts of chaku work on this machine, and what to install for the others."""

import platform
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from chaku.errors import ChakuError
from chaku.evals.benchmarks import humaneval
from chaku.evals.benchmarks.problem_files import find_file
from chaku.inference.load import openvino_problem
from chaku.machine import available_memory, computes_bfloat16, free_disk, num_cores
from chaku.sandbox.languages import toolchains
from chaku.sandbox.probe import about_isolation

EXTRAS = {
    "sentencepiece": "reading tokenizer.model files: pip install 'chaku[sentencepiece]'",
    "duckdb": "asking DuckDB, PostgreSQL and MySQL databases: pip install 'chaku[sql]'",
    "torchao": "QLoRA, and quantised weights on a GPU: pip install 'chaku[quantization]'",
    "tensorboard": "TensorBoard logs: pip install 'chaku[tensorboard]'",
    "datasets": "Hub data sets: pip install 'chaku[hub]'",
}


def examine() -> list[str]:
    """One line per finding: versions, processors, the sandbox, the optional packages."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU; everything runs on the CPU"
    lines = [
        f"ok       Python {platform.python_version()}, torch {torch.__version__}, {num_cores()} cores",
        f"ok       {device}",
        f"ok       free: memory {_gigabytes(available_memory())}, disk here {_gigabytes(free_disk(Path.cwd()))}",
    ]
    lines += [_decoder(), _isolation(), *map(_language, toolchains.LANGUAGES)]
    for package, use in EXTRAS.items():
        try:
            lines.append(f"ok       {package} {version(package)}")
        except PackageNotFoundError:
            lines.append(f"optional {package} is not installed; {use}")
    try:
        lines.append(f"ok       HumanEval in {find_file(None, humaneval.FILE, humaneval.URL)}")
    except ChakuError as error:
        lines.append(f"optional HumanEval is not on this machine: {error}")
    if shutil.which("git") is None:
        lines.append("optional git is not installed; git checkouts are read as plain directories")
    return lines


def _decoder() -> str:
    dtype = "bfloat16" if computes_bfloat16() else "float32: this processor cannot multiply bfloat16"
    if problem := openvino_problem():
        return f"optional models decode in PyTorch ({dtype}), several times slower than with OpenVINO; {problem}"
    return f"ok       models decode with OpenVINO {version('openvino')} on the processor, and in PyTorch with {dtype}"


def _gigabytes(size: int | None) -> str:
    return "unknown" if size is None else f"{size / 1e9:.1f} GB"


def _isolation() -> str:
    try:
        about = about_isolation()
    except ChakuError as error:
        return f"missing  sandbox: {error}"
    landlock = f"Landlock {about['landlock']}" if about["landlock"] else "no Landlock in this kernel"
    seccomp = "seccomp" if about["seccomp"] else "no seccomp on this processor"
    bubblewrap, user = f"{about['bubblewrap']} ({about['bwrap']})", about["user"]
    return f"ok       sandbox: {bubblewrap}, programs as a user of {user}, {seccomp}, {landlock}"


def _language(name: str) -> str:
    problem = toolchains.why_not(name)
    return (
        f"optional sandbox runs no {problem}"
        if problem
        else f"ok       sandbox runs {name}: {toolchains.version(name)}"
    )
