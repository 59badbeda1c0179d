"""Takes new complaints, leaves them awaiting consent or refused: three steps in one go.

What `evidence`, `contacts` and `draft` do one after the other, each with its own reading and writing, is
done here with one of each for many complaints; what they decide is decided by their own functions. A stop
before the commit leaves the complaints as they were. What cannot be told for now goes on step by step.
"""

import asyncio
from collections.abc import Sequence

from sqlalchemy.orm.attributes import set_committed_value
from sqlmodel import col

from abuse_lookup import AbuseLookup
from complaints import contacts, draft, evidence
from complaints.db import insert_all, look_at, move_all
from complaints.draft import Proposal
from complaints.models import Complaint, ComplaintState, Json, Report
from complaints.office import Office

RECEIVED, ANALYSED = ComplaintState.RECEIVED, ComplaintState.ANALYSED
_NEW = col(Complaint.version) == 0
"""Of those that nothing was done with before, there are no drafts."""


async def step(office: Office, lookup: AbuseLookup, *complaint_ids: str) -> set[str]:
    """Read, look up and propose those of the complaints that are new; returns which these are.

    Raises OvertakenError, and has done nothing, when one of them changed meanwhile.
    """
    waiting = await asyncio.to_thread(evidence.received, office, complaint_ids, _NEW)
    found, _ = await evidence.read_all(office, lookup.resolver, waiting)
    done = [
        (one, *evidence.outcome(office, one.complaint.id, said, failed, one.told))
        for one, said, failed in found
    ]
    spams = [
        (values["source_ip"], values["evidence"], office.own_domains(one.reporter))
        for one, to, values in done
        if to == ANALYSED
    ]
    told = iter(await contacts.answers_to(lookup, spams))
    rows, proposals = list[Json](), list[Proposal]()
    for one, to, values in done:
        row = {"id": one.complaint.id, "state": to, "contacts": None, **values}
        rows.append(row)
        if to == ANALYSED:
            row.update(contacts.outcome(office, 0, *next(told)))
        if row["contacts"] is not None:
            proposals.append(_propose(office, one, row))
    await asyncio.to_thread(_keep, office, [one for one, _, _ in done], rows, proposals)
    return {one.complaint.id for one, _, _ in done}


def _propose(office: Office, one: evidence.Waiting, row: Json) -> Proposal:
    """What is proposed with these columns, which are changed to what comes of it."""
    for name in ("evidence", "contacts"):
        set_committed_value(one.complaint, name, row[name])
    proposal = draft.propose(office, one.complaint, one.reporter, (), evidence.message_of(office, one).raw)
    row["state"], values = draft.outcome(office, proposal)
    row.update(values)
    return proposal


def _keep(
    office: Office, waiting: Sequence[evidence.Waiting], rows: Sequence[Json], proposals: Sequence[Proposal]
) -> None:
    if not rows:
        return
    with office.db.transaction() as session:
        draft.suppress(session, proposals)
        move_all(session, Complaint, RECEIVED, rows)
        insert_all(session, Report, [row for one in proposals for row in one.fresh])
        for one, row in zip(waiting, rows, strict=True):
            if row["state"] == ANALYSED:
                look_at(session, "contacts", row["id"], row["due_at"])
                continue
            if row["contacts"] is not None:
                look_at(session, "standing", row["id"])
            look_at(session, "notice", one.complaint.submission_id)
