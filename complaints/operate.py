"""The operator's side of the command line: the settings every verb reads, and what runs and keeps a house.

Takes a data directory, leaves reporters and a database as the operator wants them. What a
verb needs is imported when it runs, so that the others start without it.
"""
# ruff: noqa: PLC0415 - see above

import asyncio
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from complaints import __version__, terminal
from complaints.terminal import FAILED, TRY_LATER, UNUSABLE, USAGE, fail, kept_private, put, say

if TYPE_CHECKING:
    from sqlmodel import Session

    from complaints.models import Reporter
    from complaints.office import Office
    from complaints.reporters import Secrets
    from complaints.serve import Service
    from complaints.settings import Settings

DataOption = Annotated[
    Path | None, typer.Option("--data", metavar="DIR", help="The data directory (PLAINT_DATA).")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
AddressArgument = Annotated[str, typer.Argument(metavar="ADDRESS", help="A mail address.")]

LOG_FORMAT = "%(levelname)s %(name)s: %(message)s"

reporters_app = typer.Typer(no_args_is_help=True, help="The registered reporters of this installation.")
db_app = typer.Typer(no_args_is_help=True, help="The database schema.")


def load(data: Path | None, **given: Any) -> "Settings":
    """The settings, with a warning for PLAINT_* variables that set nothing. Raises SettingsError."""
    from complaints import settings

    for name in settings.unknown_variables(os.environ):
        say(f"warning: {name} is no setting of this version and has no effect")
    return settings.load(data=data, **given)


@contextmanager
def opened(data: Path | None) -> Iterator["Office"]:
    """The house of a data directory, closed at the end. Raises SettingsError, DatabaseError, VaultError."""
    from complaints.office import Office

    office = Office.open(load(data))
    try:
        yield office
    finally:
        office.close()


def demo(
    http: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Where the pages are.")] = None,
) -> None:
    """Everything on loopback: a small internet, a reporter, spam, and a desk that answers. Ctrl-C ends it."""
    from complaints.demo import run

    logging.basicConfig(level=logging.WARNING, format=LOG_FORMAT)
    try:
        asyncio.run(run(typer.echo, http=http))
    except OSError as error:
        _cannot_listen(error, http or "127.0.0.1")


def serve(
    data: DataOption = None,
    smtp: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Where mail comes in.")] = None,
    http: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Where pages and API are.")] = None,
    role: Annotated[list[str] | None, typer.Option(help="Only this: smtp, web or worker.")] = None,
) -> None:
    """Run the service until Ctrl-C or SIGTERM."""
    from complaints.serve import ROLES
    from complaints.serve import serve as serve_until_signal

    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT)
    roles = role or list(ROLES)
    if unknown := set(roles) - set(ROLES):
        fail(f"--role {', '.join(sorted(unknown))}: there are {', '.join(ROLES)}", USAGE)
    settings = load(data, smtp=smtp, http=http)
    try:
        with asyncio.Runner(loop_factory=fastest_loop()) as runner:
            runner.run(serve_until_signal(settings, roles, lambda service: _started(settings, service)))
    except OSError as error:
        _cannot_listen(error, f"{settings.smtp} or {settings.http}")


def fastest_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The one of uvloop, or None for asyncio's own where that is not installed; see docs/decisions/0034."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _started(settings: "Settings", service: "Service") -> None:
    say(f"{__version__}, data in {settings.data}")
    if service.smtp_port:
        say(f"mail for @{settings.mail_domain} on {settings.smtp}")
    if service.http_port:
        say(f"pages on http://{settings.http} for {settings.url}")


def _cannot_listen(error: OSError, where: str) -> NoReturn:
    """Explain a socket that cannot be opened; a file that cannot is another matter."""
    if error.filename is not None:
        raise error
    fail(f"cannot listen on {where}: {error.strerror or error}; is another one running?", USAGE)


def doctor(data: DataOption = None, as_json: JsonOption = False) -> None:
    """Check what this installation needs: database, DNS, registries, mail, and what to publish."""
    from complaints.doctor import check

    findings = asyncio.run(check(load(data)))
    for finding in findings:
        put(finding, as_json, terminal.finding_lines)
    if not all(finding["ok"] for finding in findings):
        raise SystemExit(FAILED)


def resend(
    report: Annotated[str, typer.Argument(metavar="REPORT", help="A report, e.g. PL-....-1")],
    data: DataOption = None,
) -> None:
    """Send an unconfirmed report once more: it may reach the desk twice."""
    from complaints import forward
    from complaints.models import Report

    with opened(data) as office, office.db.transaction() as session:
        row = session.get(Report, report)
        if row is None:
            fail(f"{report}: there is no such report", UNUSABLE)
        try:
            forward.resend(session, office, row)
        except ValueError as error:
            fail(str(error), FAILED)


@db_app.callback()
def _db() -> None:
    """Keep `upgrade` a verb below `db`, though it is the only one."""


@db_app.command()
def upgrade(data: DataOption = None) -> None:
    """Bring the database to the schema this version needs."""
    from alembic.util import CommandError

    from complaints.db import Database

    settings = load(data)
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = Database(settings.database)
    try:
        database.upgrade()
    except CommandError as error:
        fail(f"{error}; was it made by a newer version of Plaint?", USAGE)
    finally:
        database.close()
    say("the database is up to date")


