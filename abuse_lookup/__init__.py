"""Who answers for this? Finds the abuse desks responsible for an IP address, network, domain, URL or mailbox.

    from abuse_lookup import Config, open_lookup

    async with open_lookup(Config()) as lookup:
        found = await lookup.find_contacts("192.0.2.1")

`found` is a `Lookup`: `contacts` that may be used, the best first, each with scope, address or form, source,
server, confidence, a sentence why, and when the server said so; `rejected` mailboxes with the reason;
`failures` of sources; `network`, the range that was answered for. Values are frozen; times are aware UTC,
durations are seconds. `find_many` takes a stream of targets. `explain=True` keeps every question and answer.
`abuse_lookup.declared` says, without any network, whether a mailbox that a message declares may be used.

Raised are only `UnusableTarget`, for a text that is no target, and `ConfigError`, by `open_lookup`; both are
`AbuseLookupError` and ValueError. A server's behaviour is never raised: it is in `failures`.

Stands alone: needs httpx, dnspython and publicsuffixlist; no database server, no web framework, and nothing
of `complaints`. docs/lookup.md says which sources are asked in which order, and what is believed.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from abuse_lookup import errors
from abuse_lookup.answer import (
    Answer,
    Confidence,
    Contact,
    Failure,
    Lookup,
    MailAnswer,
    Question,
    Reason,
    Rejected,
    Scope,
    Status,
)
from abuse_lookup.errors import AbuseLookupError, ConfigError, UnusableTarget
from abuse_lookup.history import History, Record
from abuse_lookup.target import Target

if TYPE_CHECKING:
    from abuse_lookup.lookup import AbuseLookup
    from abuse_lookup.opening import Config, open_lookup
    from abuse_lookup.resolver import Resolver

# Loaded when first asked for: who only reads what a sender declares needs no network clients
_CLIENTS = {"AbuseLookup": "lookup", "Config": "opening", "Resolver": "resolver", "open_lookup": "opening"}

__all__ = [
    "AbuseLookup",
    "AbuseLookupError",
    "Answer",
    "Confidence",
    "Config",
    "ConfigError",
    "Contact",
    "Failure",
    "History",
    "Lookup",
    "MailAnswer",
    "Question",
    "Reason",
    "Record",
    "Rejected",
    "Resolver",
    "Scope",
    "Status",
    "Target",
    "UnusableTarget",
    "errors",
    "open_lookup",
]


def __getattr__(name: str) -> Any:
    if name not in _CLIENTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(f"{__name__}.{_CLIENTS[name]}"), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
