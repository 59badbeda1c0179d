"""A running server as the command line works on it: takes verbs, leaves what its HTTP API answers.

It starts without a database; a batch into one on this machine starts without httpx.
"""
# ruff: noqa: PLC0415 - see above

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote, unquote, urlencode, urlsplit
from uuid import uuid4

from complaints import tokens
from complaints.dates import parse_date
from complaints.outcomes import Outcome
from complaints.terminal import FAILED, NOT_ALLOWED, TRY_LATER, UNAVAILABLE, UNUSABLE, USAGE, Json

if TYPE_CHECKING:
    import httpx

    from complaints.consent import Choice

Items = list[Json]
Ids = list[str]  # the verb `list` hides the type inside the classes below
Handed = tuple[bytes, str]  # a mail and the name of its file
Pause = Callable[[float], None]

TIMEOUT_SECONDS = 60.0
MOST_TRIES, LONGEST_WAIT = 6, 300.0
"""A mail of a batch is sent so often, and waited for so long; then the batch ends, until it is resumed."""
PIECE = 65_536
MOST_TARGETS = 20
"""Targets of one question."""
REFUSED = frozenset({400, 413, 415, 422})
"""Answers that are about one mail, and would be the same for it another time."""


class ClientError(Exception):
    """A verb could not be carried out; `code` is the exit code of the contract.

    `status` is what a server answered, `retry_after` for how many seconds it asks to wait; or 0.
    """

    def __init__(self, message: str, code: int, status: int = 0, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.code = code
        self.status, self.retry_after = status, retry_after


class Remote:
    """A running server, with a reporter's API token."""

    most_at_once = 4

    def __init__(self, server: str, token: str) -> None:
        import httpx

        token = token.strip()
        if not token.isascii() or not token.isprintable():
            raise ClientError("--token: this is no token; it has only letters, digits and _", USAGE)
        try:
            base = httpx.URL(server.rstrip("/") + "/api/v1")
        except httpx.InvalidURL as error:
            raise ClientError(f"--server {server}: {error}", USAGE) from error
        if base.scheme not in {"http", "https"}:
            raise ClientError(f"--server {server}: give a URL, e.g. https://plaint.example", USAGE)
        headers = {"Authorization": f"Bearer {token}"}
        self.name = f"{base} {tokens.digest(token.encode())}"
        self.notes = notes_folder()
        self._http = httpx.Client(base_url=base, headers=headers, timeout=TIMEOUT_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def submit(self, raw: bytes | Path, filename: str, *, forwarded: bool, pasted: bool = False) -> Items:
        """See Client."""
        headers = {"Content-Type": "message/rfc822"}
        params = {"filename": filename} | ({"forward": "1"} if forwarded else {})
        params |= {"pasted": "1"} if pasted else {}
        document = self._document("POST", "/submissions", content=raw, headers=headers, params=params)
        items: Items = document["items"]
        if ended := document.get("problem"):
            kept = f"{len(items)} are kept and will be known when it is handed in again: plaint list"
            raise ClientError(f"{filename}: {ended['detail']} {kept}", _code_of(ended["status"]))
        return items

    @property
    def most_bytes(self) -> int:
        """See Client. What the server takes it says of each mail; this is to keep memory small here."""
        from complaints import settings

        return settings.load().max_bytes

    def trusted(self) -> Ids:
        """See Client."""
        rows = self._document("GET", "/hosts")["hosts"]
        return [row.get("host") or row.get("address") or row["network"] for row in rows]

    def lookups(self, targets: Sequence[str], step: Callable[[], None]) -> Iterator[Json]:
        """See Client. Waits where the server allows only so many a minute."""
        for first in range(0, len(targets), MOST_TARGETS):
            asked = targets[first : first + MOST_TARGETS]
            document = self._patiently("GET", "/lookup", time.sleep, params={"target": list(asked)})
            for item in document.get("items", [document]):
                step()
                yield item

    def hand_in(self, mails: Sequence[Handed], label: str, pause: Pause) -> Iterator[Items]:
        """See Client."""
        one = partial(self._hand_in, label=label, pause=pause)
        with ThreadPoolExecutor(self.most_at_once, thread_name_prefix="hand-in") as pool:
            yield from pool.map(one, mails)

    def workbench(self) -> AbstractContextManager[None]:
        """See Client. The server's own workers do it."""
        return nullcontext()

    def list(self, state: str | None) -> Iterator[Json]:
        """See Client."""
        query: str | None = urlencode({"state": state} if state else {})
        while query is not None:
            page = self._document("GET", f"/complaints?{query}")
            yield from page["items"]
            # Only the query: the server's public name may not be the one it is reached by from here
            query = urlsplit(page["next"]).query if page["next"] else None

    def show(self, complaint_id: str) -> Json:
        """See Client."""
        return self._document("GET", f"/complaints/{quote(complaint_id, safe='')}")

    def raw(self, complaint_id: str) -> bytes:
        """See Client."""
        return self._ask("GET", f"/complaints/{quote(complaint_id, safe='')}/raw").content

    def report(self, complaint_id: str, report_id: str) -> bytes:
        """See Client."""
        path = f"/complaints/{quote(complaint_id, safe='')}/reports/{quote(report_id, safe='')}"
        return self._ask("GET", path).content

    def confirm(self, complaint_id: str, choice: "Choice") -> Json:
        """See Client."""
        body: Json = {"reports": dict(choice.reports)}
        body |= {"redaction": choice.redaction} if choice.redaction is not None else {}
        body |= {"note": choice.note} if choice.note is not None else {}
        body |= {"hide": list(choice.hide)} if choice.hide is not None else {}
        return self._document("POST", f"/complaints/{quote(complaint_id, safe='')}/confirm", json=body)

    def act(self, complaint_id: str, verb: str) -> Json:
        """See Client."""
        return self._document("POST", f"/complaints/{quote(complaint_id, safe='')}/{verb}")

    def receipt(self, complaint_id: str | None) -> Json:
        """See Client."""
        of_one = f"/complaints/{quote(complaint_id, safe='')}" if complaint_id else ""
        return self._document("GET", f"{of_one}/receipt")

    def account(self, deed: str = "", **said: Any) -> bytes:
        """See Client."""
        from complaints.account_deeds import place

        method, path = place(deed, said)
        return self._ask(method, path, json=said if method == "POST" else None).content

    def review(self, batch: str, by: str, key: str | None = None) -> Json:
        """See Client."""
        opened = {} if key is None else {"key": key}
        return self._document("GET", "/review", params={"batch": batch, "by": by} | opened)

    def page_of(self, batch: str) -> str:
        """See Client."""
        return str(self.review(batch, "source")["review_url"])

    def decide(self, batch: str, by: str, decision: Json) -> Json:
        """See Client."""
        return self._document("POST", "/review", params={"batch": batch, "by": by}, json=decision)

    def mine(self, complaint_id: str, hop: int) -> Json:
        """See Client."""
        return self._document("POST", f"/complaints/{quote(complaint_id, safe='')}/mine", json={"hop": hop})

    def whose(self, quoted: str) -> Items:
        """See Client."""
        try:
            items: Items = self._document("GET", f"/pseudonyms/{quote(quoted, safe='')}")["items"]
        except ClientError as error:
            if error.code == UNUSABLE:
                return []
            raise
        return items

    def _hand_in(self, mail: Handed, label: str, pause: Pause) -> Items:
        """One mail of a batch; after a failure it is sent again, and the server knows it again."""
        raw, filename = mail
        headers = {"Content-Type": "message/rfc822", "Idempotency-Key": f'"{uuid4()}"'}
        params = {"filename": filename, "batch": label}
        try:
            items: Items = self._patiently(
                "POST", "/submissions", pause, content=raw, headers=headers, params=params
            )["items"]
        except ClientError as error:
            if error.status in REFUSED:
                return [refusal(Outcome("refused", str(error), "Leave it out."))]
            raise
        return items

    def _patiently(self, method: str, path: str, pause: Pause, **more: Any) -> Json:
        """As `_document`, tried again where the server is away, or asks for it."""
        for tries in range(1, MOST_TRIES):
            try:
                return self._document(method, path, **more)
            except ClientError as error:
                wait = error.retry_after or 2.0**tries
                if error.code not in {TRY_LATER, UNAVAILABLE} or wait > LONGEST_WAIT:
                    raise
            pause(wait)
        return self._document(method, path, **more)

    def _document(self, method: str, path: str, **more: Any) -> Json:
        try:
            document: Json = self._ask(method, path, **more).json()
        except ValueError as error:
            raise ClientError(f"{self._http.base_url}: this is no Plaint server", UNAVAILABLE) from error
        return document

    def _ask(self, method: str, path: str, **more: Any) -> "httpx.Response":
        import httpx

        if (content := more.get("content")) is not None:
            # In pieces: httpx keeps what it was given until Python looks for objects that nobody needs
            size = content.stat().st_size if isinstance(content, Path) else len(content)
            length = {"Content-Length": str(size)}
            more |= {"content": _pieces(content), "headers": more.get("headers", {}) | length}
        try:
            response = self._http.request(method, path, **more)
        except httpx.TransportError as error:
            raise ClientError(
                f"{self._http.base_url}: no answer ({error}); is the server running?", UNAVAILABLE
            ) from error
        if not response.is_success:
            status = response.status_code
            said = _problem(response, path)
            raise ClientError(said, _code_of(status), status, _retry_after(response))
        return response


def _pieces(content: bytes | Path) -> Iterator[bytes]:
    if isinstance(content, Path):
        with content.open("rb") as file:
            yield from iter(partial(file.read, PIECE), b"")
    else:
        for at in range(0, len(content), PIECE):
            yield content[at : at + PIECE]


def notes_folder() -> Path:
    """Where this user's programs remember what is not worth a backup (XDG base directory)."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "plaint"


def refusal(why: Outcome) -> Json:
    """What becomes of a mail that cannot be taken."""
    item = {"index": 0, "complaint": None, "status": "refused"}
    return item | {"reason": why.says, "remedy": why.remedy}


def _problem(response: "httpx.Response", path: str) -> str:
    """The words of a problem document (RFC 9457), or the status line of anything else.

    Where they speak of the API, words of the command line.
    """
    try:
        document = response.json()
    except ValueError:
        document = {}
    _, resource, named, *_ = *path.split("/"), "", ""
    if document and response.status_code == HTTPStatus.UNAUTHORIZED:
        return "--token (PLAINT_TOKEN): unknown to the server, or replaced. Register again to get a new one"
    if document and response.status_code == HTTPStatus.NOT_FOUND and resource == "complaints":
        return f"{unquote(named)}: you have no such complaint or report; see: plaint list"
    title, *more = (str(document.get(name) or "") for name in ("title", "detail", "remedy"))
    sentences = filter(None, [*more, *map(str, document.get("changes", []))])
    said = " ".join(one if one[-1] in ".!?" else f"{one}." for one in sentences)
    return (
        ": ".join(filter(None, [title, said]))
        or f"the server answered {response.status_code} {response.reason_phrase}"
    )


def _code_of(status: int) -> int:
    codes = {
        401: NOT_ALLOWED,
        403: NOT_ALLOWED,
        404: UNUSABLE,
        409: FAILED,
        413: UNUSABLE,
        422: UNUSABLE,
        429: TRY_LATER,
        503: TRY_LATER,
    }
    return codes.get(status, UNUSABLE if 400 <= status < 500 else UNAVAILABLE)


def _retry_after(response: "httpx.Response") -> float:
    """How many seconds the server asks to wait (RFC 9110 §10.2.3); 0 when it does not say."""
    told = response.headers.get("Retry-After", "").strip()
    if told.isascii() and told.isdecimal():
        return float(told[:9])
    moment = parse_date(told)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds()) if moment else 0.0
