"""Telling a spam that a rule of the reporter's mail server passed on, with nothing but another recipient.

Takes the mail as it came to a submission address, leaves whether it is one: it was delivered to the reporter
before, and its own header does not know of us. Sieve's `redirect` (RFC 5228 §4.2), `.forward` files and the
forwarding of many webmails do that.
"""

import re
from collections.abc import Callable, Collection
from itertools import islice

from complaints.message import Message

PASSED_ON = (
    "This mail is no forward of yours: it seems to be the spam itself, which a rule of your mail server "
    "passed on with nothing but another recipient. The lines of its way to you and of its way to us cannot "
    "be told apart, so nothing was taken from it."
)
REMEDY = (
    "Let the rule forward as an attachment, or let it file the spam into a folder and hand that folder in "
    "with `plaint batch`; where the rule can do neither, forward the spam by hand, as an attachment."
)
NOT_FROM_YOU = (
    "This mail names neither your submission address among those it went to, nor an address of yours as its "
    "author: it may be the spam itself, which a rule passed on. So nothing was taken from it."
)
WRITE_TO_US = (
    "Write to your submission address in the field To, not Bcc, or add the address you wrote from to your "
    "account. A rule of a mail server should forward as an attachment, from an address of yours."
)
_DELIVERED = frozenset({"delivered-to", "x-original-to", "x-delivered-to", "envelope-to"})
_TO = frozenset({"to", "cc"})
_FOR = re.compile(r"\bfor\s{1,9}<?([^\s<>;]{1,320})>?")
_ADDRESS = re.compile(r"[^\s<>\"(),;:@]{1,64}@[^\s<>\"(),;:@]{1,255}")
_MOST = 100
"""Fields and addresses that are looked at."""


def passed_on(
    message: Message, is_ours: Callable[[str], bool], theirs: Collection[str]
) -> tuple[str, str] | None:
    """Why a mail may be no forward, and what to do; None for what a reporter wrote.

    Only the reporter knows their submission addresses, which `is_ours` tells: what is addressed to one is
    theirs. So is what one of `theirs` wrote, their own addresses: some forward to a mailbox of theirs that
    passes on to us. A colleague at their domain may do that too, unless it was delivered to them before.
    """
    known = {address.lower() for address in theirs}
    fields = list(islice(((one.name.lower(), one.text) for one in message.headers), _MOST))
    authors = _addresses(fields, {"from"})
    if known & set(authors) or any(map(is_ours, _addresses(fields, _TO))):
        return None
    where = [text.strip().strip("<>") for name, text in fields if name in _DELIVERED]
    where += [found[1] for name, text in fields if name == "received" and (found := _FOR.search(text))]
    if any(address.lower() in known for address in where):
        return PASSED_ON, REMEDY
    domains = {address.rpartition("@")[2] for address in known}
    return None if any(one.rpartition("@")[2] in domains for one in authors) else (NOT_FROM_YOU, WRITE_TO_US)


def _addresses(fields: list[tuple[str, str]], names: Collection[str]) -> list[str]:
    texts = (text for name, text in fields if name in names)
    return list(islice((found.lower() for text in texts for found in _ADDRESS.findall(text)), _MOST))
