"""A reporter's chain of consents and withdrawals: takes a decision, leaves an entry that none can alter.

Each entry's words are sealed under the reporter's key; its digest and the digest of the entry before are in
the clear, and the database refuses an entry that does not follow the last one (`guards`).
"""

import json

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from sqlmodel import Session, col, select

from complaints import policies, receipts
from complaints.models import ConsentEntry, Json, Report, Reporter
from complaints.office import Office
from complaints.policy import DAY
from complaints.vault import kept_secret


def add(session: Session, office: Office, reporter_id: str, kind: str, said: Json) -> ConsentEntry:
    """Append an entry; `said` has no `number`, `previous`, `kind`, `reporter` or `at`, which are set here."""
    # One entry after the other: whoever else decides for this reporter at this moment waits here. Not the
    # key's lock (FOR NO KEY UPDATE): every row that refers to the reporter holds a share of that one
    reporter = session.get_one(Reporter, reporter_id, with_for_update={"key_share": True})
    of_reporter = select(ConsentEntry).where(ConsentEntry.reporter_id == reporter_id)
    last = session.exec(of_reporter.order_by(col(ConsentEntry.number).desc()).limit(1)).first()
    entry = said | {
        "number": last.number + 1 if last else 1,
        "previous": last.digest if last else "",
        "kind": kind,
        "reporter": reporter_id,
        "at": office.clock().isoformat(),
    }
    row = ConsentEntry(
        reporter_id=reporter_id,
        number=entry["number"],
        kind=kind,
        complaint_id=said.get("complaint"),
        at=office.clock(),
        previous=entry["previous"],
        digest=receipts.entry_digest(entry),
        body=office.vault.seal(reporter.key, receipts.canonical(entry)),
    )
    session.add(row)
    session.flush()
    return row


def stands(session: Session, office: Office, reporter: Reporter, consent_id: str, report: Json) -> bool:
    """Whether the chain itself says that this consent covers a report, {"id", "to", "digest"}, and stands.

    The tables say so to whoever can write to the database; an entry takes the reporter's key as well.
    Raises vault.VaultError for an entry that was not sealed with it.
    """
    about = select(ConsentEntry).where(
        ConsentEntry.reporter_id == reporter.id,
        ConsentEntry.complaint_id
        == select(Report.complaint_id).where(Report.id == report["id"]).scalar_subquery(),
    )
    given = False
    for row in session.exec(about.order_by(col(ConsentEntry.number))):
        entry = json.loads(office.vault.unseal(reporter.key, row.body))
        if receipts.entry_digest(entry) != row.digest or entry.get("consent") != consent_id:
            continue
        given = entry["kind"] == "consent" and report in entry["reports"]
    return given


def receipt(session: Session, office: Office, reporter: Reporter, complaint_id: str | None = None) -> Json:
    """The signed receipt of everything a reporter decided, or of what concerns one complaint."""
    query = select(ConsentEntry).where(ConsentEntry.reporter_id == reporter.id)
    if complaint_id is not None:
        query = query.where(ConsentEntry.complaint_id == complaint_id)
    rows = session.exec(query.order_by(col(ConsentEntry.number)))
    entries = [json.loads(office.vault.unseal(reporter.key, row.body)) for row in rows]
    given = office.settings
    days = policies.kept_of(session, office, reporter).report // DAY
    service = receipts.Service(given.mail_domain, given.url, given.contact, given.hosted_in, days)
    return receipts.receipt(entries, service, office.clock(), _key(office))


def public_key(office: Office) -> str:
    """The key that receipts are checked with, as base64; for whoever wants to know it beforehand."""
    return receipts.public_key(_key(office))


def _key(office: Office) -> Ed25519PrivateKey:
    key = load_pem_private_key(kept_secret(office.vault.folder / "receipts.pem", receipts.make_key), None)
    assert isinstance(key, Ed25519PrivateKey)
    return key
