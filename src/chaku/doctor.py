"""`chaku doctor`: which parts of chaku work on this machine, and what to install for the others."""

import platform
import shutil
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import torch

from chaku.errors import ChakuError
from chaku.evals.benchmarks import humaneval
from chaku.evals.benchmarks.problem_files import find_file
from chaku.inference.load import openvino_problem
from chaku.machine import available_memory, computes_bfloat16, free_disk, num_cores
from chaku.sandbox.languages import toolchains
from chaku.sandbox.probe import about_isolation
from chaku.sql.engines.engine import Engine
from chaku.sql.engines.known import ENGINES

EXTRAS = {
    "sentencepiece": "to read tokenizer.model files: pip install 'chaku[sentencepiece]'",
    "mcp": "to give databases to assistants (chaku sql mcp): pip install 'chaku[mcp]'",
    "vl-convert-python": "to write charts and sheets of answers (--chart, --xlsx): pip install 'chaku[files]'",
    "torchao": "to train QLoRA, and to quantise weights on a GPU: pip install 'chaku[quantization]'",
    "tensorboard": "to write TensorBoard logs: pip install 'chaku[tensorboard]'",
    "datasets": "to read data sets of the Hub: pip install 'chaku[hub]'",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """A part of chaku: it works here, it is missing, or it is missing and chaku works without it."""

    status: Literal["ok", "optional", "missing"]
    text: str

    def __str__(self) -> str:
        return f"{self.status:8} {self.text}"


def examine() -> list[Finding]:
    """Versions, processors, the sandbox, the optional packages."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU; everything runs on the CPU"
    found = [
        Finding("ok", f"Python {platform.python_version()}, torch {torch.__version__}, {num_cores()} cores"),
        Finding("ok", device),
        Finding("ok", f"free: memory {_gigabytes(available_memory())}, disk here {_gigabytes(free_disk(Path.cwd()))}"),
    ]
    found += [_decoder(), _isolation(), *map(_language, toolchains.LANGUAGES)]
    for package, use in EXTRAS.items():
        try:
            found.append(Finding("ok", f"{package} {version(package)}"))
        except PackageNotFoundError:
            found.append(Finding("optional", f"{package} is not installed; {use}"))
    found += map(about_engine, ENGINES.values())
    try:
        found.append(Finding("ok", f"HumanEval in {find_file(None, humaneval.FILE, humaneval.URL)}"))
    except ChakuError as error:
        found.append(Finding("optional", f"HumanEval is not here: {error}"))
    if shutil.which("git") is None:
        found.append(Finding("optional", "git is not installed; git checkouts are read as plain directories"))
    return found


def about_engine(engine: Engine) -> Finding:
    """Whether databases of an engine can be asked, and the extra with its driver."""
    if missing := engine.missing:
        need = f"{engine.title} databases need {', '.join(missing)}: pip install 'chaku[{engine.extra}]'"
        return Finding("optional", need)
    tried = f"chaku was tried with {engine.tried}" if engine.tried else "chaku was never tried against such a server"
    return Finding("ok", f"{engine.title} databases can be asked; {tried}")


def _decoder() -> Finding:
    dtype = "bfloat16" if computes_bfloat16() else "float32: this processor cannot multiply bfloat16"
    if problem := openvino_problem():
        return Finding(
            "optional", f"models decode in PyTorch ({dtype}), several times slower than with OpenVINO; {problem}"
        )
    return Finding(
        "ok", f"models decode with OpenVINO {version('openvino')} on the processor, and in PyTorch with {dtype}"
    )


def _gigabytes(size: int | None) -> str:
    return "unknown" if size is None else f"{size / 1e9:.1f} GB"


def _isolation() -> Finding:
    try:
        about = about_isolation()
    except ChakuError as error:
        return Finding("missing", f"sandbox: {error}")
    landlock = f"Landlock {about['landlock']}" if about["landlock"] else "no Landlock in this kernel"
    seccomp = "seccomp" if about["seccomp"] else "no seccomp on this processor"
    bubblewrap, user = f"{about['bubblewrap']} ({about['bwrap']})", about["user"]
    return Finding("ok", f"sandbox: {bubblewrap}; programs run as {user}; {seccomp}, {landlock}")


def _language(name: str) -> Finding:
    if missing := toolchains.missing_tools(name):
        install = toolchains.how_to_install(name)
        return Finding("optional", f"sandbox cannot run {name} without {' and '.join(missing)}: {install}")
    if problem := toolchains.why_it_does_not_start(name):
        return Finding("optional", f"sandbox cannot run {name}, which is installed but does not start: {problem}")
    return Finding("ok", f"sandbox runs {name}: {toolchains.version(name)}")
