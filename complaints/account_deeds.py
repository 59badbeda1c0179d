"""What a reporter does with their account from the command line on a data directory, as over the API.

Takes the name of an operation below /api/v1/account and its fields; leaves the bytes the API would answer.
"""

import json
from collections.abc import Mapping

from complaints import account, erasure, export
from complaints.models import Reporter
from complaints.office import Office


def do(office: Office, reporter_id: str, deed: str, said: Mapping[str, str]) -> bytes:
    """`deed` is "" (the account document), codes, export or erase. Raises account.AccountError."""
    code = said.get("code", "")
    if not deed:
        with office.db.reading() as session:
            return _json(account.document(session, office, session.get_one(Reporter, reporter_id)))
    if deed == "codes":
        with office.db.transaction() as session:
            reporter = session.get_one(Reporter, reporter_id)
            asked = account.ask(session, office, reporter, said["for"])
            return _json(account.asked_document(asked, reporter))
    act = {"export": account.may_export, "erase": account.erase}[deed]
    with office.db.transaction() as session:
        reporter = session.get_one(Reporter, reporter_id)
        done = act(session, office, reporter, code)
    if not done:
        raise account.CodeError(account.WRONG_CODE)
    if deed == "export":
        return b"".join(export.stream(office, reporter))
    erasure.sweep(office.db)
    return _json({"erased": True})


def _json(document: object) -> bytes:
    return json.dumps(document).encode()
