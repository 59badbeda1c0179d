"""Where each server of a world listens: loopback addresses per host name, and sockets on one common port.

Each WHOIS server and each mail host has an address of its own in 127.0.0.0/8, because their clients know only
one port (RFC 3912 §2: 43, RFC 5321 §4.5.4.2: 25) and tell servers apart by address.
"""

import socket
from collections.abc import Iterable
from dataclasses import dataclass

from .tables import Registrar, Registry
from .world import World

LOOPBACK = "127.0.0.1"
ATTEMPTS = 50


@dataclass(frozen=True)
class Places:
    """Host name → loopback address, for the WHOIS servers (the root first) and the mail hosts of a world.

    `joint` is true where the system listens on 127.0.0.1 only (as macOS does): all hosts share it, and WHOIS
    answers as one joint server, without referrals.
    """

    whois: dict[str, str]
    mail: dict[str, str]
    joint: bool


def servers_of(world: World) -> list[Registry | Registrar]:
    """List who runs a WHOIS and an RDAP server in this world: registries of numbers, of names, registrars."""
    return [*world.registries.values(), world.names, *world.registrars.values()]


def places_of(world: World, mail_hosts: Iterable[str]) -> Places:
    """Deal out addresses: 127.0.0.10, .11, ... to WHOIS servers, 127.0.1.1, .2, ... to mail hosts."""
    whois = dict.fromkeys((world.constants.whois_root, *(server.whois for server in servers_of(world))))
    mail = dict.fromkeys(mail_hosts)
    if not _listens("127.0.0.10"):
        return Places(dict.fromkeys(whois, LOOPBACK), dict.fromkeys(mail, LOOPBACK), joint=True)
    return Places(
        whois={host: f"127.0.0.{10 + n}" for n, host in enumerate(whois)},
        mail={host: f"127.0.{1 + n // 250}.{1 + n % 250}" for n, host in enumerate(mail)},
        joint=False,
    )


def listening_sockets(addresses: Iterable[str]) -> dict[str, socket.socket]:
    """Open one TCP socket per address, all on the same free port. Raises OSError when none is found."""
    wanted = list(dict.fromkeys(addresses))
    for _ in range(ATTEMPTS):
        found: dict[str, socket.socket] = {}
        try:
            for address in wanted:
                port = next(iter(found.values())).getsockname()[1] if found else 0
                found[address] = tcp_socket(address, port)
        except OSError:
            for taken in found.values():
                taken.close()
        else:
            return found
    raise OSError(f"no port is free on all of {', '.join(wanted)} (tried {ATTEMPTS} times)")


def paired_sockets(address: str) -> tuple[socket.socket, socket.socket]:
    """Open a UDP and a TCP socket on the same free port, as DNS needs them (RFC 7766 §5). Raises OSError."""
    for _ in range(ATTEMPTS):
        tcp = tcp_socket(address, 0)
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.setblocking(False)
        try:
            udp.bind((address, tcp.getsockname()[1]))
        except OSError:
            tcp.close()
            udp.close()
        else:
            return udp, tcp
    raise OSError(f"no port is free for both UDP and TCP on {address} (tried {ATTEMPTS} times)")


def tcp_socket(address: str, port: int) -> socket.socket:
    """Open a non-blocking TCP socket that listens. Raises OSError naming address and port."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        # A port that was asked for may still be in TIME_WAIT from the run before.
        if port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, port))
        # Accepted connections inherit it; asyncio sets it only on sockets that name their protocol
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.listen(128)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise OSError(error.errno, f"cannot listen on {address}:{port}: {error.strerror}") from error
    return sock


def _listens(address: str) -> bool:
    try:
        tcp_socket(address, 0).close()
    except OSError:
        return False
    return True
