"""kill -9 of `plaint serve` at random moments under load, as JSON: what was answered 250 and what is kept.

`--rounds` (20) times on SQLite and on PostgreSQL (both waiting for the disk): 8 connections hand in mails,
each with a spam of its own, until the service is killed; started again, it gets the mails again that had no
answer, as from any sender. In the end every submission is unwrapped. `lost` are spams that were answered 250
and are in no complaint, `doubled` those in more than one; `stored_twice` counts mails that came again because
the 250 was lost on the way, each of which makes no second complaint. Exits 1 where any is lost or doubled.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from sqlmodel import select

from bench.house import REPORTER, House, furnished, postgresql_database
from complaints import submission, tokens
from complaints.demo import as_attachments
from complaints.models import Complaint, Submission
from complaints.office import Office

CONNECTIONS = 8


def spam(number: int) -> bytes:
    """Make a spam that no other is like."""
    return (
        "Received: from seller.example (unknown [198.51.100.23]) by mx.reporter.example with ESMTP\r\n"
        f"\tid {number:08X}; Thu, 26 Nov 2026 12:00:00 +0000\r\n"
        f"From: shop@seller.example\r\nTo: {REPORTER}\r\nSubject: Offer {number}\r\n"
        f"Message-ID: <{number}@seller.example>\r\nDate: Thu, 26 Nov 2026 12:00:00 +0000\r\n\r\nBuy now.\r\n"
    ).encode()


class Senders:
    """Eight clients, what they still have to hand in, and what they were told is kept."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.kept: set[str] = set()
        self.unanswered: list[tuple[str, bytes]] = []
        """Digests of spams, and the mails that carry them."""
        self._made = 0

    async def until_killed(self) -> None:
        """Hand in mail after mail over all connections, until the service is gone."""
        await asyncio.gather(*(self._client() for _ in range(CONNECTIONS)))

    async def rest(self) -> None:
        """Hand in again what had no answer."""
        while self.unanswered:
            await self._client(only_unanswered=True)

    def _next(self) -> tuple[str, bytes]:
        if self.unanswered:
            return self.unanswered.pop()
        self._made += 1
        raw = spam(self._made)
        return tokens.digest(raw), as_attachments([raw], self.house.address).replace(b"\r\n.", b"\r\n..")

    async def _client(self, *, only_unanswered: bool = False) -> None:
        at_hand = None
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.house.port)
            await self._say(reader, writer, b"", 220)
            await self._say(reader, writer, b"HELO bench\r\n", 250)
            while self.unanswered or not only_unanswered:
                digest, mail = at_hand = self._next()
                await self._say(reader, writer, f"MAIL FROM:<{REPORTER}>\r\n".encode(), 250)
                await self._say(reader, writer, f"RCPT TO:<{self.house.address}>\r\n".encode(), 250)
                await self._say(reader, writer, b"DATA\r\n", 354)
                await self._say(reader, writer, mail + b"\r\n.\r\n", 250)
                self.kept.add(digest)
                at_hand = None
            writer.close()
        except OSError:
            if at_hand is not None:
                self.unanswered.append(at_hand)

    async def _say(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, said: bytes, code: int
    ) -> None:
        """Raises ConnectionError where the answer is another, or none."""
        writer.write(said)
        answer = await reader.readline()
        if not answer.startswith(b"%d " % code):
            raise ConnectionError(answer)


async def one_round(senders: Senders, seconds: float) -> None:
    """Start the service, load it, kill it so many seconds after the first answer."""
    process = await asyncio.to_thread(senders.house.serve)
    before = len(senders.kept)
    loading = asyncio.create_task(senders.until_killed())
    while len(senders.kept) == before:  # noqa: ASYNC110 - the clients only count
        await asyncio.sleep(0.01)
    await asyncio.sleep(seconds)
    process.kill()
    await asyncio.to_thread(process.wait)
    await loading


async def rounds(house: House, count: int, seed: int) -> Senders:
    """All rounds, and one more for what had no answer, in which nothing is killed."""
    rng, senders = random.Random(seed), Senders(house)
    for number in range(count):
        before = len(senders.kept)
        seconds = rng.uniform(0.0, 1.5)
        await one_round(senders, seconds)
        print(
            f"round {number + 1}: {len(senders.kept) - before} kept in {seconds:.2f} s,"
            f" {len(senders.unanswered)} without an answer",
            file=sys.stderr,
        )
    process = await asyncio.to_thread(house.serve)
    await senders.rest()
    process.terminate()
    await asyncio.to_thread(process.wait)
    return senders


def verdict(house: House, senders: Senders) -> dict[str, Any]:
    """Unwrap all that is stored and compare."""
    office = Office.open(house.settings)
    try:
        with office.db.reading() as session:
            stored = session.exec(select(Submission.id, Submission.digest)).all()
        for row_id, _ in stored:
            submission.step(office, row_id)
        with office.db.reading() as session:
            found = Counter(session.exec(select(Complaint.digest)).all())
    finally:
        office.close()
    return {
        "answered_250": len(senders.kept),
        "submissions": len(stored),
        "stored_twice": len(stored) - len({digest for _, digest in stored}),
        "complaints": found.total(),
        "lost": len(senders.kept - found.keys()),
        "doubled": sum(count > 1 for count in found.values()),
    }


def main() -> None:
    """Run the rounds on both databases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=("sqlite", "postgresql"))
    options = parser.parse_args()
    results: dict[str, Any] = {"rounds": options.rounds, "connections": CONNECTIONS}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        houses = {}
        if options.only != "postgresql":
            houses["sqlite"] = furnished(folder / "sqlite")
        if options.only != "sqlite" and (database := stack.enter_context(postgresql_database())):
            houses["postgresql"] = furnished(folder / "postgresql", database)
        for name, house in houses.items():
            began = time.monotonic()
            senders = asyncio.run(rounds(house, options.rounds, options.seed))
            results[name] = verdict(house, senders) | {"seconds": round(time.monotonic() - began)}
            print(json.dumps({name: results[name]}), file=sys.stderr, flush=True)
    print(json.dumps(results, indent=1))
    sys.exit(1 if any(results[name]["lost"] or results[name]["doubled"] for name in houses) else 0)


if __name__ == "__main__":
    main()
