"""What the command line works on: a server through its HTTP API, or a data directory on this machine.

`Remote` and `Local` take the same verbs and leave the same documents. What asks the outside is imported where
it is used: a batch asks in its children only.
"""
# ruff: noqa: PLC0415 - see above

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from sqlalchemy.exc import OperationalError

from complaints import (
    account_deeds,
    accountability,
    batches,
    consent,
    draft,
    hiding,
    learned,
    ledger,
    outcomes,
    reporters,
    show,
    submission,
)
from complaints.account import AccountError, CodeError, WaitError
from complaints.batches import Decision
from complaints.consent import Choice, ConsentError, EmptyError
from complaints.db import OvertakenError
from complaints.logs import place_of
from complaints.models import Complaint, ComplaintState, Json, Report, Reporter
from complaints.office import Office
from complaints.outcomes import Outcome
from complaints.own_hosts import HostError
from complaints.redact import CannotRedact
from complaints.remote import ClientError, Handed, Ids, Items, Pause, refusal
from complaints.settings import Settings
from complaints.terminal import FAILED, NOT_ALLOWED, TRY_LATER, UNUSABLE
from complaints.workbench import Workbench, unfinished

log = logging.getLogger(__name__)


class Client(AbstractContextManager["Client"], Protocol):
    """The verbs on submissions and complaints. All raise ClientError."""

    def submit(self, raw: bytes | Path, filename: str, *, forwarded: bool, pasted: bool = False) -> Items:
        """Hand in one FILE; one document per spam or refused part. `pasted`: repair it as text.

        A Path is a file too large to be held: a server reads a mailbox bit by bit.
        """

    name: str
    """What tells this place and reporter from all others."""
    notes: Path
    """The folder for what a batch remembers."""
    most_at_once: int
    """Mails that `hand_in` takes at once with profit."""

    @property
    def most_bytes(self) -> int:
        """Bytes of a mail that is taken."""

    def trusted(self) -> Ids:
        """The mail hosts that the reporter trusts, as `Trust.of` takes them."""

    def lookups(self, targets: Sequence[str], step: Callable[[], None]) -> Iterator[Json]:
        """The lookup document of each target, in whatever order; `step` is called as each is there."""

    def hand_in(self, mails: Sequence[Handed], label: str, pause: Pause) -> Iterator[Items]:
        """Hand in mails of a batch; in their order, as `submit` leaves it, what became of each.

        Each is safely kept when it is left; nothing is told of it by mail. `pause` waits for so many seconds,
        or raises.
        """

    def workbench(self) -> AbstractContextManager[Workbench | None]:
        """Where complaints of a batch are put to be read and looked up here; None where others do that."""

    def list(self, state: str | None) -> Iterator[Json]:
        """The reporter's complaints, newest first."""

    def show(self, complaint_id: str) -> Json:
        """The show document."""

    def raw(self, complaint_id: str) -> bytes:
        """The spam as received."""

    def report(self, complaint_id: str, report_id: str) -> bytes:
        """The exact bytes of a report."""

    def confirm(self, complaint_id: str, choice: Choice) -> Json:
        """Consent; the show document after it."""

    def act(self, complaint_id: str, verb: str) -> Json:
        """discard, undo, withdraw or refresh; the show document after it."""

    def receipt(self, complaint_id: str | None) -> Json:
        """The signed receipt of a complaint's consents, or of all."""

    def whose(self, quoted: str) -> Items:
        """Whom of the reporter's a pseudonym stands for, and to which desks; empty for none."""

    def account(self, deed: str = "", **said: Any) -> bytes:
        """An operation of `account_deeds`, as the API answers it; "" is the account document."""

    def review(self, batch: str, by: str, key: str | None = None) -> Json:
        """What awaits consent, in groups, as GET /api/v1/review gives it."""

    def page_of(self, batch: str) -> str:
        """The URL on which a batch is reviewed."""

    def decide(self, batch: str, by: str, decision: Json) -> Json:
        """Decide on a group, as POST /api/v1/review does."""

    def mine(self, complaint_id: str, hop: int) -> Json:
        """Trust the host that handed over at a hop, trace again; the show document after it."""


