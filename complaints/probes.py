"""Probes: test mails a reporter asks for and returns, so that both see what forwarding does.

Takes a reporter's wish, leaves a letter with a secret in its Message-ID and its text; takes what came back,
leaves the grade of the way, what was lost on it, and the hosts learned, or why none was. A probe is no spam
and never a complaint; a mail that only looks like one is a spam like any other.
"""

import re
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func
from sqlmodel import Session, col, select

from complaints import learned, outbox, tokens
from complaints.alterations import Returned, compare
from complaints.grades import GRADES
from complaints.message import Message, parse
from complaints.models import Json, Letter, Probe, Reporter
from complaints.office import Office
from complaints.own_hosts import Chain, HostError, read_probe

LIFE = timedelta(days=7)
MOST_A_DAY = 5  # letters to one reporter: nobody's mailbox is flooded from the page
_MARK = re.compile(
    rf"probe-([{tokens.ALPHABET}]{{{tokens.ID_LETTERS}}})-([{tokens.ALPHABET}]{{{tokens.CAPABILITY_LETTERS}}})"
)
_LEARNED = (
    "learned"  # the status of a probe that came back, among an outcome's accepted, duplicate and refused
)
_RETURN = "Ask for a new probe on the page of your mail hosts, and return it as an attachment, as it came."


class ProbeError(Exception):
    """No probe can be sent; the message says why and what to do."""


@dataclass(frozen=True)
class _Found:
    """A probe of ours that came back: `whole` tells whether its secret stands in its Message-ID."""

    probe: Probe
    whole: bool


def addresses(reporter: Reporter) -> list[str]:
    """Where a probe may be sent: each way the reporter's mail takes has its own."""
    return [reporter.address, *reporter.aliases]


def ask(session: Session, office: Office, reporter: Reporter, to: str = "") -> Probe:
    """Send a probe to the registered address, or to one of the aliases.

    Raises ProbeError for an address that is not verified or not the reporter's, and over MOST_A_DAY.
    """
    if reporter.verified_at is None:
        raise ProbeError(f"{reporter.address} is not verified yet; its registration must be finished first")
    known = {address.lower(): address for address in addresses(reporter)}
    wanted = known.get((to.strip() or reporter.address).lower())
    if wanted is None:
        raise ProbeError(f"{to.strip()!r} is not an address of yours; there are: {', '.join(known.values())}")
    now = office.clock()
    session.refresh(reporter, with_for_update=learned.LOCK)
    query = select(func.count()).where(
        Probe.reporter_id == reporter.id, col(Probe.asked_at) > now - timedelta(days=1)
    )
    if session.exec(query).one() >= MOST_A_DAY:
        raise ProbeError(f"{MOST_A_DAY} probes a day are sent; return one of them, or ask again tomorrow")
    probe_id = tokens.random_letters(tokens.ID_LETTERS)
    mark = f"probe-{probe_id}-{_secret(office, reporter.id, probe_id)}"
    values = {
        "to": wanted,
        "mark": mark,
        "days": LIFE.days,
        # An alias may be read by others, and the link alone lets them change whom the reporter trusts
        "url": office.hosts_url(reporter) if wanted == reporter.address else "",
        "domain": office.settings.mail_domain,
    }
    letter = outbox.put_letter(
        session, office, "probe", to=wanted, reporter=reporter, mark=mark, values=values
    )
    session.flush()
    probe = Probe(
        id=probe_id,
        reporter_id=reporter.id,
        letter_id=letter.id,
        to=wanted,
        asked_at=now,
        expires_at=now + LIFE,
    )
    session.add(probe)
    return probe


def recent(session: Session, reporter: Reporter) -> list[Probe]:
    """The reporter's last probes, newest first."""
    query = select(Probe).where(Probe.reporter_id == reporter.id).order_by(col(Probe.asked_at).desc())
    return list(session.exec(query.limit(MOST_A_DAY)))


def take(session: Session, office: Office, reporter: Reporter, raw: bytes, grade: str = "A") -> Json | None:
    """Learn from a probe that came back; the line for the submission's outcome, None for what is no probe.

    `grade` is what its way in allows at best.
    The chain is the reporter's own copy and is believed as far as that: the secret shows whose probe it is,
    the text that it is the letter we sent, and only lines above our handing over are read.
    """
    message = parse(raw)
    found = _returned(session, office, reporter, message)
    if found is None:
        return None
    probe = found.probe
    back = compare(_sent(session, office, probe), message, grade)
    if reason := _why_unusable(session, office, reporter, message, found):
        return _refused(reason, back)
    settings = office.settings
    chain = read_probe(
        message,
        ours=settings.mail_domain.lower(),
        relayed=settings.relay_host is not None,
        domains={address.rpartition("@")[2].lower() for address in addresses(reporter)},
        known=[*learned.trusted(reporter), *map(learned.value, reporter.mail_hosts)],
    )
    if chain.reason:
        return _refused(chain.reason, back)
    try:
        new = learned.add(session, office, reporter, chain.own, "probe", probe=probe.id, to=probe.to)
    except HostError as error:
        return _refused(f"{str(error)[:1].upper()}{str(error)[1:]}.", back)
    fresh = {host.value for host in new}
    if probe.returned != (digest := tokens.digest(raw)):  # else its sender delivered it twice
        _tell(session, office, reporter, probe, chain, fresh, back)
    probe.returned_at, probe.returned, probe.grade = office.clock(), digest, back.grade
    session.add(probe)
    count = f"{len(new)} mail host{'' if len(new) == 1 else 's'} of yours"
    reason = f"This is our probe to {probe.to}, grade {back.grade}: {count} learned from it"
    return {"complaint": None, "status": _LEARNED, "grade": back.grade, "reason": reason, "remedy": None}