@reporters_app.command()
def add(
    address: AddressArgument,
    name: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A name to hide besides the address.")
    ] = None,
    alias: Annotated[
        list[str] | None, typer.Option(metavar="ADDRESS", help="Another address of the same person.")
    ] = None,
    trust: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST|CIDR", help="A mail host of theirs: name, address or network."),
    ] = None,
    verified: Annotated[
        bool, typer.Option("--verified", help="The address is known to be theirs; policy accepted.")
    ] = False,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Add a reporter. Prints the secret submission address and API token, this once."""
    from complaints import reporters

    with opened(data) as office:
        try:
            checked = reporters.checked_address(office, address, deliverable=not verified)
            aliases = [reporters.checked_address(office, one, deliverable=False) for one in alias or []]
            with office.db.transaction() as session:
                made = reporters.add(
                    session,
                    office,
                    checked,
                    names=name or [],
                    aliases=aliases,
                    trust=trust or [],
                    verified=verified,
                )
                if not verified:
                    reporters.ask(session, office, checked)
        except reporters.ReporterError as error:
            fail(str(error), UNUSABLE)
    _put_secrets(made, as_json)


@reporters_app.command()
def rotate(address: AddressArgument, as_json: JsonOption = False, data: DataOption = None) -> None:
    """Give a reporter a new submission address and token; the old address works for a month."""
    from complaints import reporters

    with opened(data) as office, office.db.transaction() as session:
        made = reporters.rotate(session, office, find_reporter(session, address))
    _put_secrets(made, as_json)


def _put_secrets(made: "Secrets", as_json: bool) -> None:
    document = {
        "id": made.reporter.id,
        "address": made.reporter.address,
        "submission_address": made.submission_address,
        "token": made.token,
    }
    put(document, as_json, terminal.secret_lines)


@reporters_app.command("list")
def list_reporters(as_json: JsonOption = False, data: DataOption = None) -> None:
    """List the reporters, without their secrets."""
    from sqlmodel import select

    from complaints.models import Reporter

    with opened(data) as office, office.db.reading() as session:
        for row in session.exec(select(Reporter).order_by(Reporter.address)):
            _put_reporter(row, as_json)


@reporters_app.command("show")
def show_reporter(address: AddressArgument, as_json: JsonOption = False, data: DataOption = None) -> None:
    """Show what is kept of a reporter."""
    with opened(data) as office, office.db.reading() as session:
        _put_reporter(find_reporter(session, address), as_json)


@reporters_app.command()
def probe(
    address: AddressArgument,
    to: Annotated[
        str, typer.Option(metavar="ADDRESS", help="An alias of theirs; else the registered address.")
    ] = "",
    data: DataOption = None,
) -> None:
    """Send a reporter a probe mail: returned, it shows which mail hosts are theirs."""
    from complaints import probes

    with opened(data) as office:
        try:
            with office.db.transaction() as session:
                sent = probes.ask(session, office, find_reporter(session, address), to)
        except probes.ProbeError as error:
            fail(str(error), UNUSABLE)
    say(f"a probe to {sent.to} leaves through plaint serve and is good until {sent.expires_at:%d %B %Y}")


@reporters_app.command()
def export(
    address: AddressArgument,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The ZIP file to write.")],
    data: DataOption = None,
) -> None:
    """Write everything that is kept of a reporter into a ZIP file, for them. It is on record for them."""
    from complaints.accountability import EXPORTED, me, read_evidence
    from complaints.export import write

    with opened(data) as office:
        with office.db.transaction() as session:
            whose = find_reporter(session, address).id
            read_evidence(session, office, whose, "", by=me(), reason=EXPORTED)
        with office.db.reading() as session:
            reporter = find_reporter(session, address)
            try:
                with kept_private(out) as place:
                    write(session, office, reporter, place)
            except OSError as error:
                fail(f"{out}: {error.strerror}", UNUSABLE)
    say(f"wrote {out}; it holds personal data: give it to {address} and delete it")


@reporters_app.command()
def erase(
    address: AddressArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Really: there is no way back.")] = False,
    data: DataOption = None,
) -> None:
    """Remove a reporter and everything of theirs. What desks got stays with them."""
    from complaints import erasure

    with opened(data) as office:
        with office.db.transaction() as session:
            reporter = find_reporter(session, address)
            if not yes:
                fail(f"nothing was removed. With --yes, everything of {address} goes, for good", USAGE)
            try:
                erasure.erase(session, office, reporter)
            except erasure.ErasureError as error:
                fail(str(error), TRY_LATER)
        erasure.sweep(office)
    say(f"{address} and everything of theirs is removed")


def find_reporter(session: "Session", address: str) -> "Reporter":
    """The reporter of an address. Ends the program with what to do when there is none."""
    from complaints import reporters

    found = reporters.find(session, address)
    if found is None:
        fail(f"{address} is no reporter here; see: plaint reporters list", UNUSABLE)
    return found


def _put_reporter(row: "Reporter", as_json: bool) -> None:
    shown = {
        "id",
        "address",
        "names",
        "aliases",
        "trust",
        "learned",
        "mail_hosts",
        "created_at",
        "verified_at",
    }
    put(row.model_dump(mode="json", include=shown), as_json, terminal.reporter_lines)
