"""Plaint: spam complaints that reach the responsible abuse desk, and only with consent."""

import sys

__version__ = "0.1.0"

# httpx loads a command line of its own that nobody calls here: two fifths of its time, 5 MB of every process.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # None: it is not to be found
