"""Generated signatures, and messages changed on their way, get the verdict that dkimpy gives them."""

import random

import pytest

from tests.test_signatures import check, dkimpy_passes, rsa_record, sign

FIELDS = [
    b"To: you@victim.example", b"Subject: buy\r\n\tnow", b"Date: Tue, 24 Nov 2026 01:02:00 +0000", b"Message-ID: <a@b>",
    b"Subject:", b"subject: second", b"X-Empty:", b"X-Tab:\tx\ty", b"X-8: \xe9\xff", b"Cc: a\r\n b\r\n\tc", b"From: other@y.example",
    b"List-Id:  <l>  \r\n ", b"X-Fold:\r\n x", b"Received: from a by b; Tue, 24 Nov 2026 01:02:03 +0000",
]  # fmt: skip
BODIES = [
    b"Buy  at\thttp://shop.example/ \r\n\r\nNow.\r\n", b"", b"\r\n", b"\r\n\r\n\r\n", b" \r\n", b"\t\r\n \r\n", b"x", b"x \r\n", b"x\r\n \r\n",
    b"a\rb\r\n", b"a\r\r\nb\r\n", b"\r\nx\r\n", b".\r\n..\r\n", b"\x00\xff\r\n", b"a\x0bb\x0c \r\n", b"\xa0 \xa0\r\n", b"a" * 3_000 + b"\r\n",
]  # fmt: skip
COVERS = [
    b"from", b"from:from", b"From:To:Subject:Date", b"from:subject:subject", b"from : to\r\n\t:subject", b"from:x-empty:x-none:cc:list-id",
    b"from:to:to:x-tab:x-8:x-fold", b"from:received:message-id", b"from:",
]  # fmt: skip
WAYS = [b"simple/simple", b"simple/relaxed", b"relaxed/simple", b"relaxed/relaxed", b"relaxed"]
TAGS = [
    "",
    "",
    "",
    "h=sha256; ",
    "h=sha1:sha256; ",
    "s=email; ",
    "s=*; ",
    "t=x; ",
    "g=*; ",
    "g=x; ",
    "g=; ",
    "k=rsa; ",
    "n=a note; ",
]


def head_and_body(raw: bytes) -> tuple[bytes, bytes]:
    head, _, body = raw.partition(b"\r\n\r\n")
    return head, b"\r\n\r\n" + body


def changed(rng: random.Random, raw: bytes) -> bytes:
    """What happens to a message on its way."""
    head, body = head_and_body(raw)
    return rng.choice(
        [
            raw,
            raw,
            raw + b"\r\n",
            raw + b"extra\r\n",
            raw.replace(b"\r\n", b"\n"),
            head + b"\r\n\r\n" + body[4:].replace(b" ", b"  "),
            head + b"\r\n\r\n" + body[4:].replace(b"\r\n", b" \r\n"),
            head.replace(b"Subject: ", b"Subject:  ") + body,
            head.replace(b"Subject:", b"SUBJECT:") + body,
            head.replace(b"\r\n\t", b"\r\n ") + body,
            head + b"\r\nSubject: late" + body,
            head + b"\r\nFrom: z@z.example" + body,
            head.replace(b": ", b":") + body,
        ]
    )


def record(rng: random.Random) -> str:
    made = rsa_record(rng.choice(TAGS))
    return rng.choice(
        [
            made,
            made + ";",
            made + " ; ",
            made.replace("v=DKIM1; ", ""),
            made.replace("p=", "p=\t "),
            made.replace("v=DKIM1;", "v=DKIM1 ;"),
            made.replace("p=", "p=MIIB "),
            "v=DKIM1; p=",
        ]
    )


@pytest.mark.parametrize("block", range(4))
def test_what_dkimpy_passes_passes_and_nothing_else(block: int) -> None:
    passed = 0
    for seed in range(block * 60, block * 60 + 60):
        rng = random.Random(seed)
        fields = [b"From: Spammer <x@news.esp.example>", *rng.sample(FIELDS, rng.randrange(2, 7))]
        rng.shuffle(fields)
        way, covers = rng.choice(WAYS), rng.choice(COVERS)
        raw = b"\r\n".join(fields) + b"\r\n\r\n" + rng.choice(BODIES)
        raw = changed(rng, sign(raw, fold=rng.choice([b" ", b"\r\n\t", b"\r\n ", b""]), c=way, h=covers))
        key = record(rng)
        theirs = dkimpy_passes(raw, key)
        assert (check(raw, key).result == "pass") is theirs, (seed, raw, key)
        passed += theirs
    assert 10 < passed < 50
