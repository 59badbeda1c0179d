"""A request that is sent again is done once: takes the name its sender gave it, leaves the answer it got.

After a failure a client does not know whether its request was done. With an Idempotency-Key
(draft-ietf-httpapi-idempotency-key-header) it sends it again and gets the first answer. Key and answer are
written in the transaction that does what was asked, so they are there exactly when it was done, whatever
dies when. A refusal leaves nothing behind: sent again, it is tried again.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col

from complaints import tokens
from complaints.account_tables import AnsweredRequest
from complaints.models import Json, Reporter
from complaints.office import Office

KEPT = timedelta(days=1)
"""How long an answer is given again."""


class ReusedError(Exception):
    """The key names another request of the same reporter."""


@dataclass(frozen=True)
class Key:
    """The name of a request, and the digest of all that is asked in it."""

    name: str
    fingerprint: str


def done(
    session: Session, office: Office, reporter: Reporter, key: Key | None, do: Callable[[], Json]
) -> Json:
    """What `do` answers, or what it answered when it was done for this key.

    While the first is still under way its transaction holds the row, and this waits for its end. Raises
    ReusedError when the key stood for something else.
    """
    if key is None:
        return do()
    name, now = tokens.hashed(key.name), office.clock()
    ours = (col(AnsweredRequest.reporter_id) == reporter.id, col(AnsweredRequest.key_hash) == name)
    session.execute(delete(AnsweredRequest).where(*ours, col(AnsweredRequest.at) <= now - KEPT))
    insert = sqlite.insert if office.db.embedded else postgresql.insert
    claim = insert(AnsweredRequest).values(
        reporter_id=reporter.id, key_hash=name, fingerprint=key.fingerprint, at=now, answer=b""
    )
    session.execute(claim.on_conflict_do_nothing())
    row = session.get_one(AnsweredRequest, (reporter.id, name))
    if row.fingerprint != key.fingerprint:
        raise ReusedError("This Idempotency-Key came with another request within the last day")
    if row.answer:
        answer: Json = json.loads(office.vault.unseal(reporter.key, row.answer))
        return answer
    answer = do()
    row.answer = office.vault.seal(reporter.key, json.dumps(answer).encode())
    session.add(row)
    return answer