class Local:
    """A data directory on this machine, in the name of one of its reporters."""

    most_at_once = 64

    def __init__(self, settings: Settings, reporter: str) -> None:
        self._office = Office.open(settings)
        with self._office.db.reading() as session:
            found = reporters.find(session, reporter)
        if found is None:
            self._office.close()
            raise ClientError(f"{reporter} is no reporter here; see: plaint reporters list", NOT_ALLOWED)
        self._reporter: Reporter = found
        self.name, self.notes, self.most_bytes = found.id, settings.data, settings.max_bytes

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._office.close()

    def submit(self, raw: bytes | Path, filename: str, *, forwarded: bool, pasted: bool = False) -> Items:
        """See Client. What was accepted is durable first, then read and looked up in this process."""
        if isinstance(raw, Path):
            most = f"{self.most_bytes:,} bytes, the most that is taken at once"
            raise ClientError(f"It is larger than {most}; a mailbox of any size: plaint batch", UNUSABLE)
        said: Any = {"forwarded": forwarded, "filename": filename, "pasted": pasted}
        try:
            found = submission.contents(self._office, self._reporter, raw, **said)
            with self._office.db.transaction() as session:
                taken = submission.accept(session, self._office, self._reporter, raw, via="cli", **said)
                outcome = submission.unwrap(session, self._office, taken, found).outcome
        except submission.TooLargeError as error:
            raise ClientError(f"{error} {error.remedy}", UNUSABLE) from error
        fresh = [item["complaint"] for item in outcome if item["status"] == "accepted"]
        asyncio.run(self._analyse(fresh, taken.id))
        return outcome

    def trusted(self) -> Ids:
        """See Client. The DNS is asked as for a spam, and nothing of it is kept."""
        from complaints import mail_hosts
        from complaints.outside import looking_up

        async def ask() -> Items:
            async with looking_up(self._office) as lookup:
                addresses = [self._reporter.address, *self._reporter.aliases]
                return (await mail_hosts.lookup(lookup.resolver, addresses))[0]

        return [*learned.trusted(self._reporter), *map(learned.value, asyncio.run(ask()))]

    def lookups(self, targets: Sequence[str], step: Callable[[], None]) -> Iterator[Json]:
        """See Client."""
        from complaints.outside import looking_up

        async def ask() -> Items:
            documents = []
            async with looking_up(self._office) as lookup:
                async for found in lookup.find_many(targets):
                    documents.append(found.document())
                    step()
            return documents

        yield from asyncio.run(ask())

    def hand_in(self, mails: Sequence[Handed], label: str, pause: Pause) -> Iterator[Items]:
        """See Client. They become durable together; one that cannot be is then tried by itself."""
        del pause
        try:
            return iter(self._take(mails, label))
        except Exception as error:  # noqa: BLE001 - whatever it is, the others are taken
            log.error("mails of a batch could not be taken together: %s", place_of(error))  # noqa: TRY400 - see logs
        return (self._take_one(mail, label) for mail in mails)

    def _take_one(self, mail: Handed, label: str) -> Items:
        try:
            return self._take([mail], label)[0]
        except submission.TooLargeError as error:
            return [refusal(Outcome("too_large", str(error), error.remedy))]
        except OperationalError:
            raise
        except Exception as error:  # noqa: BLE001 - see above
            log.error("a mail of a batch could not be taken: %s", place_of(error))  # noqa: TRY400 - see logs
            return [refusal(outcomes.UNREADABLE)]

    def _take(self, mails: Sequence[Handed], label: str) -> Sequence[Items]:
        """The only place where mails of a batch come in here, in one transaction."""
        found = [
            submission.contents(self._office, self._reporter, raw, forwarded=False, filename=name)
            for raw, name in mails
        ]
        with self._office.db.transaction() as session:
            of_batch: Any = {"via": submission.BATCH, "forwarded": False, "batch": label}
            rows = [
                submission.accept(session, self._office, self._reporter, raw, filename=name, **of_batch)
                for raw, name in mails
            ]
            return [
                submission.unwrap(session, self._office, row, items).outcome
                for row, items in zip(rows, found, strict=True)
            ]

    @contextmanager
    def workbench(self) -> Iterator[Workbench]:
        """See Client. What an earlier batch left unread comes after what is new: that is to be kept first."""
        with Workbench(self._office.settings, unfinished(self._office, self._reporter.id)) as bench:
            yield bench

    def list(self, state: str | None) -> Iterator[Json]:
        """See Client."""
        wanted, after = ComplaintState(state) if state else None, None
        accountability.list_in_your_name(self._office, self._reporter.id)
        while True:
            with self._office.db.reading() as session:
                page = show.complaint_page(session, self._reporter.id, state=wanted, after=after)
            if not page:
                return
            yield from map(show.complaint_line, page)
            after = page[-1].id

    def show(self, complaint_id: str) -> Json:
        """See Client."""
        self._look(complaint_id)
        with self._office.db.transaction() as session:
            return show.complaint_document(session, self._office, self._own_evidence(session, complaint_id))

    def raw(self, complaint_id: str) -> bytes:
        """See Client."""
        with self._office.db.transaction() as session:
            found = self._own_evidence(session, complaint_id)
            return _kept(self._office.spam_of(session, found), complaint_id)

    def report(self, complaint_id: str, report_id: str) -> bytes:
        """See Client."""
        self._look(complaint_id)
        with self._office.db.transaction() as session:
            row = session.get(Report, report_id)
            if row is None or row.complaint_id != self._own_evidence(session, complaint_id).id:
                raise _unknown(report_id)
            return _kept(self._office.report_bytes(self._reporter, row), report_id)

    def confirm(self, complaint_id: str, choice: Choice) -> Json:
        """See Client. The report leaves through a running `plaint serve`."""
        self._look(complaint_id)
        with _refusals(), self._office.db.transaction() as session:
            complaint = self._own_evidence(session, complaint_id)
            consent.confirm(session, self._office, complaint, choice, via="cli")
            return show.complaint_document(session, self._office, complaint)

    def act(self, complaint_id: str, verb: str) -> Json:
        """See Client."""
        with _refusals(), self._office.db.transaction() as session:
            complaint = self._own(session, complaint_id)
            if verb == "discard":
                consent.discard(session, complaint)
            elif verb == "undo":
                consent.undo(session, self._office, complaint, via="cli")
            elif verb == "withdraw":
                consent.withdraw(session, self._office, complaint, via="cli")
            else:
                consent.refresh(session, self._office, complaint)
        if verb == "refresh":
            asyncio.run(self._analyse([complaint_id], None))
        return self.show(complaint_id)

    def receipt(self, complaint_id: str | None) -> Json:
        """See Client."""
        accountability.list_in_your_name(self._office, self._reporter.id, accountability.RECEIPT)
        with self._office.db.reading() as session:
            one = self._own(session, complaint_id).id if complaint_id else None
            return ledger.receipt(session, self._office, self._reporter, one)

    def account(self, deed: str = "", **said: Any) -> bytes:
        """See Client."""
        if not deed:
            accountability.list_in_your_name(self._office, self._reporter.id)
        with _refusals():
            return account_deeds.do(self._office, self._reporter.id, deed, said)

    def review(self, batch: str, by: str, key: str | None = None) -> Json:
        """See Client."""
        accountability.list_in_your_name(self._office, self._reporter.id)
        return batches.document(self._office, self._reporter, batch, by, key)

    def page_of(self, batch: str) -> str:
        """See Client."""
        return self._office.batch_url(self._reporter, batch)

    def decide(self, batch: str, by: str, decision: Json) -> Json:
        """See Client. The reports leave through a running `plaint serve`."""
        with _refusals():
            said = Decision(by, **decision)
            return batches.decide(self._office, self._reporter.id, batch, said, "cli").document()

    def mine(self, complaint_id: str, hop: int) -> Json:
        """See Client."""
        with _refusals(), self._office.db.transaction() as session:
            consent.mine(session, self._office, self._own(session, complaint_id), hop)
        asyncio.run(self._analyse([complaint_id], None))
        return self.show(complaint_id)

    def whose(self, quoted: str) -> Items:
        """See Client."""
        accountability.list_in_your_name(self._office, self._reporter.id, accountability.WHOSE)
        with self._office.db.reading() as session:
            found = hiding.whose(session, self._office, self._reporter, quoted)
        return [item | {"since": show.stamp(item["since"])} for item in found]

    async def _analyse(self, complaint_ids: Ids, submission_id: str | None) -> None:
        from complaints.outside import looking_up, sender
        from complaints.worker import Worker

        settings = self._office.settings
        async with looking_up(self._office) as lookup:
            worker = Worker(self._office, lookup, sender(settings, lookup))
            for complaint_id in complaint_ids:
                for step in ("evidence", "contacts", "draft"):
                    await worker.run(step, complaint_id)
            if submission_id:
                await worker.run("notice", submission_id)

    def _look(self, complaint_id: str) -> None:
        """What is about to be shown has its bytes first."""
        with self._office.db.reading() as session:
            found = self._own(session, complaint_id).id
        draft.written(self._office, found)

    def _own(self, session: Any, complaint_id: str) -> Complaint:
        complaint = show.own_complaint(session, self._reporter.id, complaint_id)
        if complaint is None:
            raise _unknown(complaint_id)
        return complaint

    def _own_evidence(self, session: Any, complaint_id: str) -> Complaint:
        """As `_own`, to be read: on record for the reporter, should somebody else sit here."""
        complaint = self._own(session, complaint_id)
        accountability.read_in_your_name(session, self._office, self._reporter.id, complaint.id)
        return complaint


