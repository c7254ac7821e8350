"""What a number rests on: versions, model, data, prompt form, sampling, seed."""

import hashlib
import platform
from dataclasses import asdict
from typing import Any

import torch
from torch import nn

import chaku
from chaku.inference.sampling import SamplingParams
from chaku.model.quantization import stored_tensors


def manifest(
    *,
    model_sha256: str,
    tokenizer_sha256: str,
    data_sha256: str,
    prompt_form: str | None = None,
    sampling: SamplingParams | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """A flat record to keep beside a result; `settings` are the benchmark's own (lengths, limits, seeds)."""
    record: dict[str, Any] = {
        "chaku": chaku.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "model_sha256": model_sha256,
        "tokenizer_sha256": tokenizer_sha256,
        "data_sha256": data_sha256,
    }
    if prompt_form is not None:
        record["prompt_form"] = prompt_form
    if sampling is not None:
        record.update(
            (name, list(value) if isinstance(value, tuple) else value) for name, value in asdict(sampling).items()
        )
    return {**record, **settings}


def weights_sha256(model: nn.Module) -> str:
    """The hash of a model's weights: names, shapes, types and bytes, whatever file they came from."""
    digest = hashlib.sha256()
    for name, weight in sorted(model.state_dict().items()):
        digest.update(f"{name} {tuple(weight.shape)} {weight.dtype}\n".encode())
        for part in stored_tensors(weight):
            digest.update(part.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
