"""One of the operator's databases, for the requests of an event loop: it does one thing at a time, in a thread."""

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, aclosing, closing
from typing import TypeVar

from chaku import api
from chaku.errors import ChakuError
from chaku.serve.database_settings import Asking, Connect
from chaku.serve.fields import Refusal
from chaku.serve.generator import ServiceGenerator
from chaku.serve.service import BusyError, StoppingError
from chaku.serve.sql_answers import (
    AnswerRecord,
    ClarifyRecord,
    NoAnswerRecord,
    RowsRecord,
    SchemaRecord,
    answer_record,
    rows_record,
    schema_record,
)
from chaku.serve.sql_sessions import Sessions
from chaku.sql.ask.answers import MAX_QUESTION, Answer, Linked, Ran, Written
from chaku.sql.ask.asker import Asker
from chaku.sql.ask.privacy import without_values
from chaku.sql.ask.writer import query_grammar
from chaku.sql.conversation.unclear import Clarify
from chaku.sql.execute.database import Database
from chaku.sql.execute.runner import Result
from chaku.sql.schema.definition import Schema
from chaku.sql.schema.private import without_private

MAX_SQL = 10_000  # characters: the check of a long chain of UNIONs takes seconds, and no time limit ends it
MAX_SAMPLES = 32
INTERRUPT_SECONDS = 0.1  # between two attempts to end work that nobody waits for

T = TypeVar("T")
Step = Linked | Written | Ran | AnswerRecord | NoAnswerRecord | ClarifyRecord


class _End:
    """What follows the last step of a work."""


