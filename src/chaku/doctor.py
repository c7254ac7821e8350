"""What this machine can do for chaku, and what to install for the rest."""

import os
import platform
import shutil
from importlib.metadata import PackageNotFoundError, version

import torch

from chaku.errors import ChakuError
from chaku.evals import humaneval
from chaku.evals.problem_files import find_file
from chaku.sandbox.probe import check_sandbox

EXTRAS = {
    "sentencepiece": "reading tokenizer.model files: pip install 'chaku[sentencepiece]'",
    "gguf": "writing GGUF files for llama.cpp: pip install 'chaku[gguf]'",
    "torchao": "quantised weights, QLoRA: pip install 'chaku[quantization]'",
    "tensorboard": "TensorBoard logs: pip install 'chaku[tensorboard]'",
    "datasets": "Hub data sets: pip install 'chaku[hub]'",
}


def examine() -> list[str]:
    """One line a finding: versions, processors, the sandbox, the optional packages."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU; everything runs on the CPU"
    lines = [
        f"ok       Python {platform.python_version()}, torch {torch.__version__}, {cores} cores",
        f"ok       {device}",
    ]
    problem = check_sandbox()
    lines.append(
        "ok       sandbox: bubblewrap isolates programs" if problem is None else f"missing  sandbox: {problem}"
    )
    for package, use in EXTRAS.items():
        try:
            lines.append(f"ok       {package} {version(package)}")
        except PackageNotFoundError:
            lines.append(f"optional {package} is not installed; {use}")
    try:
        lines.append(f"ok       HumanEval in {find_file(None, humaneval.FILE, humaneval.URL)}")
    except ChakuError as error:
        lines.append(f"optional HumanEval is not there: {error}")
    if shutil.which("git") is None:
        lines.append("optional git is not installed; git checkouts are read as plain directories")
    return lines
