"""Where the verbs on complaints work: on a server, or on a data directory in a reporter's name.

Takes a verb written for a `Client`, leaves it with the four options that choose the client. The client is
imported when a verb runs, so that the others start without a database.
"""
# ruff: noqa: PLC0415 - see above

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from complaints.operate import DataOption, load
from complaints.terminal import USAGE, fail

if TYPE_CHECKING:
    from complaints.client import Client

ServerOption = Annotated[
    str | None,
    typer.Option("--server", envvar="PLAINT_SERVER", metavar="URL", help="Work on this server."),
]
TokenOption = Annotated[
    str | None, typer.Option("--token", envvar="PLAINT_TOKEN", help="Your API token there.")
]
ReporterOption = Annotated[
    str | None,
    typer.Option("--reporter", metavar="ADDRESS", help="Work on the data directory, in whose name."),
]


def client(server: str | None, token: str | None, data: Path | None, reporter: str | None) -> "Client":
    """The server or the data directory the verbs on complaints work on."""
    if reporter or data:
        if not reporter:
            fail("--data needs --reporter ADDRESS: in whose name?", USAGE)
        from complaints.client import Local

        return Local(load(data), reporter)
    if not server or not token:
        fail(
            "give --server URL and --token TOKEN (PLAINT_SERVER, PLAINT_TOKEN), "
            "or --data DIR and --reporter ADDRESS",
            USAGE,
        )
    from complaints.remote import Remote

    return Remote(server, token)


def on_complaints(verb: Callable[..., None]) -> Callable[..., None]:
    """Give a verb written as `verb(work: Client, ...)` the four options that say where it works."""

    def run(
        server: ServerOption = None,
        token: TokenOption = None,
        data: DataOption = None,
        reporter: ReporterOption = None,
        **given: Any,
    ) -> None:
        with client(server, token, data, reporter) as work:
            verb(work, **given)

    own = list(inspect.signature(verb).parameters.values())[1:]
    where = list(inspect.signature(run).parameters.values())[:-1]
    run.__name__, run.__doc__ = verb.__name__, verb.__doc__
    run.__signature__ = inspect.Signature(own + where)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in own + where}
    return run
