"""What may stand in the log of an error: its type, its code and its places in the source, never its text.

The text of an error may hold addresses or mail, and logs are not tied to people (promise 10).
"""

import errno
import traceback
from pathlib import Path

FRAMES = 6
ROOMS = tuple(str(Path(__file__).parents[1] / room) for room in ("complaints", "abuse_lookup"))


def place_of(error: BaseException) -> str:
    """Name an error by its type and code, the line that raised it, and the innermost of ours before it."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames[:-1] if frame.filename.startswith(ROOMS)]
    shown = [*frames[-1:], *reversed(ours[-FRAMES:])]
    where = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in shown)
    cause = f", because of {place_of(error.__cause__)}" if error.__cause__ else ""
    return f"{type(error).__name__}{_code(error)} at {where or 'no line'}{cause}"


def _code(error: BaseException) -> str:
    """What system, SQLite or PostgreSQL call it, such as ENOSPC, SQLITE_FULL or 53100; "" for all others."""
    number = getattr(error, "errno", None) if isinstance(error, OSError) else None
    name = errno.errorcode.get(number) if isinstance(number, int) else None
    code = name or getattr(error, "sqlite_errorname", None) or getattr(error, "sqlstate", None)
    return f" ({code})" if isinstance(code, str) else ""
