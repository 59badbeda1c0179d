"""Putting Received lines back into their order, where the way in has mixed them (grade C).

Takes lines and what the reporter trusts; leaves their order. Without positions a forged line can look like a
trusted host's: a stranger may write its name and its time. So the outcome counts only where the lines as they
came lead to it, too, and all lines in the names of the border's hosts agree about who is outside.
"""

from datetime import UTC, datetime, timedelta

from complaints.message import Header
from complaints.received import Received
from complaints.reserved import why_not_public
from complaints.trust import Border, Trust
from complaints.two_ways import as_written

_LATE = timedelta(hours=1)
_LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)


def order(lines: list[Received], trust: Trust) -> list[int] | None:
    """Return the positions of the lines in their old order, or None when there is nothing to rebuild.

    Lines in the names of trusted hosts come first, the newest on top; all of them need dates, and no other
    line may be newer than the newest of them.
    """
    border = Border(trust)
    mine = [n for n, line in enumerate(lines) if border.writes(line.by)]
    dates = [line.date or _LONG_AGO for line in lines]
    if not mine or _LONG_AGO in (dates[n] for n in mine):
        return None
    if max(dates) > max(dates[n] for n in mine):
        return None
    others = [n for n in range(len(lines)) if n not in set(mine)]
    found = [
        *sorted(mine, key=lambda n: dates[n], reverse=True),
        *sorted(others, key=lambda n: dates[n], reverse=True),
    ]
    return found if found[: len(mine)] != list(range(len(mine))) else None


def contradicts(fields: list[Header], lines: list[Received], border: Border, ip: str) -> bool:
    """Tell whether a line in the name of a host of the border saw another address outside than this one."""
    for line in map(as_written, fields, lines):
        if line.from_ip in {None, ip} or not border.writes(line.by) or line.from_ip is None:
            continue
        if (
            why_not_public(line.from_ip)
            or border.trust.has_ip(line.from_ip)
            or border.internal_of(line.from_ip, line.helo)
        ):
            continue
        if not (line.verified and line.from_name and border.is_own_name(line.from_name, line.from_ip)):
            return True
    return False


def is_late(lines: list[Received], trust: Trust) -> bool:
    """Tell whether a host that the reporter named wrote its line long after the topmost one."""
    top = lines[0].date
    if top is None or not trust.hosts or trust.has_host(lines[0].by):
        return False
    return any(
        line.date is not None and line.date - top > _LATE and trust.has_host(line.by) for line in lines[1:]
    )
