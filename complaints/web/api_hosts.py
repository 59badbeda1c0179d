"""The part of the API about a reporter's mail hosts: what is trusted and why, naming, removing, probes."""

from fastapi import APIRouter
from sqlmodel import Session

from complaints import learned, own_hosts, probes
from complaints.models import Json, Reporter
from complaints.own_hosts import HostError
from complaints.probes import ProbeError
from complaints.show import stamp
from complaints.web.api import PREFIX
from complaints.web.problems import ANYWHERE, Problem
from complaints.web.security import Asking, Opened
from complaints.web.shapes import HostList, NamedHost, ProbeDocument, ProbeWish

router = APIRouter(prefix=PREFIX, responses=ANYWHERE)


@router.get("/hosts", response_model=HostList)
def hosts(office: Opened, reporter: Asking) -> Json:
    """The mail hosts you trust, each with how and since when; and the page on which you can change them."""
    return learned.document(office, reporter)


@router.post("/hosts", response_model=HostList)
def name(office: Opened, reporter: Asking, wish: NamedHost) -> Json:
    """Trust a host, an address or a network: what it writes about a spam is believed from then on."""
    try:
        with office.db.transaction() as session:
            row = _own(session, reporter)
            learned.add(session, office, row, [own_hosts.named(wish.host)], "named")
            return learned.document(office, row)
    except HostError as error:
        raise _refused(error) from error


@router.post("/hosts/remove", response_model=HostList)
def remove(office: Opened, reporter: Asking, wish: NamedHost) -> Json:
    """Trust it no more. What was sent before stays as it is."""
    try:
        with office.db.transaction() as session:
            row = _own(session, reporter)
            learned.remove(session, row, wish.host)
            return learned.document(office, row)
    except HostError as error:
        raise _refused(error) from error


@router.post("/probes", status_code=202, response_model=ProbeDocument)
def probe(office: Opened, reporter: Asking, wish: ProbeWish) -> Json:
    """Have a probe mail sent to you; return it as an attachment, and the hosts it passed are learned."""
    try:
        with office.db.transaction() as session:
            sent = probes.ask(session, office, _own(session, reporter), wish.to)
    except ProbeError as error:
        raise Problem(422, "No probe was sent", f"{error}.", "Return the last one, or correct it.") from error
    return {"id": sent.id, "to": sent.to, "expires_at": stamp(sent.expires_at)}


def _own(session: Session, reporter: Reporter) -> Reporter:
    return session.get_one(Reporter, reporter.id)


def _refused(error: HostError) -> Problem:
    return Problem(
        422, "Not changed", f"{error}.", "Name one host of your own; GET /api/v1/hosts lists them."
    )
