"""Whether a private neighbour of the border's host is what it says.

Takes a believed line and the one below it; leaves what is doubtful. A balancer or a proxy before the border
may give every client an address of its own; a stranger behind it can then say that they are one of the
border's hosts, and write that host's lines.
"""

from complaints.hosts import organisational_domain
from complaints.received import Received
from complaints.reserved import is_inside_only
from complaints.trust import Border, provider_of

BY_ITS_WORD = "a neighbour of the recipient's host is known only by the name it gave"
"""The doubt about a neighbour whose name nobody looked up."""
A_STRANGERS_NAME = "a neighbour of the recipient's host gave a stranger's name"
"""The doubt about one that names a host of somebody else, as the client of a balancer does."""
_LOOPBACK = frozenset({"127.0.0.1", "::1"})


def doubt_about(border: Border, above: Received, below: Received) -> str | None:
    """Return what is doubtful of a neighbour, whose handing over `above` tells of, who then wrote `below`."""
    ip = above.from_ip
    if ip is None or not is_inside_only(ip):
        return None
    if above.helo and not border.writes(above.helo) and organisational_domain(above.helo):
        return A_STRANGERS_NAME
    if (
        ip in _LOOPBACK
        or below.by_ip == ip
        or above.dialect == "lmtp"
        or (above.by and provider_of(above.by) in border.providers)
    ):
        # No stranger gets inside a mailbox provider, or to a door that speaks LMTP.
        return None
    return None if border.writes(above.from_name) or border.trust.has_ip(ip) else BY_ITS_WORD
