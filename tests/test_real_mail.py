"""Real spam, modern phishing and the SpamAssassin corpus: 150 messages in through SMTP, none lost."""

import asyncio
import json
import re
import time
import zipfile
from collections import Counter
from pathlib import Path

import aiosmtplib
import pytest
from sqlmodel import select

from complaints import tokens
from complaints.demo import as_attachments
from complaints.message import parse
from complaints.models import Complaint, Json
from tests.house import ALICE, House, house

MESSAGES = Path(__file__).parent.parent.parent / "shared" / "data" / "messages"
EACH = 75


def real_messages(suite: str) -> list[bytes]:
    """EACH messages spread evenly over a suite; skips with the reason where the suite is absent."""
    archive = MESSAGES / f"{suite}.zip"
    if not archive.exists():
        pytest.skip(f"the real messages of {suite} are not here ({archive} is absent)")
    with zipfile.ZipFile(archive) as opened:
        names = sorted(name for name in opened.namelist() if name.endswith(".eml"))
        # As mail travels: the suites keep messages as files, with the line ends of some file system
        return [
            re.sub(rb"\r\n|\r|\n", b"\r\n", opened.read(name)) for name in names[:: len(names) // EACH][:EACH]
        ]


@pytest.mark.timeout(400)
def test_150_real_messages_each_await_consent_or_are_refused_with_a_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spams = real_messages("phishing-pot") + real_messages("spamassassin-public")
    started = time.monotonic()

    async def main() -> None:
        async with house(tmp_path, lookup_seconds=10) as home:
            client = aiosmtplib.SMTP(hostname="127.0.0.1", port=home.service.smtp_port, start_tls=False)
            async with client:
                for raw in spams:
                    to = home.submission_address
                    await client.sendmail(ALICE, [to], as_attachments([raw], to))
            handed_in = time.monotonic() - started
            # An attached message without a Received line is refused at once, and becomes no complaint
            digests = {tokens.digest(raw) for raw in spams if parse(raw).fields("received")}
            documents = await settled(home, len(digests))
            assert {document["digest"] for document in documents} == digests
            for document in documents:
                assert document["state"] == "awaiting_consent" or document["reason"], document["id"]
                if document["state"] == "awaiting_consent":
                    assert document["reports"], document["id"]
            with capsys.disabled():
                print("\n" + json.dumps(summary(documents, handed_in, time.monotonic() - started)))

    asyncio.run(main())


async def settled(home: House, count: int) -> list[Json]:
    for _ in range(700):
        with home.office.db.reading() as session:
            states = dict(session.exec(select(Complaint.id, Complaint.state)).all())
        if len(states) == count and set(states.values()) <= {"awaiting_consent", "refused"}:
            return [await home.show(complaint) for complaint in states]
        await asyncio.sleep(0.5)
    raise AssertionError(Counter(states.values()))


def summary(documents: list[Json], handed_in: float, all_in: float) -> Json:
    waiting = [document for document in documents if document["state"] == "awaiting_consent"]
    return {
        "messages": len(documents),
        "states": Counter(document["state"] for document in documents),
        "refused because": Counter(
            document["reason"][:90] for document in documents if document["state"] == "refused"
        ).most_common(8),
        "grades": Counter(document["evidence"]["grade"] for document in documents),
        "reports drafted": sum(len(document["reports"]) for document in waiting),
        "seconds until all were acknowledged": round(handed_in, 1),
        "seconds until all were settled": round(all_in, 1),
    }
