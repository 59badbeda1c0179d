"""What every stage works with: settings, secrets, database and clock, opened once at the edge."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlmodel import Session

from complaints import tokens
from complaints.db import Database, DatabaseError
from complaints.models import Complaint, Report, Reporter, Submission
from complaints.settings import Settings
from complaints.vault import Vault

KEPT_LINKS = timedelta(days=90)
DAY = 86_400  # seconds


def utc_now() -> datetime:
    """The clock of a running service."""
    return datetime.now(UTC)


class LinkError(Exception):
    """A text that is no capability URL of ours."""


class LinkEndedError(LinkError):
    """A capability URL of ours whose time is over."""


@dataclass(frozen=True)
class Office:
    """One opened data directory."""

    settings: Settings
    vault: Vault
    db: Database
    clock: Callable[[], datetime] = utc_now

    @classmethod
    def open(cls, settings: Settings, clock: Callable[[], datetime] = utc_now) -> "Office":
        """Open a data directory; an empty one gets its database and secrets.

        Raises DatabaseError when an existing database needs `plaint db upgrade`, VaultError for bad secrets.
        """
        settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        db = Database(settings.database, clock)
        try:
            if db.is_empty():
                db.upgrade()
            db.check_schema()
        except DatabaseError:
            db.close()
            raise
        return cls(settings, Vault.open(settings.data), db, clock)

    def close(self) -> None:
        """Close the database."""
        self.db.close()

    def spam_of(self, session: Session, complaint: Complaint) -> bytes:
        """The spam of a complaint, byte for byte as it came; empty when its time here was over."""
        reporter = session.get_one(Reporter, complaint.reporter_id)
        whole = b"" if complaint.raw is not None else session.get_one(Submission, complaint.submission_id).raw
        return self.spam_in(whole, reporter, complaint)

    def spam_in(self, submission: bytes, reporter: Reporter, complaint: Complaint) -> bytes:
        """The same of a complaint whose submission is at hand, sealed."""
        if complaint.raw is not None:
            return self.vault.unseal(reporter.key, complaint.raw)
        if not submission:
            return b""
        return self.vault.unseal(reporter.key, submission)[complaint.slice_start : complaint.slice_end]

    def report_bytes(self, reporter: Reporter, report: Report) -> bytes:
        """The frozen bytes of a report; empty when their time here was over."""
        return self.vault.unseal(reporter.key, report.raw) if report.raw else b""

    def own_domains(self, reporter: Reporter) -> set[str]:
        """Mail domains never reported to nor to blame: ours and the reporter's own."""
        addresses = [reporter.address, *reporter.aliases]
        return {self.settings.mail_domain, *(address.rpartition("@")[2].lower() for address in addresses)}

    def review_url(self, complaint_id: str) -> str:
        """The capability URL under which the reporter reviews a complaint without login or cookie.

        Another one every second: those made before the reporter's address changed are ended by their age.
        """
        return (
            f"{self.settings.url}/review/{self._made('review', complaint_id, int(self.clock().timestamp()))}"
        )

    def hosts_url(self, reporter: Reporter) -> str:
        """The capability URL of a reporter's page of mail hosts; new secrets end the old one."""
        return f"{self.settings.url}/hosts/{self._link('hosts', reporter.id, reporter.token_hash or '')}"

    def account_url(self, reporter: Reporter) -> str:
        """The capability URL of a reporter's own page; new secrets end the old one."""
        return f"{self.settings.url}/account/{self._link('account', reporter.id, reporter.token_hash or '')}"

    def batch_url(self, reporter: Reporter, batch: str = "") -> str:
        """The capability URL under which all of a batch that awaits consent is reviewed ("": all of theirs).

        New secrets end the old one.
        """
        subject = f"{reporter.id}-{batch}" if batch else reporter.id
        return f"{self.settings.url}/batch/{self._link('batch', subject, reporter.token_hash or '')}"

    def unsubscribe_url(self, reporter: Reporter, purpose: str) -> str:
        """The capability URL that ends one use of a reporter's data, and does nothing else.

        New secrets leave it as it is, another address ends it.
        """
        subject = f"{reporter.id}-{purpose}"
        return f"{self.settings.url}/unsubscribe/{self._link('unsubscribe', subject, moved(reporter))}"

    def policy_url(self, reporter: Reporter) -> str:
        """The capability URL on which a reporter answers to a new version of the privacy policy."""
        return f"{self.settings.url}/policy/{self._link('policy', reporter.id, reporter.token_hash or '')}"

    def standing_url(self, reporter: Reporter) -> str:
        """The capability URL of a reporter's page about standing consent."""
        return (
            f"{self.settings.url}/standing/{self._link('standing', reporter.id, reporter.token_hash or '')}"
        )

    @property
    def link_life(self) -> timedelta:
        """How long a capability URL is good: as long as a consent can be given, and three months more."""
        return timedelta(seconds=self.settings.consent_seconds) + KEPT_LINKS

    def _link(self, purpose: str, subject: str, secret: str = "") -> str:
        """A link that is the same all day."""
        now = int(self.clock().timestamp())
        return self._made(purpose, subject, now - now % DAY, secret)

    def _made(self, purpose: str, subject: str, made: int, secret: str = "") -> str:
        return f"{subject}.{made}.{self._capability(purpose, subject, made, secret)}"

    def _capability(self, purpose: str, subject: str, made: int, secret: str) -> str:
        return self.vault.derive(purpose, f"{subject} {made} {secret}")

    def opened_by(self, purpose: str, token: str, secret: str = "") -> str:
        """Whose page a capability URL opens: the subject of its last part.

        `secret` is what else the link depends on. Raises LinkError for what was never a link of ours, and
        LinkEndedError for one whose time is over.
        """
        subject, _, rest = token.partition(".")
        made, _, given = rest.partition(".")
        if not (made.isascii() and made.isdecimal() and len(made) < 12):
            raise LinkError
        if not tokens.same(given, self._capability(purpose, subject, int(made), secret)):
            raise LinkError
        if self.clock() - made_at(token) > self.link_life:
            raise LinkEndedError
        return subject


def moved(reporter: Reporter) -> str:
    """What a link depends on that is to end when its reporter changes their address, and only then."""
    return str(int(reporter.moved_at.timestamp())) if reporter.moved_at else ""


def made_at(token: str) -> datetime:
    """When a capability URL of ours was made, to the second; of its last part, which must be one."""
    return datetime.fromtimestamp(int(token.split(".")[1]), UTC)


def ended_link(office: Office, purpose: str, token: str) -> str | None:
    """The subject of a link of ours whose time is over; None for any other text."""
    try:
        office.opened_by(purpose, token)
    except LinkEndedError:
        return token.partition(".")[0]
    except LinkError:
        return None
    return None
