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
_DELIVERED = frozenset({"delivered-to", "x-original-to", "x-delivered-to", "envelope-to"})
_TO = frozenset({"to", "cc"})
_FOR = re.compile(r"\bfor\s{1,9}<?([^\s<>;]{1,320})>?")
_ADDRESS = re.compile(r"[^\s<>\"(),;:@]{1,64}@[^\s<>\"(),;:@]{1,255}")
_MOST = 100
"""Fields and addresses that are looked at."""


def passed_on(message: Message, is_ours: Callable[[str], bool], theirs: Collection[str]) -> bool:
    """Whether a mail came to one of `theirs`, the reporter's addresses, and from there to us unasked.

    `is_ours` tells their submission addresses. A mail that one of `theirs` wrote is taken for a forward: some
    forward to a mailbox of theirs that passes on to us.
    """
    known = {address.lower() for address in theirs}
    fields = list(islice(((one.name.lower(), one.text) for one in message.headers), _MOST))
    if known & set(_addresses(fields, {"from"})):
        return False
    if any(map(is_ours, _addresses(fields, _TO))):
        return False
    where = [text.strip().strip("<>") for name, text in fields if name in _DELIVERED]
    where += [found[1] for name, text in fields if name == "received" and (found := _FOR.search(text))]
    return any(address.lower() in known for address in where)


def _addresses(fields: list[tuple[str, str]], names: Collection[str]) -> list[str]:
    texts = (text for name, text in fields if name in names)
    return list(islice((found.lower() for text in texts for found in _ADDRESS.findall(text)), _MOST))
