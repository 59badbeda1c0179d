"""Backups that forget whom the service forgets: takes a running service, leaves one file, and the other way.

What is a reporter's is in the file only encrypted under their own key, and no key is in any backup
(`backup_keys`). The file is read in one snapshot while the service runs, on SQLite and PostgreSQL alike, and
is restored into an empty database of either. Nothing is sent because of a restored row: what was on its way
then may have left since.
"""

import base64
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlmodel
from sqlalchemy import JSON, Connection, func, insert, select, update
from sqlmodel import Session, col

from complaints import backup_keys
from complaints.account_tables import AnsweredRequest, Choice, Disclosure, PolicyVersion, Registration, StepUp
from complaints.choices import PURPOSES
from complaints.erasure import TABLES, addresses, theirs
from complaints.models import (
    Json,
    Letter,
    LetterState,
    Report,
    Reporter,
    ReportState,
    Suppression,
)
from complaints.office import Office
from complaints.report import close_if_done
from complaints.standing_tables import StandingConsent
from complaints.vault import VaultError

KIND = "plaint backup 1"
PERSONAL = tuple(table for table in reversed(TABLES) if table not in {Registration, StepUp, AnsweredRequest})
"""Tables of what is a reporter's, in the order in which rows can come; without what lasts a day at most."""
COMMON = (Suppression, PolicyVersion)
PIECE = 1_000_000
"""Octets of rows that are encrypted at a time, about."""
ON_THE_WAY = {ReportState.CONSENTED, ReportState.QUEUED, ReportState.SENDING}
VIA = "restore"


class BackupError(Exception):
    """The backup cannot be made or restored; the message says why and what to do."""


def write(office: Office, file: Path) -> int:
    """Write a backup of everything to a new file (mode 0600); returns of how many reporters it is.

    Raises BackupError when the file is there already, OSError when it cannot be written.
    """
    if file.exists():
        raise BackupError(f"{file} exists already; give each backup a name of its own")
    draft = file.with_name(f"{file.name}.part")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as place:
        digest = hashlib.sha256()

        def put(record: Json) -> None:
            line = json.dumps(record, separators=(",", ":")).encode() + b"\n"
            digest.update(line)
            place.write(line)

        count = _write(office, put)
        place.write(json.dumps({"end": count, "sha256": digest.hexdigest()}).encode() + b"\n")
        place.flush()
        os.fsync(place.fileno())
    _forget_who_left(office)
    draft.replace(file)
    return count


def _forget_who_left(office: Office) -> None:
    """Whoever was erased while the snapshot was read is in it, and their key must not be there again."""
    with office.db.reading() as session:
        there = set(session.exec(sqlmodel.select(Reporter.id)))
    for gone in backup_keys.read(backup_keys.place(office.vault)).keys() - there:
        backup_keys.drop(office.vault, gone)


def _write(office: Office, put: Callable[[Json], None]) -> int:
    level = {} if office.db.embedded else {"isolation_level": "REPEATABLE READ"}
    with office.db.engine.connect().execution_options(**level) as snapshot, snapshot.begin():
        put({"kind": KIND, "schema": office.db.revision(), "made_at": office.clock().isoformat()})
        for table in COMMON:
            put({"table": table.__tablename__, "rows": list(_rows(snapshot, table, True))})
        # That an authority got something stays also when its reporter is gone
        bare = [row | {"reporter_id": None, "what": ""} for row in _rows(snapshot, Disclosure, True)]
        put({"table": Disclosure.__tablename__, "rows": bare})
        columns = (Reporter.id, Reporter.address, Reporter.aliases, Reporter.key)
        reporters = snapshot.execute(select(*columns)).all()  # type: ignore[call-overload]
        # Before anything sealed under them is there to be read
        backup_keys.write(office.vault, {row.id: row.key for row in reporters})
        for row in reporters:
            for piece in _pieces(snapshot, row.id, addresses(row)):
                sealed = office.vault.seal(row.key, json.dumps(piece).encode())
                put({"reporter": row.id, "sealed": base64.b64encode(sealed).decode()})
    return len(reporters)


def _pieces(snapshot: Connection, reporter_id: str, own: list[str]) -> Iterator[list[Json]]:
    """What is a reporter's, in lists of [{"table", "row"}] of a bounded size; their key is not among it."""
    piece: list[Json] = []
    size = 0
    for table in (*PERSONAL, Disclosure):
        for row in _rows(snapshot, table, theirs(table, reporter_id, own)):
            if table is Reporter:
                del row["key"]
            piece.append({"table": table.__tablename__, "row": row})
            size += len(json.dumps(row))
            if size > PIECE:
                yield piece
                piece, size = [], 0
    if piece:
        yield piece


