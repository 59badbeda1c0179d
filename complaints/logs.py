"""What may stand in the log of an error: its type and its places in the code, never its text.

The text of an error may hold addresses or mail, and logs are not tied to people (promise 10).
"""

import traceback
from pathlib import Path

FRAMES = 6
ROOMS = tuple(str(Path(__file__).parents[1] / room) for room in ("complaints", "abuse_lookup"))


def place_of(error: BaseException) -> str:
    """Name an error by its type, the line that raised it, and the innermost lines of ours that led there."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames[:-1] if frame.filename.startswith(ROOMS)]
    shown = [*frames[-1:], *reversed(ours[-FRAMES:])]
    where = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in shown)
    cause = f", because of {place_of(error.__cause__)}" if error.__cause__ else ""
    return f"{type(error).__name__} at {where or 'no line'}{cause}"
