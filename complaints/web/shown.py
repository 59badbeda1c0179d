"""What a review page showed, as the nonce its form carries: which reports, with which digests, and when.

Only we can make one (HMAC under the master secret), and it is good for one complaint in one version: after a
confirmation, an undo or a new draft it is stale. So a consent covers what was on the page, or nothing.
"""

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from complaints import tokens
from complaints.consent import REDACTIONS
from complaints.models import Complaint, Report
from complaints.office import Office
from complaints.policy import STATEMENT_VERSION


@dataclass(frozen=True)
class Shown:
    """A page shown at `at` (seconds since 1970): the id, recipient and digest of each report on it.

    `policy` is the version of the privacy policy it was shown under, `statement` that of the words to tick;
    `about` is what the reports were written from, see `_about`.
    """

    at: int
    version: int
    policy: str
    statement: str
    reports: list[tuple[str, str, str]]
    about: dict[str, str]

    @property
    def digests(self) -> dict[str, str]:
        """Report id → digest."""
        return {report_id: digest for report_id, _, digest in self.reports}


def nonce_for(office: Office, complaint: Complaint, reports: Sequence[Report], policy: str) -> str:
    """The nonce of a page that shows these reports of a complaint now, under this version of the policy."""
    rows = [(report.id, report.to, report.digest) for report in reports]
    now = int(office.clock().timestamp())
    shown = Shown(now, complaint.version, policy, STATEMENT_VERSION, rows, _about(complaint))
    content = base64.urlsafe_b64encode(json.dumps(asdict(shown)).encode()).decode()
    return f"{content}.{_mac(office, complaint, content)}"


def read_nonce(office: Office, complaint: Complaint, nonce: str) -> Shown | None:
    """What the page showed; None for a nonce that is not ours, not of this complaint, or too old."""
    content, _, mac = nonce.partition(".")
    if not tokens.same(mac, _mac(office, complaint, content)):
        return None
    try:
        shown = Shown(**json.loads(base64.urlsafe_b64decode(content)))
    except TypeError:
        return None  # made by another version of this program
    age = office.clock().timestamp() - shown.at
    return shown if age <= office.settings.consent_seconds else None


def changes_since(shown: Shown, complaint: Complaint, reports: Sequence[Report], policy: str) -> list[str]:
    """What differs by now from what was shown, in sentences; empty when nothing does."""
    then = {to: digest for _, to, digest in shown.reports}
    now = {report.to: report.digest for report in reports}
    found = [f"{to} is no longer proposed." for to in then.keys() - now.keys()]
    found += [f"{to} is new." for to in now.keys() - then.keys()]
    found += [f"The report to {to} was written anew." for to in now if then.get(to, now[to]) != now[to]]
    about = _about(complaint)
    found += [SAID[name](complaint, then) for name, then in shown.about.items() if about[name] != then]
    if shown.policy != policy:
        found.append(f"The privacy policy is now version {policy}; it was version {shown.policy}.")
    if shown.statement != STATEMENT_VERSION:
        found.append("The statement to agree to was written anew.")
    if not found and shown.version != complaint.version:
        return ["The complaint was decided on, or changed, since this form was shown."]
    return sorted(found)


def _about(complaint: Complaint) -> dict[str, str]:
    """What reports are written from, short: a source and a choice as they are, the rest as digests."""
    evidence = json.dumps(complaint.evidence, sort_keys=True).encode()
    return {
        "source": complaint.source_ip or "",
        "evidence": tokens.digest(evidence),
        "redaction": complaint.redaction,
        "note": tokens.digest(complaint.note.encode()),
        "hide": tokens.digest(json.dumps(complaint.hide).encode()),
    }


SAID: dict[str, Callable[[Complaint, str], str]] = {
    "source": lambda row, then: f"The source is now {row.source_ip or 'not known'}; it was {then}.",
    "evidence": lambda _row, _then: "The evidence was read anew, and says something else now.",
    "redaction": lambda row, then: (
        f"The reports are now: {REDACTIONS.get(row.redaction, row.redaction)}. "
        f"They were: {REDACTIONS.get(then, then)}."
    ),
    "note": lambda row, _then: (
        f"Your words to the desk are now: {row.note}" if row.note else "No words to the desk are sent now."
    ),
    "hide": lambda row, _then: f"The words to hide are now: {', '.join(row.hide) or 'none'}.",
}
"""What is said of each of these when it is no longer as it was shown."""


def _mac(office: Office, complaint: Complaint, content: str) -> str:
    return office.vault.derive("shown", f"{complaint.id} {content}")
