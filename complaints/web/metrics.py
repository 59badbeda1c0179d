"""Counts for monitoring: takes the tables, leaves Prometheus' text format. No personal data."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Any

from sqlalchemy import func
from sqlmodel import Session, select

from complaints import __version__
from complaints.models import (
    Complaint,
    ComplaintState,
    Letter,
    LetterState,
    Report,
    ReportState,
    Submission,
    SubmissionState,
)

COUNTED: tuple[tuple[str, Any, type[StrEnum]], ...] = (
    ("submissions", Submission, SubmissionState),
    ("complaints", Complaint, ComplaintState),
    ("reports", Report, ReportState),
    ("letters", Letter, LetterState),
)


def metrics_text(session: Session) -> str:
    """How many rows are in each state, as gauges (Prometheus exposition format 0.0.4)."""
    return "\n".join(_lines(session)) + "\n"


def _lines(session: Session) -> Iterator[str]:
    yield "# HELP plaint_build_info The version that answers."
    yield "# TYPE plaint_build_info gauge"
    yield f'plaint_build_info{{version="{__version__}"}} 1'
    for name, table, states in COUNTED:
        counts = dict(session.exec(select(table.state, func.count()).group_by(table.state)).all())
        yield f"# HELP plaint_{name} Rows of {name} in each state."
        yield f"# TYPE plaint_{name} gauge"
        yield from (f'plaint_{name}{{state="{state.value}"}} {counts.get(state, 0)}' for state in states)
