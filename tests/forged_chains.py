"""Chains that a spammer forged, made from a seed.

The lines on top are what the reporter's own hosts wrote, in the way of some real software; the spammer chose
the HELO, the reverse name and the envelope sender in the last of them, and wrote everything below it.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

DATE = "Tue, 24 Nov 2026 01:02:03 +0000"
SPAMMER = "198.51.100.66"
VICTIM = "203.0.113.99"


@dataclass(frozen=True)
class Client:
    """What the spammer chose."""

    helo: str
    name: str
    sender: str


HELOS = [
    "spam.example", "mx.reporter.example", "imap.reporter.example", "localhost", "localhost.localdomain", "reporter.example",
    "[127.0.0.1]", "[10.0.0.1]", "10.0.0.1", "127.0.0.1", f"[{VICTIM}]", VICTIM, "[192.0.2.10]", "mail.victim.example", "mx.google.com",
    "BL0PR01MB1.namprd01.prod.outlook.com", "mx1.improvmx.com", "by", "from", "with", "id", "for", "unknown", "[IPv6:2001:db8::99]", "::1",
]  # fmt: skip
BREAKING = [
    "a(b", "a)b", "x;y", 'a"b', "a[b", "a<b", "a\\", "(", "((((((", ")", ";", f"x ([{VICTIM}])", f"x by mx.reporter.example ([{VICTIM}])",
    "x with LMTP y", "x with local", "x with POP3 (fetchmail-6.4)", f"x by mx.reporter.example with POP3; {DATE}", f"x [{VICTIM}]",
    f"mail.victim.example (mail.victim.example [{VICTIM}]) by mx.reporter.example (Postfix) with ESMTP id 1; {DATE}", "a b c", "x\0y",
    f"x\rReceived: from a (b [{VICTIM}]) by mx.reporter.example; {DATE}", f"x\x0bReceived: from a (b [{VICTIM}]) by mx.reporter.example",
    f"x\u2028Received: from a (b [{VICTIM}]) by mx.reporter.example", "\u0440eporter.example", "x" * 9_000, "(qmail 1 invoked from network)",
    f"x helo={VICTIM}", f"y) ([{VICTIM}]", f"x) by mx.reporter.example ([{VICTIM}]", "x (HELO y) (10.0.0.1)", "",
]  # fmt: skip
NAMES = [
    "unknown",
    "host.spam.example",
    "mail.victim.example",
    "mx.reporter.example.spam.example",
    "localhost.spam.example",
]
SENDERS = ["x@spam.example", "", "me@reporter.example", f"x@[{VICTIM}]"]


def postfix(client: Client, by: str = "mx.reporter.example") -> str:
    return f"Received: from {client.helo} ({client.name} [{SPAMMER}]) by {by} (Postfix) with ESMTP id 4ABC; {DATE}"


def inside(host: str, ip: str, by: str) -> str:
    return f"Received: from {host} ({host} [{ip}]) by {by} (Postfix) with ESMTP id 4DEF; {DATE}"


def exim(client: Client) -> list[str]:
    known = client.name != "unknown"
    seen = f"{client.name} ([{SPAMMER}] helo={client.helo})" if known else f"[{SPAMMER}] (helo={client.helo})"
    return [f"Received: from {seen} by mx.reporter.example with esmtp (Exim 4.96) (envelope-from <{client.sender}>) id 1abc-0; {DATE}"]  # fmt: skip


def qmail(client: Client) -> list[str]:
    return [
        f"Received: (qmail 123 invoked from network); {DATE}",
        f"Received: from {client.name} (HELO {client.helo}) ({SPAMMER})\r\n by mx.reporter.example with SMTP; 24 Nov 2026 01:02:03 -0000",
    ]


def sendmail(client: Client) -> list[str]:
    doubt = "" if client.name == "unknown" else " (may be forged)"
    name = "" if client.name == "unknown" else client.name + " "
    return [f"Received: from {client.helo} ({name}[{SPAMMER}]{doubt})\r\n\tby mx.reporter.example (8.17.1/8.17.1) with ESMTP id 4A1; {DATE}"]  # fmt: skip


def gmail(client: Client) -> list[str]:
    name = "" if client.name == "unknown" else client.name + ". "
    return [
        f"Received: by 2002:a05:6a10:d8a:b0:1:2:3 with SMTP id ab12csp3; {DATE}",
        f"Received: from {client.helo} ({name}[{SPAMMER}])\r\n        by mx.google.com with ESMTPS id a1-2; {DATE}",
    ]


def microsoft(client: Client) -> list[str]:
    said = "Microsoft SMTP Server (version=TLS1_2, cipher=TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384) id 15.20.7025.21"
    return [
        f"Received: from A.namprd01.prod.outlook.com (::1) by B.namprd01.prod.outlook.com with HTTPS; {DATE}",
        f"Received: from C.namprd01.prod.outlook.com (2603:10b6:408:e6::28) by A.namprd01.prod.outlook.com (2603:10b6:1::1) with {said}; {DATE}",
        f"Received: from {client.helo} ({SPAMMER}) by C.mail.protection.outlook.com (10.13.1.1) with {said} via Frontend Transport; {DATE}",
    ]


def fetched(client: Client) -> list[str]:
    return [
        inside("localhost", "127.0.0.1", "home.reporter.example"),
        f"Received: from pop.isp.example [192.0.2.5] by localhost with POP3 (fetchmail-6.4) for <me@localhost> (single-drop); {DATE}",
        postfix(client, "mx7.isp.example"),
    ]


def forwarded(client: Client) -> list[str]:
    return [inside("mail1.mxa.infra.improvmx.com", "192.0.2.80", "mx.reporter.example"), postfix(client, "mx1.improvmx.com")]  # fmt: skip


def neighbours(client: Client) -> list[str]:
    return [
        f"Received: from mx.reporter.example by store.reporter.example with LMTP id 1; {DATE}",
        inside("filter", "10.9.8.7", "mx.reporter.example"),
        inside("localhost", "127.0.0.1", "mx.reporter.example"),
        f"Received: from mx.reporter.example ([127.0.0.1]) by localhost (mx.reporter.example [127.0.0.1]) (amavisd-new, port 10024) with LMTP id a; {DATE}",
        postfix(client),
    ]


def relayed(client: Client) -> list[str]:
    return [
        inside("mx.reporter.example", "192.0.2.10", "a.reporter.example"),
        inside("b.reporter.example", "192.0.2.11", "mx.reporter.example"),
        postfix(client, "b.reporter.example"),
    ]


BORDERS: list[Callable[[Client], list[str]]] = [
    lambda client: [postfix(client)],
    exim,
    qmail,
    sendmail,
    gmail,
    microsoft,
    fetched,
    forwarded,
    neighbours,
    relayed,
]
TRUSTS = [(), ("reporter.example",), ("192.0.2.10", "mx.reporter.example")]


def invented(rng: random.Random) -> str:
    """One line of the spammer's own making."""
    by = rng.choice(["mx.reporter.example", "imap.reporter.example", "localhost", "mx.victim.example", "192.0.2.10", "mx.google.com", "mx1.improvmx.com"])  # fmt: skip
    helo = rng.choice([*HELOS, *BREAKING])
    name = rng.choice(["mail.victim.example", "mx.reporter.example", "unknown", "localhost"])
    ip = rng.choice([VICTIM, "10.0.0.1", "127.0.0.1", "IPv6:2001:db8::99", "192.0.2.10", "2603:10b6:1::1"])
    software = rng.choice(["", " (Postfix)", " (8.17.1/8.17.1)", " (Exim 4.96)"])
    return f"Received: from {helo} ({name} [{ip}]) by {by}{software} with ESMTP id X1; {DATE}"