def _kept(content: bytes, what: str) -> bytes:
    if not content:
        raise ClientError(f"{what}: deleted when its time here was over, or never written", UNUSABLE)
    return content


def _unknown(what: str) -> ClientError:
    return ClientError(f"{what}: you have no such complaint or report; see: plaint list", UNUSABLE)


def _account_code(error: AccountError) -> int:
    if isinstance(error, WaitError):
        return TRY_LATER
    return NOT_ALLOWED if isinstance(error, CodeError) else UNUSABLE


@contextmanager
def _refusals() -> Iterator[None]:
    """Turn what consent refuses into the contract's exit codes."""
    try:
        yield
    except AccountError as error:
        raise ClientError(f"not done: {error}", _account_code(error)) from error
    except HostError as error:
        raise ClientError(f"not trusted: {error}", UNUSABLE) from error
    except EmptyError as error:
        raise ClientError(str(error), UNUSABLE) from error
    except CannotRedact as error:
        raise ClientError(f"not sent: {error}", UNUSABLE) from error
    except ConsentError as error:
        changes = "".join(f"\n  {change}" for change in getattr(error, "changes", []))
        raise ClientError(f"{error}{changes}", FAILED) from error
    except OvertakenError as error:
        raise ClientError(f"{error}; look again with: plaint show", FAILED) from error
