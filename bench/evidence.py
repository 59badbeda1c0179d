"""How fast a spam is read, as JSON: ours beside peers in the same run, on one core, in processor time.

All take turns, several rounds over the same messages, spread evenly over a corpus; a ratio is computed within
each round: `reached` is the median of the rounds, which is what counts, `least` the worst of them. Our caches
are emptied before each round. `plain` is the source as it stands, `compiled` the wheel that scripts/compile
makes of it (about a minute; `--compiled FOLDER` takes one that it left there); the ratios of `compiled` are
what counts. Subjects:

- `parse`: `complaints.message.parse`, header fields only
- `trace`: parse and trace
- `trace_links`: parse, trace, links
- `read`: `complaints.spam.read`, the whole evidence
- `stdlib`: `email.parser.BytesParser`, policy compat32: `parsebytes`, then for each part of `walk()` whose
  main type is text `get_payload(decode=True)`, decoded in its charset, or in Latin-1 where that is unknown
- `mail_parser`: `mailparser.parse_from_bytes` (its full parse; it finds no links)
- `spamassassin`: `extract_message_metadata` through its Perl API, by relays.pl

`linear` has, for one message of each shape, what a byte of 50 MB costs beside a byte of 1 MB: reading the
evidence and decoding all parts. A peer that is absent stands in `skipped` with the reason.
Exits 69 without `../shared/data` or a C compiler, 1 where a required ratio is missed. `--messages N` of each
corpus, `--rounds N`, `--python PATH` (an interpreter that has mail-parser), `--only linear|ratios`.
"""

import argparse
import base64
import json
import shutil
import statistics
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from email.message import Message as StdMessage
from email.parser import BytesParser
from email.policy import compat32
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench import compiled
from complaints.links import links
from complaints.message import parse
from complaints.spam import read
from complaints.trace import trace
from complaints.trust import Trust

DATA = Path(__file__).parents[1] / "../shared/data/messages"
CORPORA = ("spamassassin-public", "phishing-pot")
PEERS = {
    "mail_parser": Path(__file__).with_name("peer_mailparser.py"),
    "spamassassin": Path(__file__).with_name("relays.pl"),
}
AT_LEAST = {
    "trace": {"mail_parser": 5.0, "spamassassin": 8.0},
    "trace_links": {"mail_parser": 3.0, "spamassassin": 5.0, "stdlib": 0.5},
}
"""Subject → peer → how many times as fast it must be; half as fast as stdlib is twice the cost."""
MEGABYTE = 1_000_000
SMALL, LARGE = MEGABYTE, 50 * MEGABYTE
TRUST = Trust.of([])