class Desk:
    """A database. Its methods belong to one event loop, and raise BusyError when too many requests wait."""

    def __init__(self, name: str, database: Database, connect: Connect, pool: ThreadPoolExecutor, asking: Asking):
        self.name = name
        self._database, self._connect, self._pool, self._asking = database, connect, pool, asking
        self._turn = asyncio.Lock()  # held by the request that is being worked on
        self.num_waiting = 0
        self._closed = False
        self._asker: Asker | None = None  # made for the first request
        self._sessions = Sessions()
        self._model: api.Model | None = None
        self._stack = ExitStack()
        self._enders: set[asyncio.Task[None]] = set()

    async def ask(self, question: str, samples: int | None = None, session: str = "") -> AsyncGenerator[Step, None]:
        """The steps to the answer, which is the last step. Raises Refusal and ChakuError.

        `session`: the id of a conversation, or NEW to begin one, which may ask a question back; "" for none.
        """
        _check_length(question, MAX_QUESTION, "question")
        samples = samples or self._asking.num_samples
        held = self._sessions.find(session) if session else None
        id, started = held.id if held else "", time.monotonic()

        def work(asker: Asker) -> Iterator[Step]:
            for step in (held.over(asker) if held else asker).steps(question, samples):
                if isinstance(step, Clarify):
                    yield ClarifyRecord(step.question, [*step.choices], id)
                elif not isinstance(step, Answer):
                    yield step
                elif step.refusal:
                    yield NoAnswerRecord(step.question, step.refusal, id)
                else:
                    yield answer_record(step, asker.schema, samples, time.monotonic() - started, id)

        async with aclosing(self._work(work)) as steps:
            async for step in steps:
                yield step

    async def back(self, session: str) -> str:
        """Forget the last turn of a session. Returns the question that the next one may go on with; "" for none."""
        held = self._sessions.find(session)

        def work(asker: Asker) -> str:
            turn = held.over(asker).back()
            return turn.answer.question if turn else ""

        return await self._one(work)

    async def run(self, sql: str) -> RowsRecord:
        """The rows of a client's own query, under the rules of a model's queries. Raises Refusal and ChakuError."""
        _check_length(sql, MAX_SQL, "sql")
        return await self._one(lambda asker: rows_record(sql, _ran(asker.run(sql))))

    async def schema(self) -> SchemaRecord:
        """The tables, as they are; while the database works, as it last read them.

        Without values if the model may see none: an assistant that reads them is a model, too.
        """
        schema = await self._schema()
        return schema_record(self.name, schema if self._asking.send_values else without_values(schema))

    async def grammar(self) -> str:
        """The grammar of a query of this database. Raises Refusal."""
        schema = await self._schema()
        if not any(table.columns for table in schema.tables):
            raise Refusal(400, f"the database {self.name} has no columns to ask for", "database")
        return await asyncio.to_thread(query_grammar, schema)

    async def _schema(self) -> Schema:
        if self._turn.locked() and self._asker:
            return without_private(self._asker.schema)
        return await self._one(lambda asker: without_private(asker.schema))

    async def remember(self, question: str, sql: str) -> None:
        """Keep a question with its right query as an example. Raises Refusal and ChakuError."""
        _check_length(question, MAX_QUESTION, "question")
        _check_length(sql, MAX_SQL, "sql")
        if not self._asking.remember:
            raise Refusal(403, "this server remembers nothing; its operator may start it with --remember")

        def work(asker: Asker) -> None:
            assert asker.memory
            asker.memory.remember_run(question, sql, _ran(asker.run(sql)), asker.schema.name)

        await self._one(work)

    async def close(self) -> None:
        """End the work, refuse what waits, and close the database."""
        self._closed = True
        while self._turn.locked():
            self._interrupt()
            await asyncio.sleep(INTERRUPT_SECONDS)
        await asyncio.to_thread(self._stack.close)
        await asyncio.to_thread(self._database.close)

    async def _one(self, work: Callable[[Asker], T]) -> T:
        """What `work` returns in a thread, once it is its turn."""

        def alone(asker: Asker) -> Iterator[T]:
            yield work(asker)

        async with aclosing(self._work(alone)) as steps:
            [result] = [found async for found in steps]
            return result

    async def _work(self, work: Callable[[Asker], Iterator[T]]) -> AsyncGenerator[T, None]:
        """What `work` yields in a thread, once it is its turn. The work ends soon after its reader leaves."""
        if self.num_waiting >= self._asking.max_waiting:
            raise BusyError
        self.num_waiting += 1
        try:
            await self._turn.acquire()
        finally:
            self.num_waiting -= 1
        if self._closed:
            self._turn.release()
            raise StoppingError
        loop = asyncio.get_running_loop()
        found: asyncio.Queue[T | Exception | _End] = asyncio.Queue()
        left = threading.Event()

        def tell(step: T | Exception | _End) -> None:
            loop.call_soon_threadsafe(found.put_nowait, step)

        done = loop.run_in_executor(self._pool, self._in_thread, work, loop, tell, left)
        done.add_done_callback(lambda _: self._turn.release())
        try:
            while not isinstance(step := await found.get(), _End):
                if isinstance(step, Exception):
                    raise step
                yield step
            await asyncio.wait((done,))
        finally:  # perhaps cancelled, so nothing is awaited here
            left.set()
            if not done.done():
                ender = asyncio.ensure_future(self._end(done))
                self._enders.add(ender)
                ender.add_done_callback(self._enders.discard)

    async def _end(self, done: "asyncio.Future[None]") -> None:
        """Interrupt work until it ends: a single attempt may come just before a query or a text begins."""
        while not (await asyncio.wait((done,), timeout=INTERRUPT_SECONDS))[0]:
            self._interrupt()

    def _interrupt(self) -> None:
        self._database.interrupt()
        if self._model and isinstance(self._model.generator, ServiceGenerator):
            self._model.generator.interrupt()

    def _in_thread(
        self,
        work: Callable[[Asker], Iterator[T]],
        loop: asyncio.AbstractEventLoop,
        tell: Callable[[T | Exception | _End], None],
        left: threading.Event,
    ) -> None:
        try:
            if left.is_set():
                return
            with closing(work(self._ready(loop))) as steps:  # type: ignore[type-var]
                for step in steps:
                    if left.is_set():
                        return
                    tell(step)
        except Exception as error:
            tell(error)
        finally:
            tell(_End())

    def _ready(self, loop: asyncio.AbstractEventLoop) -> Asker:
        """The asker, which knows the tables as they are now. Raises Refusal(503) for a database that is away."""
        try:
            asker = self._open(loop)
            asker.knowledge.refresh()
            return asker
        except ChakuError as error:
            raise Refusal(503, f"the database {self.name} cannot be read now: {error}") from None

    def _open(self, loop: asyncio.AbstractEventLoop) -> Asker:
        if self._asker is None:
            self._model = self._model or self._connect(loop)
            generator = self._model.generator
            self._asker = self._stack.enter_context(
                api.asker(
                    self._database,
                    self._model,
                    glossary=self._asking.glossaries.get(self.name),
                    constrained=not isinstance(generator, ServiceGenerator) or generator.constrains,
                    **self._asking.for_asker,
                )
            )
        return self._asker


def _check_length(text: str, most: int, field: str) -> None:
    if not text.strip():
        raise Refusal(400, f"{field} is empty", field)
    if len(text) > most:
        raise Refusal(400, f"{field} has {len(text):,} characters; it may have {most:,}", field)


def _ran(result: Result) -> Result:
    """A result of a query that ran. Raises Refusal for others."""
    if not result.ok:
        raise Refusal(400, result.reason, "sql")
    return result
