"""Who answers for this? Finds the abuse desks responsible for an IP address, network, domain, URL or mailbox.

    from abuse_lookup import Config, open_lookup

    async with open_lookup(Config()) as lookup:
        found = await lookup.find_contacts("192.0.2.1")

Stands alone: no database server, no web framework, no knowledge of complaints.
"""

from abuse_lookup import errors
from abuse_lookup.answer import (
    Answer,
    Confidence,
    Contact,
    Failure,
    Lookup,
    MailAnswer,
    Reason,
    Rejected,
    Scope,
    Status,
)
from abuse_lookup.errors import AbuseLookupError, ConfigError, UnusableTarget
from abuse_lookup.history import History, Record
from abuse_lookup.lookup import AbuseLookup
from abuse_lookup.opening import Config, open_lookup
from abuse_lookup.resolver import Resolver
from abuse_lookup.target import Target

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
