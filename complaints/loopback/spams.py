"""The spams of a world's `spams/` folder: templates of our own writing, filled in so that they are fresh.

In a template, `[[now-7m]]` is the date that many minutes (m) or hours (h) ago as RFC 5322 §3.3 writes it,
and what follows a line `@@base64@@` is encoded so (RFC 2045 §6.8): the file shows the text itself.
"""

import base64
import re
from datetime import datetime, timedelta
from email.utils import format_datetime

from .world import World

DATE = re.compile(r"\[\[now-(\d+)([mh])\]\]")
UNITS = {"m": "minutes", "h": "hours"}


def spams(world: World, now: datetime) -> dict[str, bytes]:
    """Return file name → message with CRLF line ends, in the order of names; empty if there are none."""
    folder = world.folder / "spams" if world.folder else None
    if folder is None or not folder.is_dir():
        return {}
    return {path.name: _fresh(path.read_text("utf-8"), now) for path in sorted(folder.glob("*.eml"))}


def _fresh(template: str, now: datetime) -> bytes:
    def date(match: re.Match[str]) -> str:
        return format_datetime(now - timedelta(**{UNITS[match[2]]: int(match[1])}))

    head, encoded, body = DATE.sub(date, template).partition("@@base64@@\n")
    text = head + base64.encodebytes(body.encode()).decode() if encoded else head
    return text.replace("\n", "\r\n").encode()
