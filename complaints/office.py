"""What every stage works with: settings, secrets, database and clock, opened once at the edge."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlmodel import Session

from complaints.db import Database, DatabaseError
from complaints.models import Complaint, Reporter, Submission
from complaints.settings import Settings
from complaints.vault import Vault


def utc_now() -> datetime:
    """The clock of a running service."""
    return datetime.now(UTC)


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
        """The spam of a complaint, byte for byte as it came."""
        reporter = session.get_one(Reporter, complaint.reporter_id)
        if complaint.raw is not None:
            return self.vault.unseal(reporter.key, complaint.raw)
        submission = session.get_one(Submission, complaint.submission_id)
        return self.vault.unseal(reporter.key, submission.raw)[complaint.slice_start : complaint.slice_end]

    def own_domains(self, reporter: Reporter) -> set[str]:
        """Mail domains never reported to nor to blame: ours and the reporter's own."""
        addresses = [reporter.address, *reporter.aliases]
        return {self.settings.mail_domain, *(address.rpartition("@")[2].lower() for address in addresses)}

    def review_url(self, complaint_id: str) -> str:
        """The capability URL under which the reporter reviews a complaint without login or cookie."""
        return f"{self.settings.url}/review/{complaint_id}.{self.vault.derive('review', complaint_id)}"

    def hosts_url(self, reporter: Reporter) -> str:
        """The capability URL of a reporter's page of mail hosts; new secrets end the old one."""
        return f"{self.settings.url}/hosts/{reporter.id}.{self.hosts_secret(reporter)}"

    def hosts_secret(self, reporter: Reporter) -> str:
        """What makes that URL a capability."""
        return self.vault.derive("hosts", f"{reporter.id} {reporter.token_hash}")
