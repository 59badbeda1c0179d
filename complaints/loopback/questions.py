"""What was asked of the loopback internet, of which server, and when: tests and benchmarks count these."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Protocol = Literal["dns", "whois", "rdap", "smtp"]


@dataclass(frozen=True)
class Question:
    """One question as it came in.

    `server` is the host name asked (for DNS address and transport, "127.0.0.1 udp"); `question` is type and
    name for DNS ("A pills.example"), the query line for WHOIS, the path for RDAP, the recipient for SMTP.
    """

    protocol: Protocol
    server: str
    question: str
    at: datetime


Ask = Callable[[Protocol, str, str], None]
