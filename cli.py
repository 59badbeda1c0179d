"""Report spam to the abuse desks responsible for it, with the reporter's consent.

Data goes to stdout, everything else to stderr. Exit codes: 0 ok, 1 some items failed, 2 usage, 65 unusable
input, 69 remote unavailable, 75 try later, 77 not allowed, 130 interrupted.
"""
# Every verb is one library call; what it needs is imported when it runs: `plaint trace` needs no database.
# ruff: noqa: PLC0415 - see above

import asyncio
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from complaints import (
    __version__,
    account_verbs,
    batch_verb,
    card_verbs,
    lookup_verb,
    operate,
    operate_account,
    operate_backup,
    operate_desks,
    receipt_verbs,
    redact_verb,
    review_verb,
    terminal,
    terminal_trace,
)
from complaints.on_complaints import on_complaints
from complaints.operate import JsonOption, load
from complaints.terminal import (
    FAILED,
    INTERRUPTED,
    NOT_ALLOWED,
    UNAVAILABLE,
    UNUSABLE,
    USAGE,
    Json,
    end,
    fail,
    put,
    say,
)

if TYPE_CHECKING:
    from complaints.client import Client

# Plain help: no colours, no boxes, the same in a pipe and in docs/cli.md
app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None, help=__doc__)

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="A complaint, e.g. PL-....")]


def main() -> NoReturn:
    """Run the command line; every error we know leaves as one sentence and its exit code."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # odd locales are no error
    try:
        app(prog_name="plaint")
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
    except Exception as error:
        if (known := _known(error)) is None:
            raise
        fail(*known)
    raise SystemExit(0)


def _known(error: Exception) -> tuple[str, int] | None:
    """What to say of an error, and its exit code; None for a mistake of ours."""
    import sqlite3

    from sqlalchemy.exc import OperationalError

    from abuse_lookup.errors import ConfigError
    from complaints.db import DatabaseError
    from complaints.mailboxes import SourceError
    from complaints.remote import ClientError
    from complaints.settings import SettingsError
    from complaints.vault import VaultError

    match error:
        case ClientError() | SourceError():
            return str(error), error.code
        case SettingsError() | ConfigError() | DatabaseError() | VaultError():
            return str(error), USAGE
        case OperationalError():
            return f"the database does not answer: {error.orig}", UNAVAILABLE
        case sqlite3.Error():  # other databases are asked through SQLAlchemy
            said = f"{error}; it may be deleted: what was handed in is recognised"
            return f"batch.sqlite, which remembers how far a batch came: {said}", UNUSABLE
        case OSError(filename=str(file)):
            return f"{file}: {error.strerror}", NOT_ALLOWED if isinstance(
                error, PermissionError
            ) else UNUSABLE
    return None


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"plaint {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options before any verb."""


options.__doc__ = __doc__


for operator_verb in (
    operate.demo,
    operate.serve,
    operate.doctor,
    operate.resend,
    operate_account.evidence,
    operate_account.news,
):
    app.command()(operator_verb)


@app.command()
def trace(
    files: batch_verb.FilesArgument,
    trust: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST|CIDR", help="A mail host of yours: name, address or network."),
    ] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Ask the DNS who signed it.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Read where a spam really came from, and what it advertises. Asks nobody, except with --verify."""
    from complaints import attachments, outlook, spam, unwrap
    from complaints.trust import Trust

    try:
        border = Trust.of(trust or [])
    except ValueError as error:
        fail(f"--trust: {error}", USAGE)
    good, many = 0, len(files) > 1
    for name in files:
        if (raw := batch_verb.read(name)) is None:
            continue
        way_in, *others = unwrap.open_file(raw, name) if outlook.is_outlook(raw) else [None]
        if way_in and (way_in.spam is None or others):
            say(f"{name}: {way_in.reason or 'It holds several messages.'} {way_in.remedy or ''}")
            continue
        good += 1
        raw, grade = (way_in.spam or b"", way_in.grade) if way_in else (raw, "A")
        keys, now = _keys(raw) if verify else None, datetime.now(UTC)
        found = spam.read(raw, border, grade, keys=keys, now=now, look_into=attachments.look_into)
        document = found.document() | ({"lost": way_in.lost} if way_in else {})
        put(document | {"file": name} if many else document, as_json, terminal_trace.trace_lines)
    end(good=good, bad=len(files) - good)


def _keys(raw: bytes) -> Any:
    from complaints.evidence import ask_keys

    return asyncio.run(ask_keys(load(None).name_servers, raw))


app.command()(lookup_verb.lookup)


app.command()(on_complaints(batch_verb.submit))
app.command()(on_complaints(batch_verb.batch))


@app.command("list")
@on_complaints
def list_(
    work: "Client",
    state: Annotated[
        str | None, typer.Option(metavar="STATE", help="Only these, e.g. awaiting_consent.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List your complaints, newest first."""
    from complaints.models import ComplaintState

    if state and state not in set(ComplaintState):
        fail(f"--state {state}: there are {', '.join(ComplaintState)}", USAGE)
    for item in work.list(state):
        put(item, as_json, terminal.list_lines)


@app.command()
@on_complaints
def show(work: "Client", complaint: IdArgument, as_json: JsonOption = False) -> None:
    """Show a complaint: its evidence, its reports, what came back."""
    put(work.show(complaint), as_json, terminal.complaint_lines)


