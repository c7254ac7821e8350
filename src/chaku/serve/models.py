"""The model that is served, by its names, and its texts for a contract."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chaku.inference.generator import AnyPrompt, InfillPrompt, Request, TextPrompt
from chaku.inference.scheduler import Piece
from chaku.serve.service import TextService, Writing

if TYPE_CHECKING:
    from chaku.serve.databases import Databases


def is_open(prompt: AnyPrompt) -> bool:
    """Whether the last token before the cursor may be the beginning of a longer one: unless its line has ended."""
    match prompt:
        case TextPrompt(text) | InfillPrompt(text, _):
            return not text.endswith("\n")
    return False


@dataclass
class Served:
    """A service with the model's name. `heals`: whether it heals prompts (see `SamplingParams.healing`).

    `databases`: those for whose schemas a request may want SQL.
    """

    service: TextService
    name: str
    heals: bool = True
    databases: "Databases | None" = None

    def healing(self, prompt: AnyPrompt) -> bool:
        """Whether the text before the cursor is healed."""
        return self.heals and self.service.heals and is_open(prompt)

    @property
    def adapters(self) -> tuple[str, ...]:
        """The LoRA adapters, which are models by their own names."""
        return self.service.engine.adapters

    def adapter(self, name: str) -> str | None:
        """The adapter that a request means by its model's name; None for the model itself.

        An unknown name means the model, too: editors often send a name of their own.
        """
        return name if name in self.adapters else None

    async def write_all(
        self, requests: Sequence[Request], num_top: int | None = None
    ) -> list[tuple[list[Piece], Writing]]:
        """The whole texts of some requests, in their order."""
        found: dict[int, tuple[list[Piece], Writing]] = {}
        async for number, piece, writing in self.write_together(requests, num_top):
            found.setdefault(number, ([], writing))[0].append(piece)
        return [found[number] for number in range(len(requests))]

    async def write_together(
        self, requests: Sequence[Request], num_top: int | None = None
    ) -> AsyncGenerator[tuple[int, Piece, Writing], None]:
        """(number of the request, piece, its text) of some requests, as they come. Cancels what is left early."""
        writings: list[Writing] = []
        pieces: asyncio.Queue[tuple[int, Piece | Exception | None]] = asyncio.Queue()
        readers: list[asyncio.Task[None]] = []

        async def read(number: int, writing: Writing) -> None:
            try:
                async for piece in writing:
                    pieces.put_nowait((number, piece))
                pieces.put_nowait((number, None))
            except Exception as error:
                pieces.put_nowait((number, error))

        try:
            for request in requests:
                writings.append(await self.service.ask(request, num_top))
            if len(writings) == 1:
                async for piece in writings[0]:
                    yield 0, piece, writings[0]
                return
            readers = [asyncio.create_task(read(number, writing)) for number, writing in enumerate(writings)]
            num_open = len(readers)
            while num_open:
                number, item = await pieces.get()
                if isinstance(item, Exception):
                    raise item
                if item is None:
                    num_open -= 1
                else:
                    yield number, item, writings[number]
        finally:
            for reader in readers:
                reader.cancel()
            for writing in writings:
                writing.close()
