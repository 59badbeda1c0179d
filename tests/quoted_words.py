"""Headers in which an honest host quotes what a spammer said to it, made from a seed.

The words look like lines, addresses and dates; the spammer does not know where a text is wrapped, so tries.
"""

import random
from dataclasses import dataclass

from tests.damage import WIDTHS, at_columns, at_words, lines_of, unfolded, without_indent
from tests.forged_chains import DATE, SPAMMER, VICTIM

SAID = [
    f"v (v [{VICTIM}]) by mx.reporter.example; {DATE}", f"v (v [{VICTIM}])", f"[{VICTIM}]", f"from v (v [{VICTIM}])",
    f"Received: from v (v [{VICTIM}]) by mx.reporter.example; {DATE}", f"Received: from [{VICTIM}] by mx.reporter.example; {DATE}",
    f"Received: from v ([{VICTIM}]) by mx.reporter.example with LMTP; {DATE}", "Received: from x", "Received:", "X-Received: a", "X-B: c",
    "x with LMTP", f"x by mx.reporter.example with LMTP; {DATE}", "x", "(a", "b)", "by mx.reporter.example;", DATE, f"Date: {DATE}", "Subject: s",
]  # fmt: skip
ABOVE = [
    "", "Return-Path: <x@spam.example>\nDelivered-To: me@reporter.example\n", 'Return-Path: <"{words}"@spam.example>\n',
    "Authentication-Results: mx.reporter.example; spf=pass smtp.helo={words}\n", f"Received: by store.reporter.example with LMTP id x; {DATE}\n",
    "X-Spam-Report: * 1.0 BAD words\n\tContent preview: {words} [...]\n",
]  # fmt: skip
HONEST = [
    f"Received: from {{words}} (unknown [{SPAMMER}])\n\tby mx.reporter.example (Postfix) with ESMTP id 4ABC\n\tfor <me@reporter.example>; {DATE}",
    f"Received: from {{words}} (unknown [{SPAMMER}]) by mx.reporter.example (Postfix) with ESMTP id 4ABC; {DATE}",
    f"Received: from rdns.spam.example ([{SPAMMER}] helo={{words}})\n\tby mx.reporter.example with esmtp (Exim 4.96)\n\t(envelope-from <x@spam.example>)\n\tid 1abc-0; {DATE}",
    f"Received: from rdns.spam.example (HELO {{words}}) ({SPAMMER})\n  by mx.reporter.example with SMTP; 24 Nov 2026 01:02:03 -0000",
    f"Received: from {{words}} ({SPAMMER}) by mx.reporter.example\n (10.0.0.5) with Microsoft SMTP Server id 15.20.1; {DATE}",
]
FORGED = f"Received: from v (v [{VICTIM}]) by mx.reporter.example; {DATE}\n"
TRUSTS = [(), ("mx.reporter.example",), ("reporter.example",)]


@dataclass(frozen=True)
class Quoted:
    """A message as it came, the same as a text that was wrapped, and what its reporter trusts."""

    whole: bytes
    pasted: bytes
    trust: tuple[str, ...]


def quoted(seed: int) -> Quoted:
    """Make the one of this seed."""
    rng = random.Random(seed)
    words = " ".join(
        rng.choice(SAID) if rng.random() < 0.7 else "p" * rng.randrange(1, 75)
        for _ in range(rng.randrange(1, 8))
    )
    above = rng.choice(ABOVE).format(words=words if rng.random() < 0.5 else "x")
    honest = rng.choice(HONEST).format(words=words if rng.random() < 0.8 else "spam.example")
    forged = FORGED if rng.random() < 0.5 else ""
    whole = f"{above}{honest}\n{forged}Subject: s\nFrom: x\n\ntext\n".encode()
    width, cut = rng.choice([*WIDTHS, 90, 100]), rng.choice([at_words, at_columns])
    lines = rng.choice([lines_of, unfolded, without_indent])(whole)
    return Quoted(whole, b"\n".join(cut(line, width) for line in lines), rng.choice(TRUSTS))
