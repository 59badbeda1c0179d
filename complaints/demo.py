"""`plaint demo`: the main job on the embedded default, offline.

Starts the loopback internet and the service on it, registers a reporter, forwards a handful of spams through
SMTP as a mail client would, and says what to open. Leaves nothing behind.
"""

import asyncio
import signal
import socket
from collections.abc import Callable
from email.mime.base import MIMEBase
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from pathlib import Path
from tempfile import TemporaryDirectory

import aiosmtplib
from sqlmodel import col, select

from complaints import reporters
from complaints.loopback import Internet, loopback_internet, spams
from complaints.models import Complaint, Letter, LetterState, Submission, SubmissionState
from complaints.office import Office, utc_now
from complaints.serve import Service, running
from complaints.settings import Settings, load

REPORTER = "alice@victim.example"
MAIL_DOMAIN = "plaint.example"
UNDO_SECONDS = 15  # long enough to press the button, short enough to watch the report arrive
PATIENCE_SECONDS = 60.0


async def run(say: Callable[[str], None], *, http: str | None = None) -> None:
    """Run the demo until Ctrl-C (SIGINT) or SIGTERM; `say` gets each line for the terminal."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with TemporaryDirectory(prefix="plaint-demo-") as folder:
        say("Starting a small internet on 127.0.0.1: DNS, WHOIS, RDAP, mail hosts ...")
        async with loopback_internet("demo") as internet:
            settings = demo_settings(Path(folder), internet, http)
            say("Starting Plaint on SQLite ...")
            async with running(settings) as service:
                assert service.smtp_port is not None
                internet.plaint_smtp = ("127.0.0.1", service.smtp_port)
                await _report_spam(service, list(spams(internet.world, utc_now()).values()), say)
                _tell(service, settings, internet, say)
                await stop.wait()
                say("\nStopping ...")
    say("Everything is stopped and removed.")


def demo_settings(data: Path, internet: Internet, http: str | None) -> Settings:
    """Settings of a service that lives in a loopback internet."""
    world = {name.removeprefix("PLAINT_").lower(): value for name, value in internet.settings().items()}
    return load(
        data=data,
        smtp=f"127.0.0.1:{free_port()}",
        http=http or f"127.0.0.1:{free_port()}",
        mail_domain=MAIL_DOMAIN,
        undo_seconds=UNDO_SECONDS,
        limit_lookups=0,
        **world,
    )


def free_port() -> int:
    """A TCP port of 127.0.0.1 nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def as_attachments(messages: list[bytes], to: str) -> bytes:
    """What "forward as attachment" sends: each spam a message/rfc822 part, its bytes as they are."""
    outer = MIMEMultipart("mixed")
    outer["From"], outer["To"], outer["Subject"] = REPORTER, to, "spam"
    outer.attach(MIMEText("These came today."))
    marks = []
    for number, raw in enumerate(messages):
        # The generator would re-write the spams; their bytes go in after it ran
        marks.append(f"@@ spam {number} @@")
        part = MIMEBase("message", "rfc822")
        part.set_payload(marks[-1])
        outer.attach(part)
        assert marks[-1].encode() not in raw
    mail = outer.as_bytes().replace(b"\n", b"\r\n")
    for mark, raw in zip(marks, messages, strict=True):
        mail = mail.replace(mark.encode(), raw)
    return mail


async def _report_spam(service: Service, messages: list[bytes], say: Callable[[str], None]) -> None:
    office = service.office
    with office.db.transaction() as session:
        secrets = reporters.add(session, office, REPORTER, names=["Alice Victim"], verified=True)
    say(f"{REPORTER} forwards {len(messages)} spams to {secrets.submission_address} ...")
    first, rest = messages[:1], messages[1:]
    for batch in (first, rest):
        await aiosmtplib.send(
            as_attachments(batch, secrets.submission_address),
            sender=REPORTER,
            recipients=[secrets.submission_address],
            hostname="127.0.0.1",
            port=service.smtp_port,
            start_tls=False,
        )
    say("Plaint reads the evidence and asks who answers for it ...")
    for _ in range(int(PATIENCE_SECONDS / 0.1)):
        if await asyncio.to_thread(_settled, office):
            return
        await asyncio.sleep(0.1)
    say("Some complaints are still being looked up; their pages refresh by themselves.")


def _settled(office: Office) -> bool:
    """Whether the reporter was told about everything and the letters are out."""
    with office.db.reading() as session:
        states = set(session.exec(select(Submission.state)))
        on_the_way = session.exec(select(Letter.id).where(Letter.state != LetterState.SENT)).first()
    return states == {SubmissionState.NOTICED} and on_the_way is None


def _tell(service: Service, settings: Settings, internet: Internet, say: Callable[[str], None]) -> None:
    office = service.office
    with office.db.reading() as session:
        complaints = session.exec(
            select(Complaint).order_by(col(Complaint.received_at), col(Complaint.id))
        ).all()
    say("\nOpen in a browser:\n")
    say(f"  The inboxes of the reporter and of the abuse desks   {internet.inbox_url}")
    say(f"  Plaint                                               {settings.url}/\n")
    say("Complaints that await consent:\n")
    for complaint in complaints:
        came = f"from {complaint.source_ip or 'nowhere'}: {complaint.state.value}"
        say(f"  {complaint.subject or '(no subject)'}  {came}")
        say(f"    {office.review_url(complaint.id)}")
    say(
        "\nReview one and confirm it: after "
        f"{UNDO_SECONDS} seconds the report arrives in the desk's inbox; answer it there as the desk,"
        "\nand the answer shows on the review page and in the reporter's inbox. Ctrl-C stops everything."
    )
