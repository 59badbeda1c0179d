"""The command line: every verb is one library call. Data on stdout, everything else on stderr.

Exit codes: 0 ok · 1 some items failed · 2 usage · 65 unusable input · 69 remote unavailable · 75 try later ·
77 not allowed · 130 interrupted.
"""

import asyncio
import json
import logging
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from sqlmodel import select

from abuse_lookup import open_lookup
from abuse_lookup.errors import AbuseLookupError, UnusableTarget
from complaints import __version__, forward, replies, reporters, terminal
from complaints import demo as demo_room
from complaints import doctor as doctor_room
from complaints import settings as settings_room
from complaints.client import FAILED, UNUSABLE, USAGE, Client, ClientError, Local, Remote
from complaints.consent import Choice
from complaints.db import Database, DatabaseError
from complaints.models import ComplaintState, Json, Report, Reporter, Suppression
from complaints.office import Office
from complaints.serve import ROLES, Service, lookup_config
from complaints.serve import serve as serve_until_signal
from complaints.settings import Settings, SettingsError
from complaints.spam import read
from complaints.trust import Trust
from complaints.vault import VaultError

app = typer.Typer(no_args_is_help=True, add_completion=True, pretty_exceptions_enable=False, help=__doc__)
reporters_app = typer.Typer(no_args_is_help=True, help="The registered reporters of this installation.")
desks_app = typer.Typer(no_args_is_help=True, help="Abuse desks that asked for no more reports.")
db_app = typer.Typer(no_args_is_help=True, help="The database schema.")
app.add_typer(reporters_app, name="reporters")
app.add_typer(desks_app, name="desks")
app.add_typer(db_app, name="db")

DataOption = Annotated[Path | None, typer.Option("--data", help="The data directory (PLAINT_DATA).")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
ServerOption = Annotated[
    str | None, typer.Option("--server", envvar="PLAINT_SERVER", help="Work on this server's URL.")
]
TokenOption = Annotated[
    str | None, typer.Option("--token", envvar="PLAINT_TOKEN", help="Your API token there.")
]
ReporterOption = Annotated[str | None, typer.Option("--reporter", help="With --data: in whose name.")]
FilesArgument = Annotated[
    list[str], typer.Argument(metavar="FILE...", help="Mail files; - is standard input.")
]
IdArgument = Annotated[str, typer.Argument(metavar="ID", help="A complaint, e.g. PL-....")]


def main() -> NoReturn:
    """Run the command line; every error we know leaves as one sentence and its exit code."""
    try:
        app()
    except ClientError as error:
        fail(str(error), error.code)
    except (SettingsError, DatabaseError, VaultError) as error:
        fail(str(error), USAGE)
    except AbuseLookupError as error:
        fail(str(error), UNUSABLE)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(FAILED) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    raise SystemExit(0)


def fail(message: str, code: int) -> NoReturn:
    """Say what is wrong on stderr and end."""
    typer.echo(f"plaint: {message}", err=True)
    raise SystemExit(code)


def load(data: Path | None, **given: Any) -> Settings:
    """The settings, with a warning for PLAINT_* variables that set nothing."""
    for name in settings_room.unknown_variables(os.environ):
        typer.echo(f"plaint: warning: {name} is no setting of this version and has no effect", err=True)
    return settings_room.load(data=data, **given)


def put(document: Any) -> None:
    """One JSON document on one line."""
    typer.echo(json.dumps(document, ensure_ascii=False))


def put_lines(lines: Iterable[str]) -> None:
    """Text for a person."""
    for line in lines:
        typer.echo(line)


def read_file(name: str) -> bytes:
    """The bytes of FILE or standard input. Exits 65 when it cannot be read."""
    try:
        return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        fail(f"{name}: {error.strerror}", UNUSABLE)


def client(server: str | None, token: str | None, data: Path | None, reporter: str | None) -> Client:
    """The server or the data directory the verbs work on."""
    if reporter or data:
        if not reporter:
            fail("--data needs --reporter ADDRESS: in whose name?", USAGE)
        return Local(load(data), reporter)
    if not server or not token:
        fail(
            "give --server URL and --token TOKEN (PLAINT_SERVER, PLAINT_TOKEN), "
            "or --data DIR and --reporter ADDRESS",
            USAGE,
        )
    return Remote(server, token)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"plaint {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True)] = False,
) -> None:
    """Options before any verb."""


