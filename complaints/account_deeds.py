"""What a reporter does with their account from the command line on a data directory, as over the API.

Takes the name of an operation and its fields, as the API has them; leaves the bytes the API would answer.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from sqlmodel import Session

from complaints import account, choices, erasure, export, policies, probes, standing, submission_address
from complaints.account import AccountError
from complaints.choices import ChoiceError
from complaints.models import Json, Reporter
from complaints.office import Office
from complaints.policies import PolicyError
from complaints.probes import ProbeError
from complaints.standing import StandingError
from complaints.submission_address import TooManyError

Said = Mapping[str, Any]
Look = Callable[[Session, Office, Reporter], Json]
VIA = "cli"
STANDING = "standing-consent"
LOOKS: dict[str, Look] = {
    "": account.document,
    "card": account.card,
    "policy": policies.document,
    STANDING: standing.document,
}
"""What shows something and changes nothing."""


def place(deed: str, said: Said) -> tuple[str, str]:
    """The method and the path, below /api/v1, of an operation; one that shows has no fields."""
    path = f"/{deed}" if deed.startswith(STANDING) else f"/account/{deed}".rstrip("/")
    return ("GET" if deed in LOOKS and not said else "POST"), path


def do(office: Office, reporter_id: str, deed: str, said: Said) -> bytes:
    """`deed` as the API has it below /account, or below / from `standing-consent` on.

    Raises account.AccountError.
    """
    if deed in LOOKS and not said:
        with office.db.reading() as session:
            return _json(LOOKS[deed](session, office, session.get_one(Reporter, reporter_id)))
    if deed == "codes":
        return _codes(office, reporter_id, said)
    if deed in CARD:
        return _card(office, reporter_id, deed)
    if deed in CODED:
        return _coded(office, reporter_id, deed, said)
    try:
        with office.db.transaction() as session:
            reporter = session.get_one(Reporter, reporter_id)
            CHANGES[deed](session, office, reporter, said)
            session.flush()
            look = standing.document if deed.startswith(STANDING) else account.document
            return _json(look(session, office, reporter))
    except (ChoiceError, PolicyError, StandingError) as error:
        raise AccountError(str(error)) from error


def _card(office: Office, reporter_id: str, deed: str) -> bytes:
    """A new submission address, or a test of it."""
    try:
        with office.db.transaction() as session:
            reporter = session.get_one(Reporter, reporter_id)
            CARD[deed](session, office, reporter)
            session.flush()
            return _json(account.card(session, office, reporter))
    except (TooManyError, ProbeError) as error:
        raise account.WaitError(str(error)) from error


def _codes(office: Office, reporter_id: str, said: Said) -> bytes:
    value = account.checked(office, said["address"]) if said.get("address") else ""
    with office.db.transaction() as session:
        reporter = session.get_one(Reporter, reporter_id)
        asked = account.ask(session, office, reporter, said["for"], value)
        return _json(account.asked_document(asked, reporter))


def _coded(office: Office, reporter_id: str, deed: str, said: Said) -> bytes:
    """One change that takes a code; a wrong one is committed as a try."""
    with office.db.transaction() as session:
        reporter = session.get_one(Reporter, reporter_id)
        done = CODED[deed](session, office, reporter, said)
    if not done:
        raise account.CodeError(account.WRONG_CODE)
    if deed == "export":
        return b"".join(export.stream(office, reporter))
    if deed == "erase":
        erasure.sweep(office)
        return _json({"erased": True})
    with office.db.reading() as session:
        document = account.document(session, office, session.get_one(Reporter, reporter_id))
    return _json(document | ({"token": done} if deed == "address" else {}))


CODED: dict[str, Callable[[Session, Office, Reporter, Said], bool | str]] = {
    "export": lambda session, office, row, said: account.may_export(session, office, row, said["code"]),
    "erase": lambda session, office, row, said: account.erase(session, office, row, said["code"]),
    "aliases": lambda session, office, row, said: account.add_alias(session, office, row, said["code"]),
    "address": lambda session, office, row, said: account.move(
        session, office, row, said["code"], said["second"]
    ),
}
CARD: dict[str, Callable[[Session, Office, Reporter], object]] = {
    "card/new": submission_address.renew,
    "test": probes.ask,
}
CHANGES: dict[str, Callable[[Session, Office, Reporter, Said], object]] = {
    "names": lambda session, _, row, said: account.rename(session, row, said["names"]),
    "aliases/remove": lambda session, _, row, said: account.remove_alias(session, row, said["address"]),
    "preferences": lambda session, office, row, said: choices.choose(session, office, row, said, via=VIA),
    "policy": lambda session, office, row, said: policies.answer(
        session, office, row, said["version"], agree=said["agree"], via=VIA
    ),
    STANDING: lambda session, office, row, said: standing.give(session, office, row, said["daily"], via=VIA),
    f"{STANDING}/revoke": lambda session, office, row, _: standing.revoke(session, office, row, via=VIA),
}


def _json(document: object) -> bytes:
    return json.dumps(document).encode()
