"""The model that writes instruction data for a command: loaded here, or behind an endpoint."""

from typing import TYPE_CHECKING

from chaku.cli.shared.loading import Loading

if TYPE_CHECKING:
    from chaku.inference.generator import Generator


def writer(model: str, endpoint: str | None, chat: bool, loading: Loading) -> "Generator":
    """The model that writes questions, tests and solutions. Raises ChakuError for a chat without a chat template."""
    from chaku.inference.chat_writer import ChatWriter

    generator = loading.load_or_connect(model, endpoint, chat=chat).generator
    return ChatWriter(generator) if chat and endpoint is None else generator
