"""What the review page shows: takes a complaint as it stands, leaves the page. Reads only."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from sqlmodel import Session, col, select
from starlette.responses import HTMLResponse

from complaints import consent, show
from complaints.consent import OPEN, REDACTIONS
from complaints.models import Complaint, ComplaintState, Json, Report, Reporter
from complaints.notice import REMEDIES, UNDERWAY
from complaints.office import Office
from complaints.policy import STATEMENT
from complaints.web import words
from complaints.web.intake import LONGEST_NOTE
from complaints.web.page import age, page
from complaints.web.problems import FieldError
from complaints.web.shown import nonce_for


@dataclass(frozen=True)
class Typed:
    """What the reporter had put into the form when it was sent."""

    reports: tuple[str, ...]
    redaction: str
    note: str
    read: bool


@dataclass(frozen=True)
class Said:
    """What the answer to a POST says on top of the page, and what it puts back into the form."""

    typed: Typed | None = None
    changes: Sequence[str] = ()
    errors: Sequence[FieldError] = ()
    previewed: bool = False


def review_path(office: Office, complaint_id: str) -> str:
    """The capability URL of a review page, without its host."""
    return urlsplit(office.review_url(complaint_id)).path


def review_page(
    session: Session, office: Office, complaint: Complaint, status: int = 200, said: Said | None = None
) -> HTMLResponse:
    """The page of one complaint."""
    said = said or Said()
    of_complaint = select(Report).where(Report.complaint_id == complaint.id)
    rows = list(session.exec(of_complaint.order_by(col(Report.id))))
    reporter = session.get_one(Reporter, complaint.reporter_id)
    label, sentence = words.COMPLAINT[complaint.state]
    awaits = complaint.state == ComplaintState.AWAITING_CONSENT
    refused = complaint.state == ComplaintState.REFUSED
    document = show.complaint_document(session, office, complaint)
    return page(
        "review.html",
        status,
        complaint=complaint,
        document=document,
        evidence=complaint.evidence,
        label=label,
        sentence=sentence,
        remedy=REMEDIES.get(complaint.state) if refused else None,
        age=age(office.clock() - complaint.received_at),
        underway=complaint.state in UNDERWAY,
        awaits=awaits,
        reports=_reports(office, reporter, rows, document["reports"]),
        failures=_failures(document["lookups"]),
        forms=_forms(document["lookups"]),
        typed=said.typed or _as_drafted(complaint, rows),
        nonce=nonce_for(office, complaint, rows) if awaits or refused else "",
        undo=consent.undo_until(session, office, complaint),
        undo_seconds=office.settings.undo_seconds,
        spam=office.spam_of(session, complaint),
        path=review_path(office, complaint.id),
        said=said,
        errors=said.errors,
        redactions=REDACTIONS,
        longest_note=LONGEST_NOTE,
        statement=STATEMENT,
        words=words,
    )


def _as_drafted(complaint: Complaint, rows: Sequence[Report]) -> Typed:
    ticked = tuple(row.id for row in rows if row.ticked)
    return Typed(ticked, complaint.redaction, complaint.note, read=False)


def _reports(
    office: Office, reporter: Reporter, rows: Sequence[Report], documents: Sequence[Json]
) -> list[Json]:
    """Per desk its document, its exact bytes, and what the contact snapshot says of its part in the spam."""
    by_id = {document["id"]: document for document in documents}
    return [
        by_id[row.id]
        | {
            "raw": office.vault.unseal(reporter.key, row.raw),
            "open": row.state in OPEN,
            "words": words.REPORT[row.state],
            "contact": row.contact,
            "hidden": _by_rule(row.changes),
            "next_at": row.next_at,
        }
        for row in rows
    ]


def _by_rule(changes: Sequence[Json]) -> list[tuple[str, int]]:
    """Which rule of redaction changed how much, the most frequent first."""
    counts: Counter[str] = Counter()
    for change in changes:
        counts[change["rule"]] += change.get("count", 1)
    return counts.most_common()


def _failures(lookups: Sequence[Json]) -> list[Json]:
    return [failure | {"target": lookup["target"]} for lookup in lookups for failure in lookup["failures"]]


def _forms(lookups: Sequence[Json]) -> list[dict[str, Any]]:
    """Desks that take complaints only through a web form: shown, for nothing of ours reaches them."""
    return [
        contact | {"target": lookup["target"]}
        for lookup in lookups
        for contact in lookup["contacts"]
        if contact.get("form") and not contact.get("address")
    ]
