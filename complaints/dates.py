"""Dates as mail writes them.

Takes the text of a date (RFC 5322 §3.3 and what is met instead of it); leaves an aware time in UTC, or None.
"""

import re
from datetime import UTC, datetime, timedelta

_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTHS = {name: n for n, name in enumerate(_NAMES, 1)}
# Hours east of Greenwich of the zone names met in mail. RFC 5322 §4.3 defines the American ones; military
# letters carry no information (§4.3) and read as UTC, as any unknown name does.
_ZONES = (
    {"EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7}
    | {"AKST": -9, "AKDT": -8, "HST": -10, "BRT": -3, "BST": 1, "IST": 5.5, "WET": 0, "WEST": 1}
    | {"CET": 1, "MET": 1, "MEZ": 1, "CEST": 2, "MEST": 2, "MESZ": 2, "EET": 2, "EEST": 3, "MSK": 3, "MSD": 4}
    | {"JST": 9, "KST": 9, "HKT": 8, "SGT": 8, "AEST": 10, "AEDT": 11, "NZST": 12, "NZDT": 13}
)
_COMMON = re.compile(
    r"(?<!\d)(\d{1,2})[ -]([A-Za-z]{3})[a-z]{0,6}\.?,?[ -](\d{4}|\d{2})"
    r"\s+(\d{1,2}):(\d{2})(?::(\d{2}))?(?:\.\d{1,9})?"
    r"(?:\s*([+-]\d{4})|\s+([A-Za-z]{1,5})\b)?"
)
_ASCTIME = re.compile(
    r"\b([A-Za-z]{3})\s+(\d{1,2})\s+(\d{1,2}):(\d{2}):(\d{2})\s+(?:([A-Z]{1,5})\s+)?(\d{4})(?:\s*([+-]\d{4}))?"
)
_ISO = re.compile(
    r"\b(\d{4})-(\d{2})-(\d{2})[ T](\d{2}):(\d{2}):(\d{2})(?:\.\d{1,9})?"
    r"\s*(?:([+-]\d{2}):?(\d{2})|([A-Z]{1,5}))?"
)


def parse_date(text: str) -> datetime | None:
    """Return the first date in `text` as an aware time in UTC, or None where there is none that can exist."""
    if match := _COMMON.search(text):
        day, month, year, hour, minute, second, offset, zone = match.groups()
        return _utc(year, _MONTHS.get(month.lower(), 0), day, hour, minute, second or "0", offset, zone)
    if match := _ASCTIME.search(text):
        month, day, hour, minute, second, zone, year, offset = match.groups()
        return _utc(year, _MONTHS.get(month.lower(), 0), day, hour, minute, second, offset, zone)
    if match := _ISO.search(text):
        year, month, day, hour, minute, second, hours, minutes, zone = match.groups()
        return _utc(year, int(month), day, hour, minute, second, f"{hours}{minutes}" if hours else None, zone)
    return None


def _utc(
    year: str, month: int, day: str, hour: str, minute: str, second: str, offset: str | None, zone: str | None
) -> datetime | None:
    """Put the pieces together; a leap second counts as :59, two-digit years turn at 50 (RFC 5322 §4.3)."""
    full = int(year) if len(year) == 4 else int(year) + (2000 if int(year) < 50 else 1900)
    shift = _minutes(offset) if offset else int(_ZONES.get((zone or "").upper(), 0) * 60)
    try:
        local = datetime(full, month, int(day), int(hour), int(minute), min(int(second), 59), tzinfo=UTC)
        return local - timedelta(minutes=shift) if abs(shift) < 24 * 60 else None
    except (ValueError, OverflowError):
        return None


def _minutes(offset: str) -> int:
    minutes = int(offset[1:3]) * 60 + int(offset[3:5])
    return -minutes if offset[0] == "-" else minutes


def rfc3339(moment: datetime) -> str:
    """Return a time as RFC 3339 in UTC, to the second: `2026-11-24T01:02:03Z`."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"
