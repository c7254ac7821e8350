"""What a number rests on: versions, model, data, prompt form, sampling, seed."""

import platform
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import chaku

if TYPE_CHECKING:  # scoring needs no torch, which takes a second to import
    from chaku.inference.decoder import Decoder
    from chaku.inference.sampling import SamplingParams
    from chaku.model.llama import Llama


def versions() -> dict[str, str]:
    """Of what makes a number: chaku, torch, Python."""
    return {"chaku": chaku.__version__, "torch": version("torch"), "python": platform.python_version()}


def manifest(*, model_sha256: str, tokenizer_sha256: str, data_sha256: str, **settings: Any) -> dict[str, Any]:
    """A flat record to keep beside a result; `settings` are the measure's own (prompt form, lengths, limits, seeds)."""
    model = {"model_sha256": model_sha256, "tokenizer_sha256": tokenizer_sha256}
    return {**versions(), **model, "data_sha256": data_sha256, **settings}


def sampling_record(params: "SamplingParams") -> dict[str, Any]:
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


def weights_sha256(model: "Llama | Decoder") -> str:
    """The hash of a model's weights."""
    return _decoder(model).weights_sha256()


def decoder_record(model: "Llama | Decoder") -> dict[str, str]:
    """What computed the logits, and how the weights were kept: both change scores a little."""
    decoder = _decoder(model)
    return {"decoder": decoder.name, "precision": decoder.precision}


def _decoder(model: "Llama | Decoder") -> "Decoder":
    from chaku.inference.torch_decoder import TorchDecoder
    from chaku.model.llama import Llama

    return TorchDecoder(model) if isinstance(model, Llama) else model
