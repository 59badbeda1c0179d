"""What the review page shows: takes a complaint as it stands, leaves the page. Reads only."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from sqlmodel import Session, col, select
from starlette.responses import HTMLResponse

from complaints import consent, hiding, outcomes, outline, policies, show
from complaints.consent import REDACTIONS
from complaints.grades import GRADES
from complaints.message import parse
from complaints.models import UNDERWAY, Complaint, ComplaintState, Json, Report, Reporter, ReportState
from complaints.office import Office
from complaints.policy import STATEMENT
from complaints.report import OPEN
from complaints.review_groups import MOST_COUNTED, Beside, beside
from complaints.web import words
from complaints.web.hop_picture import picture
from complaints.web.intake import LONGEST_NOTE
from complaints.web.page import SHOWN_BYTES, age, page
from complaints.web.problems import FieldError
from complaints.web.shown import nonce_for
from complaints.web.visible import visible_bytes

MOST_CLAIMS, MOST_HOSTS, MOST_LINKS = 10, 20, 10
"""Claimed hops, link hosts, and links of one host that are shown; the rest is counted."""
# What evidence read by an earlier version does not have
_NOT_YET: Json = {
    "hints": [],
    "signatures": [],
    "unconfirmed": [],
    "explanation": "",
    "notes": [],
    "lost": None,
}


@dataclass(frozen=True)
class Typed:
    """What the reporter had put into the form when it was sent."""

    reports: tuple[str, ...]
    redaction: str
    note: str
    read: bool
    hide: str = ""


@dataclass(frozen=True)
class Said:
    """What the answer to a POST says on top of the page, and what it puts back into the form."""

    typed: Typed | None = None
    changes: Sequence[str] = ()
    stale: bool = False
    errors: Sequence[FieldError] = ()
    previewed: bool = False


def review_path(office: Office, complaint_id: str) -> str:
    """The capability URL of a review page, without its host."""
    return urlsplit(office.review_url(complaint_id)).path


@dataclass(frozen=True)
class Trail:
    """The way along the complaints of a batch that wait: paths, None where there is no further one."""

    beside: Beside
    before: str | None
    after: str | None
    all: str


def trail(session: Session, office: Office, complaint: Complaint, batch: str) -> Trail | None:
    """The way from a complaint, each step under the link of a batch; None for one of another batch."""
    label = batch.partition(".")[0].partition("-")[2]
    found = beside(session, complaint.reporter_id, label, complaint.id)
    if found is None:
        return None

    def step(complaint_id: str | None) -> str | None:
        return f"/batch/{batch}{review_path(office, complaint_id)}" if complaint_id else None

    return Trail(found, step(found.before), step(found.after), f"/batch/{batch}")


def review_page(
    session: Session,
    office: Office,
    complaint: Complaint,
    status: int = 200,
    said: Said | None = None,
    way: Trail | None = None,
) -> HTMLResponse:
    """The page of one complaint; `way` leads on to others, where its link was given for more."""
    said = said or Said()
    of_complaint = select(Report).where(Report.complaint_id == complaint.id)
    rows = list(session.exec(of_complaint.order_by(col(Report.id))))
    reporter = session.get_one(Reporter, complaint.reporter_id)
    label, sentence = words.COMPLAINT[complaint.state]
    awaits = complaint.state == ComplaintState.AWAITING_CONSENT
    refused = complaint.state == ComplaintState.REFUSED
    document = show.complaint_document(session, office, complaint)
    may_learn = awaits or refused
    spam = office.spam_of(session, complaint)
    return page(
        "review.html",
        status,
        policy_change=policies.asked(session, office, reporter),
        complaint=complaint,
        document=document,
        **_evidence(complaint.evidence, spam),
        label=label,
        sentence=sentence,
        outcome=outcomes.of_complaint(complaint),
        age=age(office.clock() - complaint.received_at),
        underway=complaint.state in UNDERWAY,
        awaits=awaits,
        reports=_reports(office, reporter, complaint, rows, document["reports"], spam),
        failures=_failures(document["lookups"]),
        forms=_forms(document["lookups"]),
        typed=said.typed or _as_drafted(complaint, rows),
        may_learn=may_learn,
        nonce=nonce_for(office, complaint, rows, policies.in_force(session, office)) if may_learn else "",
        undo=consent.undo_until(session, office, complaint),
        withdrawable=consent.withdrawable(session, complaint),
        decided=any(row.state != ReportState.DRAFT for row in rows),
        undo_seconds=office.settings.undo_seconds,
        spam=spam,
        path=review_path(office, complaint.id),
        way=way,
        most_counted=MOST_COUNTED,
        said=said,
        errors=said.errors,
        redactions=REDACTIONS,
        longest_note=LONGEST_NOTE,
        hints=words.REDACTIONS,
        rules=words.RULES,
        statement=STATEMENT,
        words=words,
    )


def _evidence(evidence: Json | None, spam: bytes) -> dict[str, Any]:
    """What the evidence part of the page needs; nothing while the spam was not read."""
    if evidence is None:
        return {"evidence": None}
    steps = outline.steps(evidence)
    pieces = _raw_pieces(spam)
    return {
        "evidence": _NOT_YET | evidence,
        "steps": steps,
        "picture": picture(steps),
        "pause": outline.pause,
        "link_groups": outline.groups(evidence),
        "answers": outline.answers(evidence),
        "grades": GRADES,
        "raw_pieces": pieces,
        "raw_lines": {hop for hop, _ in pieces if hop is not None},
        "most_claims": MOST_CLAIMS,
        "most_hosts": MOST_HOSTS,
        "most_links": MOST_LINKS,
    }


def _raw_pieces(spam: bytes) -> list[tuple[int | None, str]]:
    """The first part of the spam as text, cut so that each Received field stands alone, with its hop."""
    shown = spam[:SHOWN_BYTES]
    pieces: list[tuple[int | None, str]] = []
    end = 0
    for hop, field in enumerate(parse(shown).fields("received")):
        pieces += [(None, visible_bytes(shown[end : field.start])), (hop, visible_bytes(field.raw))]
        end = field.end
    return [*pieces, (None, visible_bytes(shown[end:]))]


def _as_drafted(complaint: Complaint, rows: Sequence[Report]) -> Typed:
    ticked = tuple(row.id for row in rows if row.ticked)
    return Typed(ticked, complaint.redaction, complaint.note, read=False, hide="\n".join(complaint.hide))


def _reports(
    office: Office,
    reporter: Reporter,
    complaint: Complaint,
    rows: Sequence[Report],
    documents: Sequence[Json],
    spam: bytes,
) -> list[Json]:
    """Per desk its document, its exact bytes, and what the contact snapshot says of its part in the spam."""
    by_id = {document["id"]: document for document in documents}
    raws = {row.id: office.report_bytes(reporter, row) for row in rows}
    open_now = [(row, raws[row.id]) for row in rows if row.state in OPEN]
    differences = hiding.differences(office, reporter, complaint, open_now, spam)
    return [
        by_id[row.id]
        | {
            "raw": raws[row.id],
            "open": row.state in OPEN,
            "words": words.REPORT[row.state],
            "contact": row.contact,
            "hidden": _by_rule(row.changes),
            "next_at": row.next_at,
            "parts": _parts(row, complaint.source_ip),
            "difference": differences.get(row.id),
            "unticked": None if row.ticked else _why_unticked(row),
        }
        for row in rows
    ]


def _parts(row: Report, source_ip: str | None) -> list[tuple[str, str]]:
    """What each of a desk's targets was in the spam; one desk may answer for several."""
    parts = row.contact.get("parts") or [
        {"role": "source" if target == source_ip else "link", "target": target}
        for target in row.contact["targets"]
    ]
    return [(words.ROLES[part["role"]][0], part["target"]) for part in parts]


def _why_unticked(row: Report) -> str:
    """The reason the drafting gave, else what is said of every desk with this part in the spam."""
    role = row.contact.get("role", "link")
    return str(row.contact.get("unticked") or words.ROLES.get(role, words.ROLES["link"])[1])


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
