"""The verbs of redaction: `plaint redact`, which needs no server, and `plaint whose`, a desk's question."""
# Every verb is one library call; what it needs is imported when it runs.
# ruff: noqa: PLC0415 - see above

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from complaints import screen
from complaints.on_complaints import on_complaints
from complaints.operate import DataOption, JsonOption, load
from complaints.terminal import UNUSABLE, USAGE, Json, end, fail, put, say

if TYPE_CHECKING:
    from complaints.client import Client
    from complaints.redact import Identity


def redact(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Mail files; - is standard input.")],
    reporter: Annotated[str, typer.Option(metavar="ADDRESS", help="Whom to hide.")],
    alias: Annotated[
        list[str] | None, typer.Option(metavar="ADDRESS", help="Another address of theirs.")
    ] = None,
    name: Annotated[list[str] | None, typer.Option(metavar="NAME", help="A name of theirs.")] = None,
    hide: Annotated[list[str] | None, typer.Option(metavar="WORDS", help="Words to hide as well.")] = None,
    level: Annotated[str, typer.Option(metavar="identity|strict", help="How much to hide.")] = "identity",
    trust: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST|CIDR", help="A mail host of theirs, which `strict` takes out."),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say on standard error what was done, and what was not.")
    ] = False,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Write each FILE there instead.")] = None,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Take a person out of mail: the message goes to standard output. Searched again for what was hidden."""
    from complaints.redact import LEVELS, Identity
    from complaints.trust import Trust

    if level not in LEVELS or level == "none":
        fail(f"--level {level}: there are identity, strict", USAGE)
    if len(files) > 1 and out is None and not as_json:
        fail("several FILEs need --out DIR, or --json for what would be done", USAGE)
    try:
        border = Trust.of(trust or [])
    except ValueError as error:
        fail(f"--trust: {error}", USAGE)
    identity = Identity((reporter, *(alias or ())), tuple(name or ()), tuple(hide or ()))
    key, good = _key(data, reporter), 0
    for file in files:
        done = _redacted(file, identity, key, level, border)
        if done is not None:
            good += 1
            _hand_out(file, *done, out=out, as_json=as_json, explain=explain)
    if not good:
        raise typer.Exit(UNUSABLE)
    end(good=good, bad=len(files) - good)


def _hand_out(
    file: str, raw: bytes, document: Json, *, out: Path | None, as_json: bool, explain: bool
) -> None:
    if as_json:
        put(document | {"file": file}, as_json, explained_lines)
    elif out is None:
        sys.stdout.buffer.write(raw)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / (Path(file).name if file != "-" else "stdin.eml")).write_bytes(raw)
    if explain and not as_json:
        for line in explained_lines(document):
            say(line)


def _key(data: Path | None, reporter: str) -> bytes:
    """The installation's redaction key for mail that goes to no desk of ours."""
    from complaints.vault import Vault

    settings = load(data)
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Vault.open(settings.data).derive("pseudonym", f"command line {reporter.lower()}").encode()


def _redacted(
    file: str, identity: "Identity", key: bytes, level: str, border: Any
) -> tuple[bytes, Json] | None:
    """The redacted bytes of FILE and what was done; None, after saying why, when they are not safe."""
    from complaints.leaks import find_leaks
    from complaints.message import parse
    from complaints.redact import CannotRedact, redact
    from complaints.redact.difference import explain
    from complaints.redact.withhold import withheld
    from complaints.trace import trace

    try:
        raw = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        say(f"{file}: {error.strerror}")
        return None
    if not raw.strip():
        say(f"{file}: is empty; give a whole message with its header")
        return None
    source = trace(parse(raw), border).source if level == "strict" else None
    try:
        done = redact(raw, identity, key=key, level=level, own_hops=source.hop if source else 0)
    except CannotRedact as error:
        say(f"{file}: {error}")
        return None
    done = withheld(done, lambda octets: bool(find_leaks(octets, identity)))
    if leaks := find_leaks(done.raw, identity):
        say(
            f"{file}: cannot be redacted: {leaks[0].what} would still show ({leaks[0].how}, {leaks[0].where})"
        )
        return None
    return done.raw, explain(raw, done, level)


def explained_lines(document: Json) -> list[str]:
    """What redaction did, as lines for a terminal."""
    rules = ", ".join(f"{count}x {rule}" for rule, count in document["rules"].items())
    lines = [f"{document['count']} redactions{': ' if rules else ''}{rules}"]
    for edit in document["edits"]:
        times = f" ({edit['count']}x)" if edit["count"] > 1 else ""
        lines.append(
            f"  line {edit['line']}, {edit['where']}, {edit['rule']}{times}: {edit['old']} -> {edit['new']}"
        )
    lines += [f"  and {document['more']} more"] if document["more"] else []
    lines += ["Looks personal, and was left:"] if document["kept"] else []
    lines += [f"  {one['where']}: {one['text']} ({one['why']})" for one in document["kept"]]
    lines += ["Not hidden:", *(f"  {sentence}" for sentence in document["not_hidden"])]
    return [screen.clean(line) for line in lines]


def _whose_lines(one: Json) -> list[str]:
    return [screen.clean(f"{one['private']}  in reports to {one['to']} since {one['since']}")]


@on_complaints
def whose(
    work: "Client",
    quoted: Annotated[str, typer.Argument(metavar="PSEUDONYM", help="What a desk quotes: redacted-....")],
    as_json: JsonOption = False,
) -> None:
    """Say which address or name of yours a desk means by a pseudonym, and which desks know you by it."""
    found = work.whose(quoted)
    if not found:
        fail(f"{quoted} stands for nothing of yours in any report", UNUSABLE)
    for item in found:
        put(item, as_json, _whose_lines)