@app.command()
def serve(
    data: DataOption = None,
    smtp: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Where mail comes in.")] = None,
    http: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Where pages and API are.")] = None,
    role: Annotated[list[str] | None, typer.Option(help="Only these: smtp, web, worker.")] = None,
) -> None:
    """Run the service until Ctrl-C or SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    roles = role or list(ROLES)
    if unknown := set(roles) - set(ROLES):
        fail(f"--role {', '.join(sorted(unknown))}: there are {', '.join(ROLES)}", USAGE)
    settings = load(data, smtp=smtp, http=http)

    def started(service: Service) -> None:
        typer.echo(f"plaint {__version__}: data in {settings.data}", err=True)
        if service.smtp_port:
            typer.echo(f"mail for @{settings.mail_domain} on {settings.smtp}", err=True)
        if service.http_port:
            typer.echo(f"pages on http://{settings.http} for {settings.url}", err=True)

    try:
        asyncio.run(serve_until_signal(settings, roles, started))
    except OSError as error:
        fail(
            f"cannot listen on {settings.smtp} or {settings.http}: {error.strerror}; is another one running?",
            USAGE,
        )


@app.command()
def demo(
    http: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Where the pages are.")] = None,
) -> None:
    """Everything on loopback: a small internet, a reporter, spam, and a desk that answers. Ctrl-C ends it."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    asyncio.run(demo_room.run(typer.echo, http=http))


