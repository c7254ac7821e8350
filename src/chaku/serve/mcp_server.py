"""The MCP server of databases: the tools ask, schema and run, with typed results."""

from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from typing import Annotated

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import Field

from chaku import __version__
from chaku.errors import ChakuError
from chaku.serve.databases import Databases
from chaku.serve.desk import Step
from chaku.serve.fields import Refusal
from chaku.serve.http import refusal_of
from chaku.serve.service import BusyError, StoppingError
from chaku.serve.sql_answers import AnswerRecord, ClarifyRecord, NoAnswerRecord, RowsRecord, SchemaRecord
from chaku.sql.ask.answers import Linked, Ran, Written

READS = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
DatabaseName = Annotated[
    str | None, Field(description="The database's name; it may be left out where there is only one.")
]


def build_server(databases: Databases) -> MCPServer:
    """The server. It does not close the databases."""
    names = [desk.name for desk in databases]
    server = MCPServer(
        "chaku",
        version=__version__,
        instructions=f"Answers questions about these databases, read-only: {', '.join(names)}.",
        log_level="WARNING",
    )

    @server.tool(annotations=READS)
    async def ask(
        question: Annotated[str, Field(description="The question, in plain words.")],
        context: Context,
        database: DatabaseName = None,
        session: Annotated[
            str | None,
            Field(
                description='"new" begins a conversation; the answer has its session, for "and by month?" afterwards.'
            ),
        ] = None,
    ) -> AnswerRecord:
        """Answer a question about a database: a model writes SQL, which is checked and run read-only. Returns the SQL,
        its rows, the share of samples that agree, what was assumed, and the query in plain words. In a session, a
        follow-up is understood, and an unclear question gets a question back with numbered choices, as an error."""
        with _tool_errors():
            num_steps = 0
            async with aclosing(databases.find(database).ask(question, session=session or "")) as steps:
                async for step in steps:
                    num_steps += 1
                    await context.report_progress(num_steps, message=_about(step))
            if isinstance(step, NoAnswerRecord):
                raise ToolError(f"no answer: {step.reason}{_in_session(step.session)}")
            if isinstance(step, ClarifyRecord):
                choices = "; ".join(f"{number}. {choice}" for number, choice in enumerate(step.choices, 1))
                told = f"{step.question} {choices}. Ask the number of the choice{_in_session(step.session)}"
                raise ToolError(f"not clear yet: {told}")
            assert isinstance(step, AnswerRecord)
            return step

    @server.tool(annotations=READS)
    async def schema(database: DatabaseName = None) -> SchemaRecord:
        """The tables of a database: columns, types, keys, comments, and a few values of each column."""
        with _tool_errors():
            return await databases.find(database).schema()

    @server.tool(annotations=READS)
    async def run(
        sql: Annotated[str, Field(description="One SELECT, in the dialect of the database.")],
        database: DatabaseName = None,
    ) -> RowsRecord:
        """Run a query of your own, read-only: one SELECT over tables and columns that exist."""
        with _tool_errors():
            return await databases.find(database).run(sql)

    return server


@contextmanager
def _tool_errors() -> Iterator[None]:
    """Turns what a client may know into errors of the tool; any other exception stays on the server."""
    try:
        yield
    except (Refusal, ChakuError, BusyError, StoppingError) as error:
        raise ToolError(refusal_of(error).message) from None


def _in_session(session: str) -> str:
    return f" (session {session})" if session else ""


def _about(step: Step) -> str:
    match step:
        case Linked(tables):
            return f"the model reads about {', '.join(tables)}"
        case Written(queries, _):
            return f"written: {'; '.join(queries)}"
        case Ran(candidate):
            return f"ran: {candidate.sql}"
    return "done"
