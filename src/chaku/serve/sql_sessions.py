"""The conversations of a database's clients: so many, for so long, by ids that nobody can guess."""

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from chaku.serve.fields import Refusal
from chaku.sql.ask.asker import Asker
from chaku.sql.conversation.session import Session

MAX_SESSIONS = 100  # of a database; a new one takes the place of the one that was not used for the longest time
IDLE_SECONDS = 3600.0  # after which a session ends
KEPT_ROWS = 100  # of each turn
NEW = "new"  # in the place of an id: begin a session


@dataclass
class Held:
    """A session that a client may name by its `id`. `used`: when the client last did."""

    id: str
    used: float
    session: Session | None = None

    def over(self, asker: Asker) -> Session:
        """The session, begun with the first question."""
        if self.session is None or self.session.asker is not asker:
            self.session = Session(asker, max_rows=KEPT_ROWS)
        return self.session


class Sessions:
    """The sessions of one database, by id."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._held: OrderedDict[str, Held] = OrderedDict()  # the least recently used first

    def find(self, id: str) -> Held:
        """The session with an id, or a new one for NEW. Raises Refusal(404) for an id that is unknown or has ended."""
        now = self._clock()
        while self._held and now - next(iter(self._held.values())).used > IDLE_SECONDS:
            self._held.popitem(last=False)
        if id == NEW:
            while len(self._held) >= MAX_SESSIONS:
                self._held.popitem(last=False)
            id = secrets.token_urlsafe(16)
            self._held[id] = Held(id, now)
        if id not in self._held:
            raise Refusal(404, f"there is no such session, or it has ended; begin one: session {NEW!r}", "session")
        held = self._held[id]
        held.used = now
        self._held.move_to_end(id)
        return held
