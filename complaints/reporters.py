"""Reporters: registration by mailed link and code, secret submission addresses, API tokens.

Takes an address, leaves a verified reporter. The token is shown once, to its owner, and kept as a hash.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import dns.resolver
from email_validator import EmailNotValidError, validate_email
from sqlalchemy import func
from sqlmodel import Session, select

from complaints import outbox, policies, submission_address, tokens
from complaints.account_tables import Registration, SubmissionAddress
from complaints.models import Reporter
from complaints.office import Office
from complaints.policy import number
from complaints.trace import Trust

LIFE_MINUTES = 60
ROTATION_GRACE = submission_address.GRACE
CODE_TRIES = 5  # of a million codes: a guess succeeds once in 200,000 registrations
TOKEN_PREFIX = "plaint_"  # noqa: S105 - lets secret scanners recognise a token that leaked


class ReporterError(Exception):
    """The address, alias, trust entry or code cannot be used; the message says which and why."""


@dataclass(frozen=True)
class Secrets:
    """A reporter's secrets, readable only at the moment they are made."""

    reporter: Reporter
    submission_address: str
    token: str


def checked_address(office: Office, text: str, *, deliverable: bool = True) -> str:
    """The normalised mail address; deliverability is asked of the configured DNS (blocks on the network).

    Raises ReporterError saying what is wrong with it.
    """
    if text.strip().lower().endswith(f"@{office.settings.mail_domain.lower()}"):
        raise ReporterError(f"{text!r} is one of our own addresses; give the one you read mail at")
    resolver = None
    if office.settings.name_servers:
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers = [
            dns.nameserver.Do53Nameserver(host, port) for host, port in office.settings.name_servers
        ]
        resolver.lifetime = 10
    try:
        # On a loopback internet every domain is a special-use one (RFC 6761)
        public = not office.settings.on_loopback
        found = validate_email(
            text, check_deliverability=deliverable, dns_resolver=resolver, globally_deliverable=public
        )
    except EmailNotValidError as error:
        raise ReporterError(f"{text!r} is not a mail address we can write to: {error}") from error
    return found.normalized


def add(
    session: Session,
    office: Office,
    address: str,
    *,
    names: Sequence[str] = (),
    aliases: Sequence[str] = (),
    trust: Sequence[str] = (),
    verified: bool,
) -> Secrets:
    """Make a reporter; `verified` also records acceptance of the current policy.

    Raises ReporterError when the address is taken or a trust entry is unreadable.
    """
    if find(session, address):
        raise ReporterError(f"{address} is registered already; use: plaint reporters rotate {address}")
    try:
        Trust.of(trust)
    except ValueError as error:
        raise ReporterError(f"--trust: {error}; give host names, addresses or networks") from error
    now = office.clock()
    policies.begin(session, office)
    reporter = Reporter(
        id=tokens.random_letters(tokens.ID_LETTERS),
        address=address,
        names=list(names),
        aliases=list(aliases),
        trust=list(trust),
        key=office.vault.new_key(),
        created_at=now,
        verified_at=now if verified else None,
    )
    if verified:
        policies.accept(office, reporter, policies.in_force(session, office))
    session.add(reporter)
    session.flush()
    made = rotate(session, office, reporter)
    if verified:
        policies.tell(session, office, reporter)
    return made


def rotate(session: Session, office: Office, reporter: Reporter) -> Secrets:
    """Give new secrets; the old submission address works for ROTATION_GRACE, the old token ends now."""
    address = submission_address.give(session, office, reporter)
    token = TOKEN_PREFIX + tokens.random_letters(32)
    reporter.token_hash = tokens.hashed(token)
    session.add(reporter)
    return Secrets(reporter, address, token)


def new_token(session: Session, reporter: Reporter) -> str:
    """Give a new API token; the old one, and the links to pages of the account, end now."""
    token = TOKEN_PREFIX + tokens.random_letters(32)
    reporter.token_hash = tokens.hashed(token)
    session.add(reporter)
    return token


def find(session: Session, address: str) -> Reporter | None:
    """The reporter registered under this address; letter case does not matter."""
    return session.exec(select(Reporter).where(func.lower(Reporter.address) == address.lower())).first()


def by_submission_address(session: Session, office: Office, address: str) -> Reporter | None:
    """Whose secret submission address this is, if anybody's verified and current one."""
    found = key_by_submission_address(session, office, address)
    return session.get_one(Reporter, found[0]) if found else None


def key_by_submission_address(session: Session, office: Office, address: str) -> tuple[str, bytes] | None:
    """Id and key of that reporter. In our domain one statement is asked whatever the address looks like."""
    local, _, domain = address.strip().lower().rpartition("@")
    if domain != office.settings.mail_domain.lower():
        return None
    known = select(SubmissionAddress.retires_at, Reporter.verified_at, Reporter.id, Reporter.key).where(
        SubmissionAddress.hash == tokens.hashed(local if local.isascii() else ""),
        Reporter.id == SubmissionAddress.reporter_id,
    )
    found = session.exec(known).first()
    if found is None:
        return None
    retires_at, verified_at, reporter_id, key = found
    retired = retires_at is not None and retires_at <= office.clock()
    return (reporter_id, key) if verified_at and not retired else None


def by_token(session: Session, token: str) -> Reporter | None:
    """Whose API token this is, if anybody's."""
    reporter = session.exec(select(Reporter).where(Reporter.token_hash == tokens.hashed(token))).first()
    return reporter if reporter and reporter.verified_at else None


def ask(session: Session, office: Office, address: str) -> None:
    """Mail a registration link and code to a checked address; the answer to the asker is always the same."""
    token, code = tokens.random_letters(tokens.CAPABILITY_LETTERS), f"{secrets.randbelow(1_000_000):06}"
    now = office.clock()
    session.add(
        Registration(
            token_hash=tokens.hashed(token),
            code_hash=tokens.hashed(token + code),
            address=address,
            asked_at=now,
            expires_at=now + timedelta(minutes=LIFE_MINUTES),
        )
    )
    values = {"link": f"{office.settings.url}/register/{token}", "code": code, "minutes": LIFE_MINUTES}
    outbox.put_letter(
        session, office, "registration", to=address, reporter=find(session, address), values=values
    )


def asked(session: Session, office: Office, token: str, *, lock: bool = False) -> Registration | None:
    """The registration a mailed link stands for, while it is good. `lock`: two at once are two tries."""
    row = session.get(Registration, tokens.hashed(token), with_for_update=lock)
    return row if row and row.expires_at > office.clock() and row.tries < CODE_TRIES else None


def complete(session: Session, office: Office, token: str, code: str) -> Secrets | None:
    """Finish a registration with the link and the code mailed to the address; None when they do not fit.

    A reporter who registers again proves the address anew and gets new secrets.
    """
    row = asked(session, office, token, lock=True)
    if row is None:
        return None
    if not tokens.same(tokens.hashed(token + "".join(code.split())), row.code_hash):
        row.tries += 1
        session.add(row)
        return None
    session.delete(row)
    known = find(session, row.address)
    if known is None:
        return add(session, office, row.address, verified=True)
    is_new = known.verified_at is None
    known.verified_at = known.verified_at or office.clock()
    applies = policies.in_force(session, office)
    if number(known.policy) < number(applies):
        policies.accept(office, known, applies)
    if is_new:
        policies.tell(session, office, known)
    return rotate(session, office, known)