def disguised(rng: random.Random, line: str) -> str:
    """Give a line odd ends, another name, another time, or another place."""
    rest = line[len("Received:") :]
    late = f"; {rng.choice(['Mon', 'Tue'])}, 24 Nov {rng.choice([1970, 1999, 2025, 2027, 2038, 9999])} 01:02:03 {rng.choice(['+0000', '-1200', '+9999'])}"
    return rng.choice(
        [
            line,
            line.replace(" by ", rng.choice(["\r by ", "\0 by ", "\x0b by ", "\x0c by ", "\u2028 by ", "\r\nby ", "\n by ", "\r\r\n by "])),
            rng.choice(["RECEIVED", "received", "ReCeIvEd", "Received ", "Received\t", "X-Received", "Recei\u0475ed", "\u0280eceived", "Resent-Received", " Received"]) + ":" + rest,
            line.partition(";")[0] + late,
            line + "x" * rng.choice([10, 9_000]),
            line.replace("(", "((", 1),
            "X: y" + rng.choice(["\r", "\0", "\x0b", "\u2028", "\x85"]) + line,
            line.replace(SPAMMER, VICTIM),
        ]
    )  # fmt: skip


def below(rng: random.Random, real: list[str]) -> list[str]:
    """All that the spammer wrote under the last line of the reporter's hosts."""
    other = Client("mail.victim.example", "mail.victim.example", "x@victim.example")
    copied = [line.replace(SPAMMER, VICTIM) for line in [*real, *rng.choice(BORDERS)(other)]]
    kinds: list[Callable[[], str]] = [
        lambda: invented(rng),
        lambda: disguised(rng, invented(rng)),
        lambda: rng.choice(copied),
        lambda: disguised(rng, rng.choice(copied)),
        lambda: rng.choice(real),
        lambda: f"Received: by {rng.choice(['mx.reporter.example', '2002:a05::1', 'mx.google.com'])} with SMTP id 1; {DATE}",
        lambda: f"Received: from pop.victim.example [{VICTIM}] by localhost with POP3 (fetchmail-6.4); {DATE}",
        lambda: f"Received: (qmail 1 invoked from network); {DATE}",
        lambda: rng.choice(["Subject: s", "To: z", "Resent-From: a@b.example", "List-Id: <l.reporter.example>", "X-Originating-IP: [203.0.113.99]", "DKIM-Signature: v=1"]),
    ]  # fmt: skip
    lines = [rng.choice(kinds)() for _ in range(300 if rng.random() < 0.01 else rng.randrange(1, 14))]
    if rng.random() < 0.3:
        lines += copied
    if rng.random() < 0.2:
        lines += rng.sample(real, k=1) * rng.randrange(1, 30)
    rng.shuffle(lines)
    return lines


@dataclass(frozen=True)
class Chain:
    """A message, what its reporter trusts, and whether the spammer's own words may have broken the line."""

    raw: bytes
    trust: tuple[str, ...]
    broken: bool


def chain(seed: int) -> Chain:
    """Make the chain of this seed."""
    rng = random.Random(seed)
    helo = rng.choice(BREAKING) if rng.random() < 0.3 else rng.choice(HELOS)
    client = Client(helo, rng.choice(NAMES), rng.choice(SENDERS))
    real = rng.choice(BORDERS)(client)
    end = rng.choice(["\r\n", "\n"])
    head = end.join([*real, *below(rng, real), "From: x@spam.example", "Subject: s"])
    if rng.random() < 0.8:
        head = head.replace("\r\n", "\n").replace("\n", end)
    body = end.join([VICTIM, *below(rng, real)])
    return Chain((head + end + end + body).encode(), rng.choice(TRUSTS), broken=helo in BREAKING)
