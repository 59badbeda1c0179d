"""The mail hosts a reporter trusts, as their row keeps them.

Takes hosts and how they were learned, leaves entries of `Reporter.learned`, and what to read a spam with.
Each has its reason and its date, so that it can be shown, explained and removed by itself. What is removed
stays away from every reading to come; what was sent before is not touched.
"""

from collections.abc import Iterable

from sqlmodel import Session

from complaints.dates import rfc3339
from complaints.models import Json, Reporter
from complaints.office import Office
from complaints.own_hosts import Host, HostError

MOST = 200
"""Hosts learned for one reporter."""
KINDS = ("host", "address", "network")
LOCK = {"key_share": True}
"""How a reporter's row is locked: two forms at once lose no host, and mail for them still comes in."""


def value(entry: Json) -> str:
    """The host, address or network of an entry."""
    return next(str(entry[kind]) for kind in KINDS if kind in entry)


def trusted(reporter: Reporter) -> list[str]:
    """What the reporter trusts without asking the DNS: named, and learned since."""
    return [*reporter.trust, *map(value, reporter.learned)]


def add(
    session: Session, office: Office, reporter: Reporter, hosts: Iterable[Host], how: str, **origin: str
) -> list[Host]:
    """Keep what is new among `hosts`, and return that. `how` is named, hop or probe; `origin` says of what.

    Raises HostError when the reporter trusts MOST already.
    """
    session.refresh(reporter, with_for_update=LOCK)
    known = set(trusted(reporter))
    new = [host for host in dict.fromkeys(hosts) if host.value not in known]
    if len(reporter.learned) + len(new) > MOST:
        raise HostError(f"you trust {len(reporter.learned)} hosts, and {MOST} are kept; remove some first")
    since = rfc3339(office.clock())
    entries = [{host.kind: host.value, "how": how, "since": since, **origin} for host in new]
    reporter.learned = [*reporter.learned, *entries]
    session.add(reporter)
    return new


def remove(session: Session, reporter: Reporter, what: str) -> None:
    """Trust this host, address or network no more. Raises HostError when it was not trusted."""
    session.refresh(reporter, with_for_update=LOCK)
    if what not in trusted(reporter):
        raise HostError(f"{what} is not among the hosts that can be removed")
    reporter.trust = [entry for entry in reporter.trust if entry != what]
    reporter.learned = [entry for entry in reporter.learned if value(entry) != what]
    session.add(reporter)


def document(office: Office, reporter: Reporter) -> Json:
    """{"hosts": [{"host"|"address"|"network", "how", "since", "why", "removable"}], "url"}, oldest first.

    `how` is named, hop, probe or mx; what the DNS says ("mx") is asked anew for every spam and cannot be
    removed here.
    """
    since = rfc3339(reporter.created_at)
    rows = [{_kind(entry): entry, "how": "named", "since": since} for entry in reporter.trust]
    own = [row | {"why": _why(row), "removable": True} for row in [*rows, *reporter.learned]]
    told = [row | {"why": _why(row), "removable": False} for row in reporter.mail_hosts]
    return {"hosts": [*own, *told], "url": office.hosts_url(reporter)}


def _kind(entry: str) -> str:
    if "/" in entry:
        return "network"
    return "address" if ":" in entry or entry.replace(".", "").isdecimal() else "host"


def _why(row: Json) -> str:
    if row["how"] == "probe":
        return f"The test mail to {row['to']} passed through it."
    if row["how"] == "hop":
        return f"You said that it is yours, at line {row['hop']} of {row['complaint']}."
    if row["how"] == "named":
        return "It was named by hand."
    if "host" in row and "via" in row:
        return f"It is the name of {row['via']}, a mail host of {row['of']}, confirmed in both directions."
    if "via" in row:
        return f"It is an address of {row['via']}, a mail host of {row['of']}."
    return f"It is a mail host of {row['of']} (MX)."
