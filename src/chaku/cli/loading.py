"""The options of every command that loads a model: in which dtype, on which device, how its weights are packed."""

import argparse
from typing import TYPE_CHECKING, Any

from chaku.errors import ChakuError

if TYPE_CHECKING:
    from chaku.api import Model

MODEL = "a model directory or .gguf file, a name that `chaku models` lists, or a Hub id"
SERVED = f"{MODEL}; with --endpoint, the name that the server knows"
_OPTIONS = ("dtype", "device", "quantize", "decoder")


def add_loading(
    parser: argparse.ArgumentParser, quantize: str = "weights in 8 or 4 bits (default: as they are stored)"
) -> None:
    """Add the options; `quantize` is the help of --quantize."""
    parser.add_argument("--quantize", choices=["int8", "int4"], help=quantize)
    parser.add_argument(
        "--dtype", help="of the weights: float32, float16, bfloat16 (default: as stored, where that computes fast)"
    )
    parser.add_argument("--device", help="cpu, cuda, cuda:1, mps (default: the GPU if there is one)")
    parser.add_argument(
        "--decoder", choices=["torch", "openvino"],
        help="what computes (default: OpenVINO on a processor where it is installed; `chaku doctor` says)",
    )  # fmt: skip


def loading(options: argparse.Namespace) -> dict[str, Any]:
    """What was given of the options, as arguments of `load_engine`."""
    return {"scheme" if name == "quantize" else name: getattr(options, name) for name in _OPTIONS}


def load(options: argparse.Namespace) -> "Model":
    """The model of `options.model`."""
    from chaku import api

    return api.load(options.model, **{name: getattr(options, name) for name in _OPTIONS})


def refuse_loading(options: argparse.Namespace) -> None:
    """Raises ChakuError where an option of loading is given beside --endpoint."""
    if given := next((name for name in _OPTIONS if getattr(options, name) is not None), None):
        raise ChakuError(f"--{given} is for a model that is loaded here; an endpoint serves what it serves")
