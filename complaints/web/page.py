"""Pages: takes the name of a template and its values, leaves an HTML answer; and mail to be saved.

Every text a template prints goes through `visible` and is escaped, without the template asking for it: there
is no way to forget it. What a person typed into a form is printed back with `|typed`, escaped but unchanged.
"""

import hashlib
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.responses import HTMLResponse, Response

from complaints.web.visible import visible, visible_bytes

FOLDER = Path(__file__).parent
SHOWN_BYTES = 262_144  # of one report or spam on a page; the whole of it can always be downloaded

LONGEST_NAME = 100  # of a host, identifier or protocol that a spam names


def page(
    name: str, status: int = 200, *, headers: Mapping[str, str] | None = None, **values: Any
) -> HTMLResponse:
    """Render a template of `templates/`.

    Raises jinja2.UndefinedError for a value the template needs and did not get.
    """
    return HTMLResponse(part(name, **values), status, headers)


def part(name: str, **values: Any) -> str:
    """Render a template that is only a part of a page."""
    return _environment().get_template(name).render(**values)


def page_in_two(name: str, **values: Any) -> tuple[str, str]:
    """Render a page that is sent while it is made: what comes before the place of its `parts`, and after."""
    place = secrets.token_hex()
    before, _, after = part(name, parts=place, **values).partition(place)
    return before, after


def mail_file(content: bytes, name: str) -> Response:
    """Stored mail exactly as it is, to be saved and never shown by a browser."""
    headers = {"Content-Disposition": f'attachment; filename="{name}.eml"'}
    return Response(content, media_type="message/rfc822", headers=headers)


def moment(value: datetime | str | None) -> str:
    """`2 Nov 2026 10:00:01 UTC` as a `<time>`; takes an aware datetime or its RFC 3339 text."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return str(value)
    if value is None:
        return "unknown"
    utc = value.astimezone(UTC)
    words = f"{utc.day} {utc:%b %Y %H:%M:%S} UTC"
    return Markup('<time datetime="{}">{}</time>').format(utc.isoformat(), words)


def clock_time(value: datetime) -> str:
    """`13:12 UTC`: a time within the hour."""
    return f"{value.astimezone(UTC):%H:%M} UTC"


def age(passed: timedelta) -> str:
    """`3 hours ago`: one number and its unit."""
    seconds = max(0, int(passed.total_seconds()))
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            return _count(seconds // size, unit) + " ago"
    return "just now"


def _count(number: int, word: str, words: str = "") -> str:
    return f"{number} {word}" if number == 1 else f"{number} {words or word + 's'}"


def _span(seconds: int) -> str:
    """`10 minutes`; `15 seconds`, where it is no whole number of minutes."""
    return _count(seconds, "second") if seconds % 60 else _count(seconds // 60, "minute")


def _plain(number: float) -> str:
    """One decimal, where it says anything."""
    return f"{number:.1f}".removesuffix(".0")


def _cut(text: str, most: int = LONGEST_NAME) -> str:
    """At most so many characters: a name or address that goes on and on tells nothing more."""
    return text if len(text) <= most else text[: most - 1] + "…"


def _bytes(raw: bytes) -> str:
    """The first part of raw bytes as text; a page of many megabytes would help nobody."""
    return visible_bytes(raw[:SHOWN_BYTES])


def _typed(text: str) -> Markup:
    """What this person typed into this form: escaped, else exactly as it was."""
    return escape(text.encode("utf-8", "replace").decode())


def _shown(value: object) -> object:
    """Jinja calls this on every value it prints."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(moment=moment, clock_time=clock_time, count=_count, plain=_plain, span=_span)
    environment.filters.update(bytes=_bytes, typed=_typed, cut=_cut)
    style = (FOLDER / "static" / "plaint.css").read_bytes()
    # A new style sheet has a new address, so that it may be cached for long
    environment.globals.update(style=hashlib.sha256(style).hexdigest()[:12], shown_bytes=SHOWN_BYTES)
    return environment
