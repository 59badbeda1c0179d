"""What a visitor does on the pages: looks, fills in forms, presses buttons, follows mailed links."""

import html
import re
from typing import Any
from urllib.parse import urlsplit

import httpx
from sqlmodel import col, select

from complaints import reporters
from complaints.models import Complaint, Letter, Report, Reporter
from tests.website import NETWORK_DESK, Website, forms, spam

PUBLIC = ("/", "/help", "/privacy", "/register", "/submit")
HOSTILE = "<script>alert(1)</script>\"'><b>\x1b[31m\u202egnp\u2066\x07"


def shown_texts(page: httpx.Response) -> list[str]:
    """The texts of the page's <pre> elements, as a browser would have them."""
    found = re.findall(r"<pre[^>]*>\n(.*?)</pre>", page.text, re.DOTALL)
    return [html.unescape(re.sub(r"</?span[^>]*>", "", one)) for one in found]


def review(website: Website, complaint: str) -> httpx.Response:
    page = website.http.get(website.review(complaint))
    assert page.status_code == 200, page.text
    return page


def press(
    website: Website, complaint: str, do: str, page: httpx.Response | None = None, **more: Any
) -> httpx.Response:
    """Send the form of the page that has this button."""
    found = forms(page or review(website, complaint))
    form = next((one for one in found if ("do", do) in one.buttons), found[0])
    return website.http.post(website.review(complaint), data=form.data(do, **more))


def confirm(website: Website, complaint: str, **more: Any) -> httpx.Response:
    answer = press(website, complaint, "confirm", read="yes", **more)
    assert answer.status_code == 303, answer.text
    assert answer.headers["location"] == website.review(complaint)
    return answer


def reports(website: Website) -> dict[str, Report]:
    """Every report by its desk, as it is once somebody looks at it."""
    with website.office.db.reading() as session:
        complaints = session.exec(select(Complaint.id)).all()
    for complaint in complaints:
        website.look(complaint)
    with website.office.db.reading() as session:
        return {report.to: report for report in session.exec(select(Report))}


def asked(website: Website, address: str = "carol@example.com") -> tuple[str, str]:
    """The link's path and the code of a registration letter, as they stand in the mail."""
    with website.office.db.transaction() as session:
        reporters.ask(session, website.office, address)
    with website.office.db.reading() as session:
        letter = session.exec(
            select(Letter).where(Letter.kind == "registration").order_by(col(Letter.next_at).desc())
        ).first()
        assert letter is not None
        mail = website.office.vault.unseal(None, letter.raw).decode()
    link, code = re.search(r"/register/\w+", mail), re.search(r"^\s+(\d{6})\s*$", mail, re.MULTILINE)
    assert link
    assert code
    return link[0], code[1]


def handed_in(
    website: Website, files: list[tuple[str, bytes]] | None = None, **fields: str
) -> httpx.Response:
    """What a browser sends for the form on /submit; without a file it sends one without a name."""
    data = {"address": website.alice.submission_address, "paste": ""} | fields
    sent = [("files", (name, raw)) for name, raw in files or []] or [("files", ("", b""))]
    return website.http.post("/submit", data=data, files=sent)


def result(website: Website, answer: httpx.Response) -> httpx.Response:
    assert answer.status_code == 303, answer.text
    page = website.http.get(answer.headers["location"])
    assert page.status_code == 200
    return page


def stop(website: Website, desk: str = NETWORK_DESK) -> str:
    """The opt-out link of the report to a desk, as it stands in the report."""
    report = reports(website)[desk]
    with website.office.db.reading() as session:
        reporter = session.get_one(Reporter, session.get_one(Complaint, report.complaint_id).reporter_id)
        raw = website.office.report_bytes(reporter, report)
    found = re.search(rb"/stop/\w+", raw)
    assert found
    return found[0].decode()


def every_url(website: Website) -> list[str]:
    """Each page and each address of the API that can be asked with GET, in every state there is."""
    waiting, decided = website.waiting(), website.waiting(spam(subject="Decided"))
    received = website.hand_in(spam(subject="Received"))
    confirm(website, decided)
    link, _ = asked(website)
    hosts = urlsplit(website.office.hosts_url(website.alice.reporter)).path
    account = urlsplit(website.office.account_url(website.alice.reporter)).path
    form = {"address": website.alice.submission_address, "paste": spam(subject="Pasted").decode()}
    submitted = website.http.post("/submit", data=form, files={"files": b""}).headers["location"]
    paths = [
        *PUBLIC,
        link,
        submitted,
        hosts,
        account,
        account + "/receipt",
        urlsplit(website.office.unsubscribe_url(website.alice.reporter, "news")).path,
        "/healthz",
        "/readyz",
        "/metrics",
        "/api/v1/openapi.json",
        "/nothing",
    ]
    for complaint in (waiting, decided, received):
        paths += [website.review(complaint), website.review(complaint) + "/raw"]
        paths += [f"/api/v1/complaints/{complaint}", f"/api/v1/complaints/{complaint}/raw"]
        paths += [f"/api/v1/complaints/{complaint}/confirm", f"/api/v1/complaints/{complaint}/undo"]
    for report in reports(website).values():
        paths += [stop(website, report.to), f"{website.review(report.complaint_id)}/reports/{report.id}"]
        paths += [f"/api/v1/complaints/{report.complaint_id}/reports/{report.id}"]
    return [*paths, "/api/v1/complaints", "/api/v1/submissions", "/api/v1/hosts", "/api/v1/probes"]


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    """The problem document of a refusal, checked for what every one must have."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert document["status"] == status
    assert all(document[name] for name in ("type", "title", "detail", "remedy"))
    return document
