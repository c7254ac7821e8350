"""What a number rests on: versions, model, data, prompt form, sampling, seed."""

import platform
from importlib.metadata import version
from typing import Any

import chaku
from chaku.inference.generator import SamplingParams


def versions() -> dict[str, str]:
    """Of what makes a number: chaku, torch, Python."""
    return {"chaku": chaku.__version__, "torch": version("torch"), "python": platform.python_version()}


def sampling_record(params: SamplingParams) -> dict[str, Any]:
    """The sampling's part of a manifest."""
    return {
        "stops": list(params.stop),
        "max_tokens": params.max_tokens,
        "temperature": params.temperature,
        "top_p": params.top_p,
        "num_samples": params.num_samples,
        "seed": params.seed,
        "healing": params.healing,
    }
