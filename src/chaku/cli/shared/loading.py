"""A command's model, and the options that say how it is loaded: in which dtype, where, how its weights are packed."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import click

from chaku.cli.shared.names import MODEL_NAME
from chaku.cli.shared.options import Decorator, gathered
from chaku.errors import ChakuError

if TYPE_CHECKING:
    from chaku.api import Model

MODEL = "A model directory or .gguf file, a name that `chaku models` lists, or a Hub id"
KEY = "its key is $OPENAI_API_KEY"


@dataclass(frozen=True)
class Loading:
    """The options as they were given; None: `load` chooses."""

    dtype: str | None
    device: str | None
    quantize: Literal["int8", "int4"] | None
    decoder: Literal["torch", "openvino"] | None

    def load(self, model: str) -> "Model":
        """The model, from this machine."""
        from chaku import api

        return api.load(model, **asdict(self))

    def load_or_connect(
        self, model: str, endpoint: str | None, *, chat: bool, patience: float | None = None
    ) -> "Model":
        """The model on this machine, or with `endpoint` the model that the server knows as `model`.

        Raises ChakuError where one of the options is given beside --endpoint.
        """
        from chaku import api

        if endpoint is None:
            return self.load(model)
        self.refuse()
        return api.connect(endpoint, model, chat=chat, patience=patience)

    def for_engine(self) -> dict[str, Any]:
        """The options as arguments of `load_engine`."""
        return {"scheme" if name == "quantize" else name: value for name, value in asdict(self).items()}

    def refuse(self) -> None:
        """Raises ChakuError where one of the options is given beside --endpoint."""
        if given := next((name for name, value in asdict(self).items() if value is not None), None):
            raise ChakuError(f"--{given} is for a model that is loaded here; an endpoint serves what it serves")


def model_argument(name: str = "model", help: str = f"{MODEL}.") -> Decorator:
    """The argument MODEL."""
    return click.argument(name, type=MODEL_NAME, help=help)


def served_argument() -> Decorator:
    """The argument MODEL of a command that can ask a server."""
    return model_argument(help=f"{MODEL}; with --endpoint, the name by which the server knows it.")


def loading_options(quantize: str = "Hold the weights in 8 or 4 bits; without it, as they are stored.") -> Decorator:
    """The options, in the parameter `loading`; `quantize` is the help of --quantize."""
    return gathered(
        "loading",
        Loading,
        click.option("--quantize", type=click.Choice(["int8", "int4"]), help=quantize),
        click.option(
            "--dtype",
            help="Compute in float32, float16 or bfloat16; without it, as stored where this machine computes it fast.",
        ),
        click.option("--device", help="Compute on cpu, cuda, cuda:1 or mps; without it, on the GPU if there is one."),
        click.option(
            "--decoder",
            type=click.Choice(["torch", "openvino"]),
            help="Decode with PyTorch or OpenVINO; without it, with OpenVINO on a processor where it is installed.",
        ),
    )
