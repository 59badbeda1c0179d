"""What a proxy before us writes first (PROXY protocol, versions 1 and 2): takes octets, leaves the client.

Written by HAProxy, nginx and others ("The PROXY protocol, versions 1 & 2", haproxy.org, 2020-03-05). Whom
to believe it is decided elsewhere: from anybody else it would be a forged address.
"""

import ipaddress
import re
from typing import NamedTuple

_FIRST = b"\r\n\r\n\0\r\nQUIT\n"
"""What version 2 begins with (section 2.2)."""
_LONGEST_LINE = 107
"""Octets of a line of version 1 with its CR LF (section 2.1)."""
_FIXED = 16
_LOCAL, _PROXY = 0x20, 0x21
_ADDRESS_OCTETS = {0x11: 4, 0x21: 16}
"""Family and transport of version 2 → octets of one address: TCP over IPv4 and over IPv6."""
_OTHER_FAMILIES = frozenset({0x00, 0x12, 0x22, 0x31, 0x32})
_PORT = re.compile(rb"0|[1-9][0-9]{0,4}")


class ProxyError(Exception):
    """What came first is no header of the PROXY protocol."""


class Proxied(NamedTuple):
    """A header: its length, and the client's address; "" where the proxy names none (UNKNOWN, LOCAL)."""

    octets: int
    client: str


def read_proxy(data: bytes | bytearray) -> Proxied | None:
    """Read the header that a connection begins with; None while it is not all there. Raises ProxyError."""
    start = bytes(data[: len(_FIRST)])
    if start == _FIRST:
        return _version_2(data)
    if b"PROXY "[: len(start)] == start[:6]:
        return _version_1(data)
    if _FIRST.startswith(start):
        return None
    raise ProxyError("no PROXY header")


def _version_1(data: bytes | bytearray) -> Proxied | None:
    end = data.find(b"\r\n", 0, _LONGEST_LINE)
    if end < 0:
        if len(data) >= _LONGEST_LINE:
            raise ProxyError("the PROXY line does not end")
        return None
    match bytes(data[:end]).split(b" "):
        case [_, b"UNKNOWN", *_]:
            return Proxied(end + 2, "")
        case [_, b"TCP4" | b"TCP6" as family, client, server, *ports] if len(ports) == 2:
            if not all(_PORT.fullmatch(port) and int(port) < 65536 for port in ports):
                raise ProxyError("a port of the PROXY line is none")
            _address(server, family)
            return Proxied(end + 2, _address(client, family))
    raise ProxyError("the PROXY line is malformed")


def _address(text: bytes, family: bytes) -> str:
    try:
        address = ipaddress.ip_address(text.decode("ascii"))
    except ValueError as error:
        raise ProxyError("an address of the PROXY line is none") from error
    if f"TCP{address.version}".encode() != family or b"%" in text:
        raise ProxyError("an address of the PROXY line is of another family")
    return str(address)


def _version_2(data: bytes | bytearray) -> Proxied | None:
    if len(data) < _FIXED:
        return None
    command, family = data[12], data[13]
    end = _FIXED + int.from_bytes(data[14:16], "big")
    if command not in {_LOCAL, _PROXY}:
        raise ProxyError("another version or command of the PROXY protocol")
    size = _ADDRESS_OCTETS.get(family, 0)
    if command == _PROXY and (family not in _OTHER_FAMILIES if not size else end < _FIXED + 2 * size + 4):
        raise ProxyError("the addresses of the PROXY header are cut, or of no known family")
    if len(data) < end:
        return None
    # What follows the addresses (TLV) is of no use here.
    client = ipaddress.ip_address(bytes(data[_FIXED : _FIXED + size])) if command == _PROXY and size else ""
    return Proxied(end, str(client))
