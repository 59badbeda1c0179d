"""What a review page showed, as the nonce its form carries: which reports, with which digests, and when.

Only we can make one (HMAC under the master secret), and it is good for one complaint in one version: after a
confirmation, an undo or a new draft it is stale. So a consent covers what was on the page, or nothing.
"""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from complaints import tokens
from complaints.models import Complaint, Report
from complaints.office import Office


@dataclass(frozen=True)
class Shown:
    """A page that was shown at `at` (seconds since 1970): report id → digest of its bytes."""

    at: int
    version: int
    reports: dict[str, str]


def nonce_for(office: Office, complaint: Complaint, reports: Sequence[Report]) -> str:
    """The nonce of a page that shows these reports of a complaint now."""
    digests = {report.id: report.digest for report in reports}
    shown = Shown(int(office.clock().timestamp()), complaint.version, digests)
    content = base64.urlsafe_b64encode(json.dumps(asdict(shown)).encode()).decode()
    return f"{content}.{_mac(office, complaint, content)}"


def read_nonce(office: Office, complaint: Complaint, nonce: str) -> Shown | None:
    """What the page showed; None for a nonce that is not ours, not of this complaint, or too old."""
    content, _, mac = nonce.partition(".")
    if not tokens.same(mac, _mac(office, complaint, content)):
        return None
    try:
        shown = Shown(**json.loads(base64.urlsafe_b64decode(content)))
    except (binascii.Error, ValueError, TypeError):
        return None
    now = office.clock().timestamp()
    return shown if now - shown.at <= office.settings.consent_seconds else None


def changes_since(shown: Shown, complaint: Complaint, reports: Sequence[Report]) -> list[str]:
    """What differs by now from what was shown, in sentences; empty when nothing does."""
    now = {report.id: report for report in reports}
    found = [f"{report_id} is no longer proposed." for report_id in shown.reports if report_id not in now]
    found += [f"{row.to} is new." for row in reports if row.id not in shown.reports]
    found += [
        f"The report to {now[report_id].to} was written anew."
        for report_id, digest in shown.reports.items()
        if report_id in now and now[report_id].digest != digest
    ]
    if not found and shown.version != complaint.version:
        return ["The complaint was decided on, or changed, since this form was shown."]
    return found


def _mac(office: Office, complaint: Complaint, content: str) -> str:
    return office.vault.derive("shown", f"{complaint.id} {content}")