def corpus(name: str, count: int) -> list[bytes]:
    """Messages spread evenly over a corpus."""
    with zipfile.ZipFile(DATA / f"{name}.zip") as opened:
        names = sorted(one for one in opened.namelist() if one.endswith(".eml"))
        return [opened.read(one) for one in names[:: max(1, len(names) // count)][:count]]


def stdlib(raw: bytes) -> None:
    """Parse and decode all text parts with the standard library."""
    parser: BytesParser[StdMessage[str, str]] = BytesParser(policy=compat32)
    for part in parser.parsebytes(raw).walk():
        if part.get_content_maintype() == "text":
            payload = part.get_payload(decode=True)
            octets = payload if isinstance(payload, bytes) else b""
            try:
                octets.decode(part.get_content_charset() or "utf-8", "replace")
            except LookupError:
                octets.decode("latin-1")


def trace_links(raw: bytes) -> None:
    """Trace and links, from one reading of the message."""
    message = parse(raw)
    trace(message, TRUST)
    links(message)


SUBJECTS: dict[str, Callable[[bytes], object]] = {
    "parse": parse,
    "trace": lambda raw: trace(parse(raw), TRUST),
    "trace_links": trace_links,
    "read": lambda raw: read(raw, TRUST),
    "stdlib": stdlib,
}


def forget() -> None:
    """Empty what our parsers keep of inputs they have seen; tables read from files stay."""
    for name, module in list(sys.modules.items()):
        if name.startswith("complaints."):
            for value in vars(module).values():
                info = getattr(value, "cache_info", None)
                if info is not None and (info().maxsize or 0) > 1:
                    value.cache_clear()


def timed(work: Callable[[bytes], object], messages: list[bytes]) -> float:
    """Processor seconds for all messages."""
    forget()
    began = time.process_time()
    for raw in messages:
        work(raw)
    return time.process_time() - began


def peers(python: str) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Return the command of each peer at hand, and for the others why they are not."""
    commands = {"mail_parser": [python, str(PEERS["mail_parser"])]}
    perl = shutil.which("perl") or "perl"
    commands["spamassassin"] = [perl, str(PEERS["spamassassin"]), "--time"]
    absent = {
        "mail_parser": f"{python} has no mail-parser; install it with: {python} -m pip install mail-parser",
        "spamassassin": "Mail::SpamAssassin is not installed for perl (Debian: spamassassin)",
    }
    skipped = {}
    for name, command in commands.items():
        ran = subprocess.run(command, input="", capture_output=True, text=True, check=False)
        if ran.returncode != 0:
            skipped[name] = absent[name]
    return {name: command for name, command in commands.items() if name not in skipped}, skipped


def peer_seconds(command: list[str], wire: str) -> float:
    """Processor seconds a peer needs for the messages of a wire."""
    ran = subprocess.run(command, input=wire, capture_output=True, text=True, check=True)
    return float(json.loads(ran.stdout)["seconds"])


def time_all() -> None:
    """Print the processor seconds of each subject for messages on standard input: a wheel is measured so."""
    messages = [base64.b64decode(line.split("\t")[1]) for line in sys.stdin]
    for work in SUBJECTS.values():
        # All of them: the plain source has read them in the rounds before, and loaded its tables.
        timed(work, messages)
    print(json.dumps({subject: timed(work, messages) for subject, work in SUBJECTS.items()}))


def compiled_seconds(unpacked: Path, wire: str) -> dict[str, float]:
    """Return what `time_all` says where the compiled modules are found first."""
    ran = subprocess.run(
        compiled.command("from bench.evidence import time_all; time_all()"),
        env=compiled.environment(unpacked, compiled.ROOT),
        input=wire,
        capture_output=True,
        text=True,
        check=True,
    )
    return {subject: float(seconds) for subject, seconds in json.loads(ran.stdout).items()}


def compare(
    name: str, options: argparse.Namespace, commands: dict[str, list[str]], unpacked: Path
) -> dict[str, Any]:
    """Rates and ratios on one corpus."""
    messages = corpus(name, options.messages)
    wire = "".join(f"{n}\t{base64.b64encode(raw).decode()}\t\n" for n, raw in enumerate(messages))
    for work in SUBJECTS.values():
        timed(work, messages[:20])
    ours: dict[str, list[dict[str, float]]] = {"plain": [], "compiled": []}
    for _ in range(options.rounds):
        seconds = {subject: timed(work, messages) for subject, work in SUBJECTS.items()}
        theirs = {peer: peer_seconds(command, wire) for peer, command in commands.items()}
        theirs["stdlib"] = seconds["stdlib"]
        ours["plain"].append(seconds | theirs)
        ours["compiled"].append(compiled_seconds(unpacked, wire) | theirs)
    variants = {
        variant: {
            "messages_per_second": {
                one: round(statistics.median(len(messages) / r[one] for r in rounds)) for one in rounds[0]
            },
            "ratios": ratios_of(rounds),
        }
        for variant, rounds in ours.items()
    }
    return {"messages": len(messages), "bytes": sum(map(len, messages)), **variants}


def ratios_of(rounds: list[dict[str, float]]) -> dict[str, Any]:
    """Return what is required and reached, from the seconds of each round."""
    ratios: dict[str, Any] = {}
    for subject, wanted in AT_LEAST.items():
        for peer, required in wanted.items():
            if peer in rounds[0]:
                each = [one[peer] / one[subject] for one in rounds]
                ratios[f"{subject}/{peer}"] = {
                    "required": required,
                    "reached": round(statistics.median(each), 2),
                    "least": round(min(each), 2),
                    "rounds": [round(one, 2) for one in each],
                }
    return ratios


def _repeated(start: bytes, piece: bytes, size: int) -> bytes:
    return start + piece * ((size - len(start)) // len(piece))


def _deep(size: int) -> bytes:
    opened = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(30))
    return _repeated(opened, b"\n\nSee http://a.example/.\n--b29\nContent-Type: text/plain\n", size)


_LINE = b"The quick brown fox sees http://a.example/ and jumps over the lazy dog.\n"
_BASE64 = base64.b64encode(b"x" * 57) + b"\n"
_ATTACHED = b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\nhi\n--b\nContent-Type: application/x\n"
_PART = b"\n--b\nContent-Type: text/plain\n\nSee http://a.example/.\n"
_HTML = b"Content-Type: text/html\n\n<html>"
_PARAGRAPH = b"<p class=x><a href='http://a.example/'>The quick</a> brown fox</p>\n"
SHAPES: dict[str, Callable[[int], bytes]] = {
    "text": lambda size: _repeated(b"Subject: x\n\n", _LINE, size),
    "html": lambda size: _repeated(_HTML, _PARAGRAPH, size),
    "base64 attachment": lambda size: _repeated(
        _ATTACHED + b"Content-Transfer-Encoding: base64\n\n", _BASE64, size
    ),
    "many parts": lambda size: _repeated(b"Content-Type: multipart/mixed; boundary=b\n", _PART, size),
    "many fields": lambda size: _repeated(b"", b"X-Field: The quick brown fox\n", size),
    "one long field": lambda size: _repeated(b"Subject: x", b"\n =?utf-8?q?=41?=", size),
    "one long line": lambda size: _repeated(b"Subject: x\n\n", b"word ", size),
    "deep multiparts": _deep,
    "deep HTML": lambda size: _repeated(_HTML, b"<div>", size),
    "many delimiters": lambda size: _repeated(
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\n", b"--x\n", size
    ),
}


def _read_all(raw: bytes) -> None:
    for part in read(raw, TRUST).message.leaves():
        part.text()


def linearity() -> dict[str, Any]:
    """What a byte of a large message costs beside a byte of a small one of the same shape."""
    shapes = {}
    for name, make in SHAPES.items():
        seconds = {}
        for size, tries in ((SMALL, 5), (LARGE, 2)):
            raw = make(size)
            seconds[size] = min(timed(_read_all, [raw]) for _ in range(tries))
        per_byte = seconds[LARGE] / LARGE / (seconds[SMALL] / SMALL)
        shapes[name] = {
            "seconds_1_mb": round(seconds[SMALL], 4),
            "seconds_50_mb": round(seconds[LARGE], 3),
            "cost_per_byte_50_to_1": round(per_byte, 2),
        }
    return shapes


def missed(document: dict[str, Any]) -> Iterator[str]:
    """Name the ratios of the compiled modules that are below what is required."""
    for name, found in document.get("corpora", {}).items():
        for ratio, values in found["compiled"]["ratios"].items():
            if values["reached"] < values["required"]:
                yield f"{name}: {ratio} is {values['reached']}, required {values['required']}"


def main() -> None:
    """Measure, print, tell by the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--messages", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--only", choices=("ratios", "linear"))
    parser.add_argument("--compiled", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        unpacked = Path(folder, "unpacked")
        if options.only != "linear":
            compiled.made_ready(options.compiled, unpacked)
        document = measured(options, unpacked)
    print(json.dumps(document, indent=1))
    sys.exit(1 if document.get("missed") else 0)


def measured(options: argparse.Namespace, unpacked: Path) -> dict[str, Any]:
    """Return all that was asked for (raises SystemExit where there is nothing to read)."""
    document: dict[str, Any] = {}
    if options.only != "linear":
        if not all((DATA / f"{name}.zip").exists() for name in CORPORA):
            print(f"the messages are not here ({DATA} is absent)", file=sys.stderr)
            sys.exit(69)
        commands, document["skipped"] = peers(options.python)
        document["corpora"] = {name: compare(name, options, commands, unpacked) for name in CORPORA}
        document["missed"] = list(missed(document))
    if options.only != "ratios":
        document["linear"] = linearity()
    return document


if __name__ == "__main__":
    main()
