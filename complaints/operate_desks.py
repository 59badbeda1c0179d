"""The operator's side of the command line, about desks: which get no reports, and what is known of them.

What a verb needs is imported when it runs, so that the others start without it.
"""
# ruff: noqa: PLC0415 - see above

from pathlib import Path
from typing import Annotated

import typer

from complaints import terminal
from complaints.operate import AddressArgument, DataOption, JsonOption, load, opened
from complaints.terminal import UNUSABLE, fail, put, say

desks_app = typer.Typer(
    no_args_is_help=True, help="Abuse desks: which get no reports, and which are known from experience."
)


@desks_app.command("list")
def list_desks(as_json: JsonOption = False, data: DataOption = None) -> None:
    """List the desks that get no reports, with who asked when."""
    from sqlmodel import col, select

    from complaints.models import Suppression

    with opened(data) as office, office.db.reading() as session:
        for row in session.exec(select(Suppression).where(col(Suppression.lifted_at).is_(None))):
            put(row.model_dump(mode="json"), as_json, terminal.stop_lines)


@desks_app.command()
def resume(address: AddressArgument, data: DataOption = None) -> None:
    """Let reports to a desk flow again."""
    from complaints import replies

    with opened(data) as office:
        with office.db.transaction() as session:
            lifted = replies.resume(session, office, address)
        if not lifted:
            fail(f"{address} is not stopped; see: plaint desks list", UNUSABLE)


@desks_app.command()
def known(
    query: Annotated[
        str, typer.Argument(metavar="[QUERY]", help="A host, address, AS number, mailbox or provider.")
    ] = "",
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """List what is known of desks, your own rows first, each with its source and date."""
    from abuse_lookup.desks import KnownDesks

    found = KnownDesks(load(data).desks_file).about(query)
    if not found:
        fail(f"{query}: no row is about it", UNUSABLE)
    for desk in found:
        put(desk.document(), as_json, terminal.desk_lines)


@desks_app.command()
def check(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="Else the one that is set (PLAINT_DESKS).")
    ] = None,
    data: DataOption = None,
) -> None:
    """Check a file of your own known desks (docs/desks.md) before it is used."""
    from abuse_lookup.desk_rows import read_desks
    from abuse_lookup.errors import ConfigError

    file = file or load(data).desks_file
    try:
        rows = read_desks(file.read_text(encoding="utf-8"), str(file))
    except (ConfigError, UnicodeDecodeError) as error:
        fail(str(error), UNUSABLE)
    say(f"{file}: {len(rows)} {'row' if len(rows) == 1 else 'rows'}, all usable")
