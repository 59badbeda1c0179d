"""The operator's verbs that reporters are told of: reading evidence, disclosing to authorities, mailing news.

Each leaves a record before it shows or sends anything. What a verb needs is imported when it runs.
"""
# ruff: noqa: PLC0415 - see above

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from complaints.operate import AddressArgument, DataOption, JsonOption, find_reporter, opened
from complaints.screen import clean
from complaints.terminal import UNUSABLE, USAGE, Json, fail, put, say

disclosures_app = typer.Typer(
    no_args_is_help=True, help="What was disclosed to authorities: on record, told to the reporter, counted."
)
policy_app = typer.Typer(
    no_args_is_help=True,
    help="The versions of the privacy policy: which applies, and telling reporters of a new one.",
)
DAY = "%Y-%m-%d"


def evidence(
    complaint: Annotated[str, typer.Argument(metavar="ID", help="A complaint, e.g. PL-....")],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; the reporter reads it.")],
    by: Annotated[str, typer.Option(metavar="NAME", help="Who reads; else the name you work under.")] = "",
    data: DataOption = None,
) -> None:
    """Print the spam of any reporter's complaint, as it came. It is on record for the reporter before."""
    from complaints import accountability
    from complaints.models import Complaint

    with opened(data) as office:
        with office.db.transaction() as session:
            row = session.get(Complaint, complaint)
            if row is None:
                fail(f"{complaint}: there is no such complaint", UNUSABLE)
            try:
                accountability.read_evidence(
                    session, office, row.reporter_id, row.id, by=by or accountability.me(), reason=reason
                )
            except accountability.ReasonError as error:
                fail(f"--reason: {error}", USAGE)
        with office.db.reading() as session:
            raw = office.spam_of(session, session.get_one(Complaint, complaint))
    if not raw:
        fail(f"{complaint}: its bytes were deleted when their time here was over", UNUSABLE)
    sys.stdout.buffer.write(raw)


@disclosures_app.command("add")
def add_disclosure(
    address: AddressArgument,
    authority: Annotated[str, typer.Option(metavar="NAME", help="Who got it.")],
    law: Annotated[str, typer.Option(metavar="TEXT", help="The law and the order that oblige us.")],
    what: Annotated[str, typer.Option(metavar="TEXT", help="What was disclosed.")],
    on: Annotated[datetime | None, typer.Option(formats=[DAY], help="The day; else today.")] = None,
    forbidden: Annotated[
        datetime | None, typer.Option(formats=[DAY], help="The law forbids to tell the reporter until then.")
    ] = None,
    data: DataOption = None,
) -> None:
    """Put on record that an authority got something of a reporter. They read it on their page."""
    from complaints import accountability

    with opened(data) as office, office.db.transaction() as session:
        try:
            accountability.disclose(
                session,
                office,
                find_reporter(session, address),
                authority=authority,
                law=law,
                what=what,
                at=on.replace(tzinfo=UTC) if on else office.clock(),
                forbidden_until=forbidden.replace(tzinfo=UTC) if forbidden else None,
            )
        except accountability.ReasonError as error:
            fail(str(error), USAGE)
    say(
        f"on record; {address} is told"
        + (f" from {forbidden:%d %B %Y} on" if forbidden else " on their page")
    )


@disclosures_app.command("list")
def list_disclosures(as_json: JsonOption = False, data: DataOption = None) -> None:
    """List all disclosures, with those that their reporters may not know of yet."""
    from sqlmodel import col, select

    from complaints import accountability
    from complaints.account_tables import Disclosure
    from complaints.models import Reporter

    with opened(data) as office, office.db.reading() as session:
        for row in session.exec(select(Disclosure).order_by(col(Disclosure.at))):
            about = session.get(Reporter, row.reporter_id) if row.reporter_id else None
            until = row.forbidden_until.isoformat() if row.forbidden_until else None
            document = accountability.disclosure_document(row)
            document |= {"reporter": about.address if about else None, "forbidden_until": until}
            put(document, as_json, _disclosure_lines)


def _disclosure_lines(document: Json) -> list[str]:
    secret = f" (not told before {document['forbidden_until'][:10]})" if document["forbidden_until"] else ""
    words = (
        f"{document['authority']}, under {document['law']}: {document['what'] or 'its reporter was erased'}"
    )
    return [f"{document['at'][:10]}  {clean(document['reporter'] or '-')}  {clean(words)}{secret}"]


@policy_app.command("show")
def show_policy(as_json: JsonOption = False, data: DataOption = None) -> None:
    """List the versions of the privacy policy: which applies since when, who accepted or refused it."""
    from complaints import policies

    with opened(data) as office, office.db.reading() as session:
        for document in policies.overview(session, office):
            put(document, as_json, _policy_lines)


@policy_app.command()
def announce(
    version: Annotated[str, typer.Argument(metavar="VERSION", help="As `plaint policy show` lists it.")],
    since: Annotated[
        datetime, typer.Option("--from", formats=[DAY], help="The day from which on it applies (UTC).")
    ],
    yes: Annotated[
        bool, typer.Option("--yes", help="Really: everybody who must agree gets a letter.")
    ] = False,
    data: DataOption = None,
) -> None:
    """Tell every reporter of a new version: what changes, the day, two choices. Shows first who is asked."""
    from complaints import policies, policy

    with opened(data) as office, office.db.transaction() as session:
        rows = {row["version"]: row for row in policies.overview(session, office)}
        try:
            count = policies.announce(session, office, version, since.replace(tzinfo=UTC))
        except policies.PolicyError as error:
            fail(f"nothing was announced: {error}", UNUSABLE)
        if not yes:
            words = policy.changes(policies.in_force(session, office), version)
            told = "".join(f"\n  - {one}" for one in words)
            # The transaction is given up with this
            fail(
                f"nothing was announced. With --yes, {count} of {rows[version]['must_consent']} who must "
                f"agree anew get a letter; from {since:%d %B %Y} on nothing is sent for whoever has not. "
                f"It tells them:{told}",
                USAGE,
            )
    say(f"version {version} applies from {since:%d %B %Y} on; {count} letters leave through plaint serve")


def _policy_lines(document: Json) -> list[str]:
    word = "from" if document["state"] == "announced" else "since"
    since = f" {word} {document['effective_at'][:10]}" if document["effective_at"] else ""
    line = f"version {document['version']}: {document['state']}{since}; accepted by {document['accepted']}"
    refused = f", refused by {document['refused']}" if document["refused"] else ""
    return [f"{line}{refused}; {document['must_consent']} accepted an older one or none"]


def news(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The text, UTF-8.")],
    subject: Annotated[str, typer.Option(metavar="TEXT", help="The subject of the letters.")],
    data: DataOption = None,
) -> None:
    """Mail news to the reporters who chose to get any, each with a link that ends it."""
    from complaints import choices

    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{file}: {error}", UNUSABLE)
    with opened(data) as office, office.db.transaction() as session:
        count = choices.send_news(session, office, subject, text)
    say(f"{count} letters leave through plaint serve")
