"""The model that writes instruction data for a command: loaded here, or behind an endpoint."""

from typing import TYPE_CHECKING

from chaku.cli.shared.loading import Loading
from chaku.errors import ChakuError

if TYPE_CHECKING:
    from chaku.inference.generator import Generator


def writer(model: str, endpoint: str | None, chat: bool, loading: Loading) -> "Generator":
    """The model that writes questions, tests and solutions. Raises ChakuError for --chat without --endpoint."""
    if chat and endpoint is None:
        raise ChakuError("--chat is for an --endpoint; a checkpoint here completes texts")
    return loading.load_or_connect(model, endpoint, chat=chat).generator