def came_inline(session: Session, office: Office, reporter: Reporter, raw: bytes) -> bool:
    """Whether a mail without a spam inside is a probe of the reporter's, forwarded within the text."""
    match = _MARK.search(_text(parse(raw))) if b"probe-" in raw else None
    probe = session.get(Probe, match[1]) if match else None
    if match is None or probe is None or probe.reporter_id != reporter.id:
        return False
    if not tokens.same(match[2], _secret(office, reporter.id, probe.id)):
        return False
    probe.returned_at, probe.grade = office.clock(), "D"
    session.add(probe)
    return True


def recognised(session: Session, office: Office, reporter: Reporter, message: Message) -> bool:
    """Tell whether a mail is one of our probes at all."""
    return _returned(session, office, reporter, message) is not None


def is_learned(line: Json) -> bool:
    """Tell whether a line of a submission's outcome is about a probe that taught something."""
    return bool(line["status"] == _LEARNED)


def _secret(office: Office, reporter_id: str, probe_id: str) -> str:
    return office.vault.derive("probe", f"{reporter_id} {probe_id}")


def _returned(session: Session, office: Office, reporter: Reporter, message: Message) -> _Found | None:
    """Find the probe whose secret a mail carries; None where none is ours.

    Somebody who returned a probe of their own once knows one good secret. A spam that carries it is still a
    spam to everybody else, so another's probe counts only when every word of it is ours.
    """
    in_header = _MARK.search(message.get("message-id") or "")
    if not in_header and b"probe-" not in message.raw:
        return None
    for whole, match in ((True, in_header), (False, _MARK.search(_text(message)))):
        probe = session.get(Probe, match[1]) if match else None
        if match is None or probe is None:
            continue
        if not tokens.same(match[2], _secret(office, probe.reporter_id, probe.id)):
            continue
        if probe.reporter_id == reporter.id or _text(message) == _sent_text(session, office, probe):
            return _Found(probe, whole)
    return None


def _why_unusable(
    session: Session, office: Office, reporter: Reporter, message: Message, found: _Found
) -> str | None:
    probe = found.probe
    if probe.reporter_id != reporter.id:
        return "This probe was sent to another reporter, so its hosts are not yours."
    if probe.expires_at <= office.clock():
        return f"This probe is older than {LIFE.days} days; your mail may take another way by now."
    if not found.whole:
        return "The Message-ID of this probe is not ours: it was copied, or written anew on its way."
    if _sent_text(session, office, probe) not in _text(message):
        return "The text of this probe is not the one we sent."
    return None


def _sent_text(session: Session, office: Office, probe: Probe) -> str:
    return _text(_sent(session, office, probe))


def _sent(session: Session, office: Office, probe: Probe) -> Message:
    owner = session.get_one(Reporter, probe.reporter_id)
    letter = session.get_one(Letter, probe.letter_id)
    return parse(office.vault.unseal(owner.key, letter.raw))


def _text(message: Message) -> str:
    """The words of a mail, in whatever encoding and with whatever line breaks it came."""
    parts = (part.text() for part in message.leaves() if part.content_type.startswith("text/plain"))
    return " ".join(" ".join(parts).split())


def _refused(reason: str, back: Returned) -> Json:
    """The line of a probe that teaches nothing; a spam that came so would still have its grade."""
    told = " ".join([reason, *back.lost])
    return {"complaint": None, "status": "refused", "grade": back.grade, "reason": told, "remedy": _RETURN}


def _tell(
    session: Session,
    office: Office,
    reporter: Reporter,
    probe: Probe,
    chain: Chain,
    fresh: set[str],
    back: Returned,
) -> None:
    """Tell whether forwarding works, and what was learned, so that a wrong host is seen at once."""
    own = [{"what": host.value, "new": host.value in fresh} for host in chain.own]
    values = {
        "to": probe.to,
        "grade": back.grade,
        "means": GRADES[back.grade].short,
        "lost": list(back.lost),
        "own": own,
        "passed_over": list(chain.passed_over),
        "url": office.hosts_url(reporter),
    }
    outbox.put_letter(session, office, "learned", to=reporter.address, reporter=reporter, values=values)
