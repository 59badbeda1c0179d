"""What the bytes of a Received field show beyond its words.

Takes header fields; leaves them read, without what a sender glued to them, and says where a line that looks
like a delivery inside one host hides an address.
"""

import re

from complaints.hosts import canonical_ip
from complaints.message import Header
from complaints.received import Received, parse_received

# A message that begins with a blank is glued to the line that the host wrote on top of it.
_GLUED = re.compile(rb"\n[ \t]+[A-Za-z][A-Za-z-]{2,}[ \t]*:")
_ADDRESS = re.compile(rb"[\[(@](?:IPv6:)?([0-9A-Fa-f:.]{3,45})[\])%: ]", re.IGNORECASE)
_PROGRAM = re.compile(rb"\(Postfix, from userid \d|invoked by uid \d|\swith local\s|\(from \S+@\S+\)\s+by\s")


def read(header: Header) -> Received:
    """Read a field; a broken one without the header field that is glued to it."""
    line = parse_received(header.body)
    if line.defect and (glued := _GLUED.search(header.raw)):
        return parse_received(header.raw[header.raw.index(b":") + 1 : glued.start()])
    return line


def unglued(header: Header, line: Received) -> bytes:
    """Return the bytes that a line was read from."""
    glued = _GLUED.search(header.raw) if b"\n" in header.raw else None
    if glued is None or line == parse_received(header.body):
        return header.body
    return header.raw[header.raw.index(b":") + 1 : glued.start()]


def hides_an_address(header: Header, line: Received) -> bool:
    """Tell whether a line without an address holds one after all.

    Then the client said something that broke the line, and it only looks like a delivery inside one host.
    """
    found = (canonical_ip(text.decode("ascii")) for text in _ADDRESS.findall(header.raw))
    return any(ip is not None and ip != line.by_ip for ip in found)


def is_from_qmails_door(header: Header, line: Received) -> bool:
    """Tell whether qmail's queue says that its door called it: that one always writes a line below."""
    return line.by is None and line.from_ip is None and b"invoked from network)" in header.raw


def is_from_a_program(header: Header, line: Received) -> bool:
    """Tell whether a program on the writing host handed over: a filter, or the author of the lines below."""
    return line.from_ip is None and _PROGRAM.search(header.raw) is not None


def is_peer(above: Received, by: str | None) -> bool:
    """Tell whether the writer of the next line is the host that handed over, by a name seen above."""
    if by is None:
        return False
    names = {name for name in (above.from_name, above.helo) if name}
    if by in names or by == above.from_ip:
        return True
    return "." not in by and any(name.partition(".")[0] == by for name in names)
