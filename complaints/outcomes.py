"""What became of one spam that was handed in, in one plain sentence, and what to do next.

The one place of these sentences: letters, pages, the API and the command line print from here. Takes what a
complaint keeps as JSON (evidence, contacts) and times; leaves an `Outcome`.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol

Json = Mapping[str, Any]

OLD = timedelta(days=2)
"""SpamCop refuses older spam; desks act best on what still goes on."""
TOO_OLD = timedelta(days=14)
"""AbuseIO, which runs at many desks, drops what was last seen longer ago (its `min_lastseen`)."""
OWN_DOMAIN = "This is your own mail domain."
"""Why a desk at a domain of the reporter's own addresses is not written to."""
LESS = "Hand in fewer spams at a time, or one cut off: the header lines are what a trace needs."
_BEGAN_INSIDE = "The message began inside the trusted hosts"


class Outcome(NamedTuple):
    """`code` for programs; for people what happened, and what to do next, in one or two sentences each."""

    code: str
    says: str
    remedy: str


UNREADABLE = Outcome(
    "unreadable",
    "Plaint failed to read this spam, several times. That is our fault; the operator's log says where.",
    "Nothing; or tell whoever runs this service.",
)


def without_received(name: str | None = None) -> str:
    """What is said of a message, the file `name`, of which nothing tells where it came from."""
    return (
        f"{name or 'The message'} has no Received lines, so nothing tells which way it took: the mail "
        "program did not pass them on."
    )


NO_RECEIVED = Outcome(
    "no_received",
    without_received(),
    "Forward the spam as an attachment from the mailbox that first received it, or save it as a file (.eml) "
    "and upload it: a forward inside the text loses these lines.",
)
_OWN_HOST = Outcome(
    "own_host",
    "It began inside your own mail system: every line was written by a host of yours, and none names an "
    "address outside.",
    "If one of these hosts is not yours, remove it from your mail hosts and hand the spam in again as an "
    "attachment; if all are, tell whoever runs them: nobody outside can be blamed.",
)
_OWN_DOMAIN = Outcome(
    "own_domain",
    "It came from your own mail domain, and what you answer for yourself is never reported.",
    "Tell whoever runs your mail there directly; if another domain is yours only by mistake, remove that "
    "address from your account.",
)
_NO_SOURCE = Outcome(
    "no_source",
    "No host outside your own mail system can be named as its source.",
    "Look at the way it took, and say there which host is yours; if none is, nobody can be told.",
)
_NO_DESK = Outcome(
    "no_desk", "Nobody is known to answer for its source.", "Nothing; nobody can be told about this one."
)
OUR_OWN = Outcome(
    "our_own",
    "This is a letter that Plaint sent to you, and no spam.",
    "Let the rule that forwards your spam leave out what comes from Plaint.",
)
NOT_IN_TIME = Outcome(
    "expired", "Nobody confirmed it in time, so nothing was sent.", "Nothing; hand in what comes next sooner."
)

TEST_WITHOUT_HEADER = (
    "Our test mail came back, but without its header lines: spam forwarded in this way cannot be traced."
)

# State of a complaint → what a duplicate of it is told, and to do
_STANDS = {
    "received": ("which is being read", "Nothing; we write as soon as there is something to decide."),
    "analysed": ("which is being looked up", "Nothing; we write as soon as there is something to decide."),
    "awaiting_consent": ("which waits for you", "Look at it there and decide; once is enough."),
    "confirmed": ("which you confirmed", "Nothing; no desk is told twice."),
    "closed": ("which is closed", "Nothing; no desk is told twice."),
    "refused": ("which could not be reported", "Look there for the reason."),
    "expired": ("which expired unconfirmed", "Nothing; hand in what comes next sooner."),
    "discarded": ("which you discarded", "If you think otherwise now, take that back on its page."),
}


class Case(Protocol):
    """What a complaint keeps (`models.Complaint`), as far as it is read here."""

    @property
    def state(self) -> str:
        """Its state."""

    @property
    def evidence(self) -> dict[str, Any] | None:
        """What was read in the spam."""

    @property
    def contacts(self) -> dict[str, Any] | None:
        """Who answers for what is in it."""

    @property
    def reason(self) -> str | None:
        """The reason kept with its state."""

    @property
    def received_at(self) -> datetime:
        """When it was handed in."""


