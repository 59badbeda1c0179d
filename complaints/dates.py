"""Dates as mail writes them.

Takes the text of a date (RFC 5322 §3.3 and what is met instead of it); leaves an aware time in UTC, or None.
"""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTHS = {spelled: n for n, name in enumerate(_NAMES, 1) for spelled in (name, name.title(), name.upper())}
# Hours east of Greenwich of the zone names met in mail. RFC 5322 §4.3 defines the American ones; military
# letters carry no information (§4.3) and read as UTC, as any unknown name does.
_ZONES = (
    {"EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7}
    | {"AKST": -9, "AKDT": -8, "HST": -10, "BRT": -3, "BST": 1, "IST": 5.5, "WET": 0, "WEST": 1}
    | {"CET": 1, "MET": 1, "MEZ": 1, "CEST": 2, "MEST": 2, "MESZ": 2, "EET": 2, "EEST": 3, "MSK": 3, "MSD": 4}
    | {"JST": 9, "KST": 9, "HKT": 8, "SGT": 8, "AEST": 10, "AEDT": 11, "NZST": 12, "NZDT": 13}
)
# What nearly every line ends with, on text whose white space is single blanks.
PLAIN = (
    r" ?(?:[A-Z][a-z]{2}, )?([0-9]{1,2} [A-Z][a-z]{2} [0-9]{4}) ([0-9]{2}:[0-9]{2}:[0-9]{2})"
    r" ([+-][0-9]{4})(?: \([^();]*\))?"
)
_PLAIN = re.compile(PLAIN)
_CLOCK = r"(\d{1,2}): ?(\d{2})(?:: ?(\d{2}))?(?:[.,]\d{1,9})?(?:\s?([AaPp])\.?[Mm]\b\.?)?"
_ZONE = r"(?:\s*([+-]\d{2}:?\d{1,2})(?!\d)|\s+([A-Za-z]{1,5})\b)?"
_COMMON = re.compile(
    r"(?<!\d)(\d{1,2})(?:-|\s{1,9})([A-Za-z]{3})[a-z]{0,6}\.?,?(?:-|\s{1,9})(\d{2,4})(?!\d)\s+"
    + _CLOCK
    + _ZONE,
    re.ASCII,
)
_MONTH_FIRST = re.compile(
    r"\b([A-Za-z]{3})[a-z]{0,6}\.?,? (\d{1,2}),? (\d{4}),?\s+" + _CLOCK + _ZONE, re.ASCII
)
_ASCTIME = re.compile(
    r"\b([A-Za-z]{3})\s+(\d{1,2})\s+(\d{1,2}):(\d{2}):(\d{2})\s+(?:([A-Z]{1,5})\s+)?(\d{4})(?:\s*([+-]\d{4}))?",
    re.ASCII,
)
_ISO = re.compile(
    r"\b(\d{4})-(\d{2})-(\d{2})[ T](\d{2}):(\d{2}):(\d{2})(?:\.\d{1,9})?"
    r"\s*(?:([+-]\d{2}:?\d{2})|([A-Z]{1,5}))?",
    re.ASCII,
)


def plain_date(text: str) -> datetime | None:
    """Return the time where `text` is nothing but an ordinary date, with one blank between its words."""
    match = _PLAIN.fullmatch(text)
    return moment(*match.groups()) if match else None


def moment(day: str, clock: str, offset: str) -> datetime | None:
    """Return the time that the three groups of `PLAIN` say, None where there is no such time."""
    try:
        there = datetime.fromisoformat(f"{_day(day)}T{clock}+00:00")
        return there - _ahead(offset) if offset not in {"+0000", "-0000"} else there
    except (ValueError, OverflowError):
        return None


@lru_cache(maxsize=256)
def _ahead(offset: str) -> timedelta:
    """Return how far `+0100` is ahead of UTC (raises ValueError where no clock can be)."""
    shift = _shift(offset, None)
    if shift is None:
        raise ValueError(offset)
    return shift


@lru_cache(maxsize=1024)
def _day(text: str) -> str:
    """Return `24 Nov 2026` as `2026-11-24`, a month that is none as `00`."""
    day, month, year = text.split(" ")
    return f"{year}-{_MONTHS.get(month, 0):02}-{day:0>2}"


def parse_date(text: str) -> datetime | None:
    """Return the first date in `text` as an aware time in UTC, or None where there is none that can exist."""
    found = find_date(text)
    return found[0] if found else None


def find_date(text: str) -> tuple[datetime | None, int] | None:
    """Return the first date in `text` and where it begins; the date is None where it cannot exist."""
    if match := _COMMON.search(text):
        day, month, year, hour, minute, second, half, offset, zone = match.groups()
    elif match := _ASCTIME.search(text):
        month, day, hour, minute, second, zone, year, offset = match.groups()
        half = None
    elif match := _MONTH_FIRST.search(text):
        month, day, year, hour, minute, second, half, offset, zone = match.groups()
    elif match := _ISO.search(text):
        year, month, day, hour, minute, second, offset, zone = match.groups()
        half = None
    else:
        return None
    number = int(month) if month.isdigit() else _MONTHS.get(month.title(), 0)
    moment = _utc(year, number, day, _hour(hour, half), minute, second or "0", _shift(offset, zone))
    return moment, match.start()


def _hour(hour: str, half: str | None) -> int:
    """Return the hour of the day; some write the twelve hours of a dial with AM and PM."""
    if half is None or int(hour) > 12:
        return int(hour)
    return int(hour) % 12 + (12 if half in "Pp" else 0)


def _utc(
    year: str, month: int, day: str, hour: int, minute: str, second: str, shift: timedelta | None
) -> datetime | None:
    """Put the pieces together; a leap second counts as :59."""
    if shift is None:
        return None
    try:
        return (
            datetime(_year(year), month, int(day), hour, int(minute), min(int(second), 59), tzinfo=UTC)
            - shift
        )
    except (ValueError, OverflowError):
        return None


def _year(text: str) -> int:
    """Return the full year: two digits turn at 50, three count from 1900 (RFC 5322 §4.3)."""
    year = int(text)
    if len(text) == 2:
        return year + (2000 if year < 50 else 1900)
    return year + 1900 if len(text) == 3 else year


def _shift(offset: str | None, zone: str | None) -> timedelta | None:
    """Return how far a clock is ahead of UTC, None where no clock can be."""
    if offset is None:
        return timedelta(hours=_ZONES.get((zone or "").upper(), 0))
    digits = offset[1:].replace(":", "").zfill(4)
    minutes = int(digits[:2]) * 60 + int(digits[2:])
    shift = timedelta(minutes=-minutes if offset[0] == "-" else minutes)
    return shift if minutes < 24 * 60 else None


def rfc3339(moment: datetime) -> str:
    """Return a time as RFC 3339 in UTC, to the second: `2026-11-24T01:02:03Z`."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"
