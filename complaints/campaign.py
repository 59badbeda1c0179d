"""Which campaign a spam belongs to: takes what was read in it, leaves a short name that its like share.

The name only sorts a reporter's own complaints, so that many can be seen as one; nobody is accused by it.
"""

import re
from collections.abc import Mapping
from typing import Any

MOST_DOMAINS = 3
LONGEST_NAME = 80

_DIGIT = re.compile(r"\d")  # in order numbers, prices, recipients' codes: what differs from mail to mail
_FRAMING = re.compile(r"^(?:(?:re|fwd?|aw|wg|tr)\s*:\s*)+", re.IGNORECASE)


def campaign_of(evidence: Mapping[str, Any], subject: str) -> str:
    """Name the domains a spam leads to, sorted; where it leads nowhere, its subject without what varies.

    `evidence` is the document of `spam.Evidence`.
    """
    led_to = sorted(
        {group["domain"] for group in evidence.get("hosts", []) if group["led_to"] and not group["bystander"]}
    )
    if led_to:
        more = len(led_to) - MOST_DOMAINS
        name = ", ".join(led_to[:MOST_DOMAINS]) + (f" and {more} more" if more > 0 else "")
    else:
        words = _FRAMING.sub("", subject).lower().split()
        name = " ".join("#" if _DIGIT.search(word) else word for word in words)
    return name[:LONGEST_NAME]