@app.command()
@on_complaints
def preview(
    work: "Client",
    complaint: IdArgument,
    to: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Which desk's report.")] = None,
) -> None:
    """Print the exact bytes that would be sent to a desk."""
    reports = _reports_to(work.show(complaint), [to] if to else [])
    if not reports:
        fail(f"{complaint} has no report to look at", UNUSABLE)
    if len(reports) > 1:
        there = "\n".join(f"  --to {report['to']}" for report in reports)
        fail(f"{complaint} has {len(reports)} reports; choose one:\n{there}", USAGE)
    sys.stdout.buffer.write(work.report(complaint, reports[0]["id"]))


def _reports_to(document: Json, wanted: list[str]) -> list[Json]:
    """The reports to these desks (all when none is named). Exits 2 with the list for an unknown one."""
    named = {address.lower() for address in wanted}
    reports: list[Json] = document["reports"]
    if missing := named - {report["to"].lower() for report in reports}:
        there = ", ".join(report["to"] for report in reports) or "none"
        fail(f"{document['id']} has no report to {', '.join(sorted(missing))}; there are: {there}", USAGE)
    return [report for report in reports if not named or report["to"].lower() in named]


@app.command()
@on_complaints
def raw(work: "Client", complaint: IdArgument) -> None:
    """Print the spam exactly as it was received."""
    sys.stdout.buffer.write(work.raw(complaint))


@app.command()
@on_complaints
def confirm(
    work: "Client",
    complaint: IdArgument,
    yes: Annotated[
        bool, typer.Option("--yes", help="I have read what will be sent, and it was unsolicited.")
    ] = False,
    to: Annotated[
        list[str] | None,
        typer.Option(metavar="ADDRESS", help="Only to these desks; else to the ticked ones."),
    ] = None,
    redaction: Annotated[
        str | None,
        typer.Option(
            help="identity (default), strict, none (with your address) or statistics (send nothing)."
        ),
    ] = None,
    hide: Annotated[
        list[str] | None, typer.Option(metavar="WORDS", help="Hide these words too, each time.")
    ] = None,
    note: Annotated[str | None, typer.Option(help="Your words to the desk.")] = None,
    digest: Annotated[
        list[str] | None, typer.Option(metavar="DIGEST", help="Send only the reports that still have these.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Consent to sending a complaint's reports."""
    from complaints.consent import REDACTIONS, Choice

    if redaction not in {None, *REDACTIONS}:
        fail(f"--redaction {redaction}: there are {', '.join(REDACTIONS)}", USAGE)
    reports = _chosen(work.show(complaint), to or [], digest or [])
    if not yes:
        there = "\n".join(f"  {report['to']}  {report['digest']}" for report in reports) or "  nobody"
        fail(f"nothing was sent. With --yes, {complaint} would go to:\n{there}", USAGE)
    words = tuple(hide) if hide else None
    choice = Choice({report["id"]: report["digest"] for report in reports}, redaction, note, words)
    put(work.confirm(complaint, choice), as_json, terminal.complaint_lines)


def _chosen(document: Json, to: list[str], digests: list[str]) -> list[Json]:
    """The reports a confirmation is about: the named ones, those of the digests, or the ticked ones."""
    if stale := set(digests) - {report["digest"] for report in document["reports"]}:
        there = ", ".join(sorted(stale))
        fail(f"{document['id']} changed since it was shown; no report has {there} now", FAILED)
    named = _reports_to(document, to)
    if digests:
        return [report for report in named if report["digest"] in digests]
    return [report for report in named if to or report["ticked"]]


def _act(verb: str, words: str) -> None:
    """Add a verb that does one thing to one complaint."""

    def run(work: "Client", complaint: IdArgument, as_json: JsonOption = False) -> None:
        put(work.act(complaint, verb), as_json, terminal.complaint_lines)

    app.command(verb, help=words)(on_complaints(run))


_act("discard", "Send nothing for a complaint, ever.")
_act("undo", "Take a consent back before anything left; or bring a discarded complaint back.")
_act("withdraw", "Take back what has not been sent yet, also after the undo window.")
_act("refresh", "Trace and look up again; what was shown before is then stale.")


@app.command()
@on_complaints
def mine(
    work: "Client",
    complaint: IdArgument,
    hop: Annotated[
        int, typer.Option(metavar="N", min=0, help="The line of the trace, as `show` counts them.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Say that the host which handed over at a line of the trace is yours: trust it, and trace again."""
    put(work.mine(complaint, hop), as_json, terminal.complaint_lines)


app.command()(review_verb.review)
app.command()(receipt_verbs.receipt)
app.command()(receipt_verbs.verify_receipt)
app.command()(redact_verb.redact)
app.command()(redact_verb.whose)
app.command()(operate_backup.backup)
app.command()(operate_backup.restore)
app.add_typer(operate.reporters_app, name="reporters")
app.add_typer(operate_desks.desks_app, name="desks")
account_verbs.account_app.command()(card_verbs.card)
account_verbs.account_app.command("test")(card_verbs.send_test)
app.add_typer(account_verbs.account_app, name="account")
app.add_typer(operate_account.disclosures_app, name="disclosures")
app.add_typer(operate_account.policy_app, name="policy")
app.add_typer(operate.db_app, name="db")


if __name__ == "__main__":
    main()