def _rows(snapshot: Connection, table: Any, condition: Any) -> Iterator[Json]:
    columns = table.__table__.columns
    query = select(*columns)
    for row in snapshot.execute(query if condition is True else query.where(condition)):
        yield {
            column.name: value if isinstance(column.type, JSON) else _plain(value)
            for column, value in zip(columns, row, strict=True)
        }


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return {"time": value.isoformat()}
    return {"octets": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def _value(column: Any, value: Any) -> Any:
    if isinstance(column.type, JSON) or not isinstance(value, dict):
        return value
    return datetime.fromisoformat(value["time"]) if "time" in value else base64.b64decode(value["octets"])


def restore(office: Office, file: Path, keys: Path) -> Json:
    """Restore a backup into an empty database: {"reporters", "erased_since", "unconfirmed"}.

    What was on its way is `unconfirmed` then; standing consents are revoked and uses of data refused, for
    they may have been since. Raises BackupError when the file is damaged, of another version, or the database
    holds reporters.
    """
    head = _checked(file)
    if head["schema"] != office.db.revision():
        raise BackupError(
            f"{file} is of schema {head['schema']}, this version has {office.db.revision()}: restore it with "
            "the version that made it, then upgrade"
        )
    known = backup_keys.read(keys)
    if not known:
        raise BackupError(f"{keys} holds no keys; without them nothing of anybody can be read")
    restored: set[str] = set()
    passed: set[str] = set()
    with office.db.transaction() as session:
        if session.execute(select(Reporter.id).limit(1)).first():  # type: ignore[call-overload]
            raise BackupError("the database holds reporters already; restore into an empty one")
        states: dict[str, str] = {}
        for record in _records(file):
            if "table" in record:
                _insert(session, record["table"], record["rows"], states)
            elif "reporter" in record and (key := known.get(record["reporter"])):
                restored.add(record["reporter"])
                _insert_piece(session, office, key, record["sealed"], states)
            elif "reporter" in record:
                passed.add(record["reporter"])
        on_the_way = _settle(session, office, states)
        _take_back(session, office)
    backup_keys.write(office.vault, {one: known[one] for one in restored})
    return {"reporters": len(restored), "erased_since": len(passed), "unconfirmed": on_the_way}


def _checked(file: Path) -> Json:
    """The first record. Raises BackupError unless the file is whole."""
    digest, lines = hashlib.sha256(), 0
    first, last = b"{}", b"{}"
    with file.open("rb") as place:
        for line in place:
            if lines:
                digest.update(last)
            first, last, lines = (line if not lines else first), line, lines + 1
    try:
        head, end = json.loads(first), json.loads(last)
    except ValueError as error:
        raise BackupError(f"{file} is no backup, or is cut off: {error}") from error
    if not isinstance(head, dict) or head.get("kind") != KIND or end.get("sha256") != digest.hexdigest():
        raise BackupError(f"{file} is no backup of Plaint, or is damaged")
    return head


def _records(file: Path) -> Iterator[Json]:
    with file.open("rb") as place:
        yield from map(json.loads, place)


def _insert_piece(session: Session, office: Office, key: bytes, sealed: str, states: dict[str, str]) -> None:
    try:
        piece = json.loads(office.vault.unseal(key, base64.b64decode(sealed)))
    except VaultError as error:
        raise BackupError(f"a key does not fit: {error}") from error
    for item in piece:
        row = item["row"]
        if item["table"] == Reporter.__tablename__:
            row["key"] = {"octets": base64.b64encode(key).decode()}
        if item["table"] == Disclosure.__tablename__:
            whose = update(Disclosure).where(col(Disclosure.id) == row["id"])
            session.execute(whose.values(reporter_id=row["reporter_id"], what=row["what"]))
            continue
        _insert(session, item["table"], [row], states)


def _insert(session: Session, name: str, rows: list[Json], states: dict[str, str]) -> None:
    table = next(one for one in (*PERSONAL, *COMMON, Disclosure) if one.__tablename__ == name)
    columns = table.__table__.columns
    for row in rows:
        values = {column.name: _value(column, row[column.name]) for column in columns if column.name in row}
        if table is Report and values["state"] not in {ReportState.DRAFT, ReportState.SUPPRESSED}:
            # The database lets none begin otherwise (`guards`)
            states[values["id"]] = values["state"]
            values["state"] = ReportState.DRAFT
        elif "state" in values:
            values["state"] = columns["state"].type.python_type(values["state"])
        session.execute(insert(table).values(**values))


def _settle(session: Session, office: Office, states: dict[str, str]) -> int:
    """Give reports and letters their states; what was on its way may have left, and does not by itself."""
    on_the_way = 0
    for report_id, said in states.items():
        state = ReportState(said)
        if state in ON_THE_WAY:
            state, on_the_way = ReportState.UNCONFIRMED, on_the_way + 1
        session.execute(update(Report).where(col(Report.id) == report_id).values(state=state))
        if state == ReportState.UNCONFIRMED:
            close_if_done(session, session.get_one(Report, report_id))
    letters = update(Letter).where(col(Letter.state).in_([LetterState.QUEUED, LetterState.SENDING]))
    since = func.coalesce(Letter.first_at, office.clock())  # from when on it is kept (`retention`)
    session.execute(letters.values(state=LetterState.UNCONFIRMED, first_at=since))
    return on_the_way


def _take_back(session: Session, office: Office) -> None:
    """End what may have been ended since: standing consents, uses of data, reasons that name reports gone."""
    given = update(StandingConsent).where(col(StandingConsent.revoked_at).is_(None))
    session.execute(given.values(revoked_at=office.clock(), revoked_via=VIA))
    uses = update(Choice).where(col(Choice.purpose).in_(list(PURPOSES)), col(Choice.chosen).is_(True))
    session.execute(uses.values(chosen=False, at=office.clock(), via=VIA))
    there = {f"report {one}" for (one,) in session.execute(select(Report.id))}  # type: ignore[call-overload]
    for address, reason in session.execute(select(Suppression.address, Suppression.reason)).all():  # type: ignore[call-overload]
        if reason.startswith("report ") and reason not in there:
            session.execute(update(Suppression).where(col(Suppression.address) == address).values(reason=""))
