"""What we found, in words for an abuse desk.

Takes a trace; leaves one paragraph that can be copied into a mail or a ticket. It names the source and what
the recipient's own hosts wrote about it, and nothing that tells who the recipient is.
"""

from complaints.trace import Source, Trace

_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip


def explanation(trace: Trace, host: str = "the recipient's mail host") -> str:
    """Say in one paragraph who handed the spam over, when (UTC), by which line, and how sure that is.

    `host` is what the host that saw the source is called; the default names nobody. Host names, mailboxes
    and identifiers that stand in the lines are never repeated: they may be the recipient's, also where the
    spammer chose them.
    """
    if trace.source is None:
        return (
            "The Received lines of this message do not show which host outside the recipient's mail system "
            "handed it over, so no host is named as its source."
        )
    return " ".join(
        [_who(trace, trace.source, host), _why(trace, trace.source), _below(trace), _sure(trace.source)]
    )


def _who(trace: Trace, source: Source, host: str) -> str:
    date = trace.hops[source.hop].date
    if date is None:
        when = f"At a time that {host} did not record, it"
    else:
        when = f"On {date.day} {_MONTHS[date.month - 1]} {date.year} at {date:%H:%M:%S} UTC, {host}"
    return f"{when} took this message from {source.ip}."


def _why(trace: Trace, source: Source) -> str:
    line = source.hop + 1
    if trace.grade >= "C":
        return (
            "A Received line of the recipient's own mail system says so; the order of the lines was lost on "
            "their way to us. The address is the one seen on the connection, not one that was claimed."
        )
    if line == 1:
        return (
            "The topmost Received line says so; the recipient's own mail system wrote it, and the address in "
            "it is the one seen on the connection, not one that was claimed."
        )
    return (
        f"Received line {line} from the top says so; lines 1 to {line} were written by the recipient's own "
        "mail system, and the address in that line is the one seen on the connection, not one that was "
        "claimed."
    )


def _below(trace: Trace) -> str:
    below = sum(not hop.trusted for hop in trace.hops)
    if not below:
        return "There are no lines below it."
    lines = "The line below it was" if below == 1 else f"The {below} lines below it were"
    return (
        f"{lines} already in the message when it arrived: whoever sent it can have written anything there, "
        "so nothing in them is used."
    )


def _sure(source: Source) -> str:
    doubts = f", because {' and '.join(source.doubts)}" if source.doubts else ""
    return f"Our confidence in this is {source.confidence}{doubts}."