@app.command()
def trace(
    files: FilesArgument,
    trust: Annotated[
        list[str] | None, typer.Option(help="A mail host of yours: name, address or network.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Read where a spam really came from, and what it advertises. Asks no network."""
    try:
        border = Trust.of(trust or [])
    except ValueError as error:
        fail(str(error), USAGE)
    for name in files:
        raw = read_file(name)
        if not raw.strip():
            fail(f"{name}: is empty; give a whole message with its header", UNUSABLE)
        document = read(raw, border).document()
        if as_json:
            put(document | {"file": name} if len(files) > 1 else document)
        else:
            put_lines(([f"{name}:"] if len(files) > 1 else []) + list(terminal.trace_lines(document)))


@app.command()
def lookup(
    targets: Annotated[
        list[str], typer.Argument(metavar="TARGET...", help="IP, CIDR, ASN, domain, URL or address.")
    ],
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Find who answers for abuse of an address, network, domain, URL or mail address."""
    settings = load(data)
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    code = 0
    for document in asyncio.run(_lookups(settings, targets)):
        if as_json:
            put(document)
        elif "error" in document:
            typer.echo(f"plaint: {document['error']}", err=True)
        else:
            put_lines(terminal.lookup_lines(document))
        if "error" in document:
            code = UNUSABLE if len(targets) == 1 else FAILED
    raise SystemExit(code)


async def _lookups(settings: Settings, targets: list[str]) -> list[Json]:
    async with open_lookup(lookup_config(settings)) as library:

        async def one(target: str) -> Json:
            try:
                return (await library.find_contacts(target)).document()
            except UnusableTarget as error:
                return {"target": target, "error": str(error)}

        return list(await asyncio.gather(*map(one, targets)))


@app.command()
def submit(
    files: FilesArgument,
    forward_: Annotated[
        bool, typer.Option("--forward", help="FILE is a forward with the spam attached.")
    ] = False,
    as_json: JsonOption = False,
    server: ServerOption = None,
    token: TokenOption = None,
    data: DataOption = None,
    reporter: ReporterOption = None,
) -> None:
    """Hand in spam: each FILE is the spam itself (.zip, .gz and mbox are opened)."""
    statuses = []
    with client(server, token, data, reporter) as work:
        for name in files:
            for item in _submit(work, name, forwarded=forward_):
                statuses.append(item["status"])
                if as_json:
                    put(item)
                else:
                    typer.echo(terminal.item_line(item))
    if "refused" in statuses:
        raise SystemExit(UNUSABLE if set(statuses) == {"refused"} else FAILED)


def _submit(work: Client, name: str, *, forwarded: bool) -> Iterator[Json]:
    for item in work.submit(read_file(name), "" if name == "-" else Path(name).name, forwarded=forwarded):
        yield {"file": name} | {key: value for key, value in item.items() if key != "file"}


@app.command("list")
def list_(
    state: Annotated[ComplaintState | None, typer.Option(help="Only complaints in this state.")] = None,
    as_json: JsonOption = False,
    server: ServerOption = None,
    token: TokenOption = None,
    data: DataOption = None,
    reporter: ReporterOption = None,
) -> None:
    """List your complaints, newest first."""
    with client(server, token, data, reporter) as work:
        for item in work.list(state.value if state else None):
            if as_json:
                put(item)
            else:
                typer.echo(terminal.complaint_line(item))


@app.command()
def show(
    complaint: IdArgument,
    as_json: JsonOption = False,
    server: ServerOption = None,
    token: TokenOption = None,
    data: DataOption = None,
    reporter: ReporterOption = None,
) -> None:
    """Show a complaint: its evidence, its reports, what came back."""
    with client(server, token, data, reporter) as work:
        _put_complaint(work.show(complaint), as_json)


def _put_complaint(document: Json, as_json: bool) -> None:
    if as_json:
        put(document)
    else:
        put_lines(terminal.complaint_lines(document))


@app.command()
def preview(
    complaint: IdArgument,
    to: Annotated[str | None, typer.Option(help="Which desk's report.")] = None,
    server: ServerOption = None,
    token: TokenOption = None,
    data: DataOption = None,
    reporter: ReporterOption = None,
) -> None:
    """Print the exact bytes that would be sent to a desk."""
    with client(server, token, data, reporter) as work:
        reports = _reports_to(work.show(complaint), [to] if to else [])
        if len(reports) != 1:
            there = "\n".join(f"  --to {report['to']}" for report in reports)
            fail(f"{complaint} has {len(reports)} reports; choose one:\n{there}", USAGE)
        sys.stdout.buffer.write(work.report(complaint, reports[0]["id"]))


def _reports_to(document: Json, wanted: list[str]) -> list[Json]:
    """The reports to these desks (all when none is named). Exits 2 with the list for an unknown one."""
    reports: list[Json] = document["reports"]
    known = {report["to"].lower() for report in reports}
    if missing := [address for address in wanted if address.lower() not in known]:
        there = ", ".join(report["to"] for report in reports) or "none"
        fail(f"{document['id']} has no report to {', '.join(missing)}; there are: {there}", USAGE)
    return [report for report in reports if not wanted or report["to"].lower() in {w.lower() for w in wanted}]


@app.command()
def raw(
    complaint: IdArgument,
    server: ServerOption = None,
    token: TokenOption = None,
    data: DataOption = None,
    reporter: ReporterOption = None,
) -> None:
    """Print the spam exactly as it was received."""
    with client(server, token, data, reporter) as work:
        sys.stdout.buffer.write(work.raw(complaint))


@app.command()
def confirm(
    complaint: IdArgument,
    yes: Annotated[
        bool, typer.Option("--yes", help="I have read what will be sent, and it was unsolicited.")
    ] = False,
    to: Annotated[
        list[str] | None, typer.Option(help="Only to these desks; else to the ticked ones.")
    ] = None,
    redaction: Annotated[
        str | None, typer.Option(help="identity (default) or none: with your address.")
    ] = None,
    note: Annotated[str | None, typer.Option(help="Your words to the desk.")] = None,
    digest: Annotated[
        list[str] | None, typer.Option(help="Send only if the report still has this digest.")
    ] = None,
    as_json: JsonOption = False,
    server: ServerOption = None,
    token: TokenOption = None,
    data: DataOption = None,
    reporter: ReporterOption = None,
) -> None:
    """Consent to sending a complaint's reports."""
    with client(server, token, data, reporter) as work:
        document = work.show(complaint)
        reports = _chosen(document, to or [], digest or [])
        if not yes:
            there = "\n".join(f"  {report['to']}  {report['digest']}" for report in reports) or "  nobody"
            fail(f"nothing was sent. With --yes, {complaint} would go to:\n{there}", USAGE)
        choice = Choice({report["id"]: report["digest"] for report in reports}, redaction, note)
        _put_complaint(work.confirm(complaint, choice), as_json)


def _chosen(document: Json, to: list[str], digests: list[str]) -> list[Json]:
    """The reports a confirmation is about: the named ones, those of the digests, or the ticked ones."""
    if stale := set(digests) - {report["digest"] for report in document["reports"]}:
        fail(
            f"{document['id']} changed since it was shown; no report has {', '.join(sorted(stale))} now",
            FAILED,
        )
    named = _reports_to(document, to)
    if digests:
        return [report for report in named if report["digest"] in digests]
    return [report for report in named if to or report["ticked"]]


def _act(verb: str, help_text: str) -> None:
    """Add a verb that does one thing to one complaint."""

    def run(
        complaint: IdArgument,
        as_json: JsonOption = False,
        server: ServerOption = None,
        token: TokenOption = None,
        data: DataOption = None,
        reporter: ReporterOption = None,
    ) -> None:
        with client(server, token, data, reporter) as work:
            _put_complaint(work.act(complaint, verb), as_json)

    app.command(verb, help=help_text)(run)


_act("discard", "Send nothing for a complaint, ever.")
_act("undo", "Take a consent back before anything left.")
_act("refresh", "Trace and look up again; what was shown before is then stale.")


@app.command()
def resend(report: Annotated[str, typer.Argument(metavar="REPORT")], data: DataOption = None) -> None:
    """Send an unconfirmed report once more: it may reach the desk twice."""
    office = Office.open(load(data))
    with office.db.transaction() as session:
        row = session.get(Report, report)
        if row is None:
            fail(f"{report}: there is no such report", UNUSABLE)
        try:
            forward.resend(session, office, row)
        except ValueError as error:
            fail(str(error), FAILED)
    office.close()


@app.command()
def doctor(data: DataOption = None, as_json: JsonOption = False) -> None:
    """Check what this installation needs: database, DNS, registries, mail, and what to publish."""
    checks = asyncio.run(doctor_room.check(load(data)))
    for check in checks:
        if as_json:
            put(check)
        else:
            typer.echo(f"{'ok ' if check['ok'] else 'NOT'}  {check['name']}: {check['detail']}")
    raise SystemExit(0 if all(check["ok"] for check in checks) else FAILED)


@db_app.command()
def upgrade(data: DataOption = None) -> None:
    """Bring the database to the schema this version needs."""
    settings = load(data)
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = Database(settings.database)
    database.upgrade()
    database.close()
    typer.echo("The database is up to date.", err=True)


@reporters_app.command()
def add(
    address: Annotated[str, typer.Argument(metavar="ADDRESS")],
    name: Annotated[list[str] | None, typer.Option(help="A name to hide besides the address.")] = None,
    alias: Annotated[list[str] | None, typer.Option(help="Another address of the same person.")] = None,
    trust: Annotated[
        list[str] | None, typer.Option(help="A mail host of theirs: name, address or network.")
    ] = None,
    verified: Annotated[
        bool, typer.Option("--verified", help="The address is known to be theirs; policy accepted.")
    ] = False,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Add a reporter. Prints the secret submission address and API token, this once."""
    office = Office.open(load(data))
    try:
        checked = reporters.checked_address(office, address, deliverable=not verified)
        aliases = [reporters.checked_address(office, one, deliverable=False) for one in alias or []]
        with office.db.transaction() as session:
            given = {"names": name or [], "aliases": aliases, "trust": trust or [], "verified": verified}
            made = reporters.add(session, office, checked, **given)  # type: ignore[arg-type]
            if not verified:
                reporters.ask(session, office, checked)
    except reporters.ReporterError as error:
        fail(str(error), UNUSABLE)
    _put_secrets(made, as_json)
    office.close()


@reporters_app.command()
def rotate(address: str, as_json: JsonOption = False, data: DataOption = None) -> None:
    """Give a reporter a new submission address and token; the old address works for a month."""
    office = Office.open(load(data))
    with office.db.transaction() as session:
        found = reporters.find(session, address)
        if found is None:
            fail(f"{address} is no reporter here", UNUSABLE)
        made = reporters.rotate(session, office, found)
    _put_secrets(made, as_json)
    office.close()


def _put_secrets(made: reporters.Secrets, as_json: bool) -> None:
    document = {
        "id": made.reporter.id,
        "address": made.reporter.address,
        "submission_address": made.submission_address,
        "token": made.token,
    }
    if as_json:
        put(document)
    else:
        put_lines(f"{name.replace('_', ' ')}: {value}" for name, value in document.items())


@reporters_app.command("list")
def list_reporters(as_json: JsonOption = False, data: DataOption = None) -> None:
    """List the reporters, without their secrets."""
    office = Office.open(load(data))
    with office.db.reading() as session:
        for row in session.exec(select(Reporter).order_by(Reporter.address)):
            _put_reporter(row, as_json)
    office.close()


@reporters_app.command("show")
def show_reporter(address: str, as_json: JsonOption = False, data: DataOption = None) -> None:
    """Show what is kept of a reporter."""
    office = Office.open(load(data))
    with office.db.reading() as session:
        found = reporters.find(session, address)
    office.close()
    if found is None:
        fail(f"{address} is no reporter here", UNUSABLE)
    _put_reporter(found, as_json)


def _put_reporter(row: Reporter, as_json: bool) -> None:
    kept = row.model_dump(
        mode="json", include={"id", "address", "names", "aliases", "trust", "created_at", "verified_at"}
    )
    if as_json:
        put(kept)
    else:
        state = "verified" if row.verified_at else "not verified"
        typer.echo(f"{row.address}  {state}  {', '.join(row.trust)}".rstrip())


@desks_app.command("list")
def list_desks(as_json: JsonOption = False, data: DataOption = None) -> None:
    """List the desks that get no reports, with who asked when."""
    office = Office.open(load(data))
    with office.db.reading() as session:
        for row in session.exec(select(Suppression).where(Suppression.lifted_at.is_(None))):  # type: ignore[union-attr]
            if as_json:
                put(row.model_dump(mode="json"))
            else:
                typer.echo(
                    f"{row.address}  since {row.asked_at:%Y-%m-%d}, asked by {row.asked_by} ({row.reason})"
                )
    office.close()


@desks_app.command()
def resume(address: str, data: DataOption = None) -> None:
    """Let reports to a desk flow again."""
    office = Office.open(load(data))
    with office.db.transaction() as session:
        lifted = replies.resume(session, office, address)
    office.close()
    if not lifted:
        fail(f"{address} is not stopped; see: plaint desks list", UNUSABLE)


if __name__ == "__main__":
    main()