def of_complaint(case: Case) -> Outcome | None:
    """What is to be said of a complaint besides its state: why nobody can be told, or why to look twice."""
    if case.state == "refused":
        return of_refusal(case.evidence, case.contacts, case.reason)
    if case.state == "expired":
        return NOT_IN_TIME
    if case.state == "awaiting_consent":
        return of_waiting(case.evidence, case.contacts, case.received_at)
    return None


def of_refusal(evidence: Json | None, contacts: Json | None, reason: str | None) -> Outcome:
    """Why nobody can be told about a spam, from what its complaint keeps."""
    if evidence is None:
        return UNREADABLE._replace(says=reason or UNREADABLE.says)  # or it was deleted when its time was over
    if not evidence["source"]:
        return of_evidence(evidence)
    source = evidence["source"]["ip"]
    rejected = [row["why"] for row in (contacts or {}).get("rejected", []) if row.get("target") == source]
    if OWN_DOMAIN in rejected:
        return _OWN_DOMAIN
    return _NO_DESK._replace(says=reason or _NO_DESK.says)


def of_evidence(evidence: Json) -> Outcome:
    """Why a reading (`spam.Evidence.document`) names no source."""
    notes = evidence["notes"]
    if not any(hop["by"] or hop["from_ip"] or hop["helo"] for hop in evidence["hops"]):
        return NO_RECEIVED
    if any(note.startswith(_BEGAN_INSIDE) for note in notes):
        return _OWN_HOST
    return _NO_SOURCE._replace(says=" ".join(notes) or _NO_SOURCE.says)


def of_waiting(evidence: Json | None, contacts: Json | None, handed_in: datetime) -> Outcome | None:
    """What to say of a spam that can be reported, if it takes a second look."""
    beside = (contacts or {}).get("beside")
    return of_neighbour(*beside) if beside else of_age(evidence, handed_in)


def of_neighbour(source: str, network: str, own: str) -> Outcome:
    """What is said of a source in whose network a mail host of the reporter's stands, too."""
    return Outcome(
        "own_network",
        f"Its source, {source}, lies in {network}, as your own mail host {own} does: it may be yours, or "
        "your provider's. So its desk is not ticked.",
        "If it is yours, say so on its page, at the line it stands in; if it is not, tick the desk there.",
    )


def of_age(evidence: Json | None, handed_in: datetime) -> Outcome | None:
    """What to say of a spam that was old already when it was handed in; None of others."""
    came = arrived(evidence)
    age = handed_in - came if came else timedelta()
    if age <= OLD:
        return None
    says = f"It was {age.days} days old when you handed it in; desks seldom act after {OLD.days} days."
    if age <= TOO_OLD:
        return Outcome("old", says, "Report it if it still goes on; hand in what comes next sooner.")
    return Outcome(
        "too_old",
        f"{says} What is older than {TOO_OLD.days} days, many drop unread.",
        "Discard it, unless you know that it still goes on.",
    )


def arrived(evidence: Json | None) -> datetime | None:
    """When a spam reached the reporter: the date of the newest believed line that has one."""
    for hop in (evidence or {}).get("hops", []):
        if hop["trusted"] and hop["date"]:
            return datetime.fromisoformat(hop["date"])
    return None


def of_duplicate(complaint_id: str, state: str, first: datetime, *, letter: bool = True) -> Outcome:
    """What is said of a spam that was handed in before, as `complaint_id`; `letter`: one will tell of it."""
    stands, remedy = _STANDS[state]
    if not letter and state in {"received", "analysed"}:
        remedy = "Nothing; review it with the others of its batch."
    day = f"{first.day} {first:%B %Y}"
    return Outcome(
        "duplicate", f"You handed in this spam on {day} already: {complaint_id}, {stands}.", remedy
    )


def of_size(size: int, most: int) -> Outcome:
    """What is said of a submission of more bytes than are taken."""
    return Outcome(
        "too_large",
        f"It has {size:,} bytes; at most {most:,} are taken.",
        LESS,
    )
