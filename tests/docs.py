"""Writes the pages of docs/ that are made from the code: `python -m tests.docs` (sh scripts/docs)."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

import cli
from complaints.settings import PREFIX, Settings
from tests.test_architecture import modules, name_of

DOCS = Path(__file__).parent.parent / "docs"

MEANINGS = {
    "data": "The data directory: `plaint.toml`, the SQLite file, the lookup cache and `secrets/` lie in it. Default: `$XDG_DATA_HOME/plaint`.",
    "database_url": "`postgresql://user@host/name`; empty: the SQLite file in the data directory.",
    "smtp": "Where submissions, bounces and answers come in. The MX of PLAINT_MAIL_DOMAIN must lead here, port 25.",
    "smtp_proxy": "CIDRs, separated by commas, of proxies (HAProxy, nginx) before PLAINT_SMTP that begin each connection with a header of the PROXY protocol, version 1 or 2. They must always do so; it is believed of nobody else.",
    "lmtp": "Where a mail server of your own hands mail on by LMTP: `host:port`, or the path of a socket, beginning with `/`. Empty: nowhere. docs/postfix.md says how.",
    "http": "Where pages and API are served. Put a TLS proxy before it.",
    "public_url": "The address people use, with which every mailed link begins. Plain http is accepted on loopback only. Empty: `http://` and PLAINT_HTTP.",
    "mail_domain": "The domain of all our addresses: submissions, reports, bounces.",
    "contact": "How whoever runs this installation is reached: a mail address or an https address. Shown on /privacy, told to registries; mail to postmaster and abuse at PLAINT_MAIL_DOMAIN goes to it where it is an address of another domain. `plaint serve` refuses to start without it where PLAINT_PUBLIC_URL is https.",
    "hosted_in": "Where the machines are, for /privacy, e.g. `Frankfurt, Germany`.",
    "smtp_cert": "PEM file with the certificate chain for STARTTLS; without it STARTTLS is not offered.",
    "smtp_key": "PEM file with its private key, where that is not in the same file.",
    "relay": "`smtp://host:port` that all mail goes out through; empty: straight to the MX hosts of each desk.",
    "mx_port": "Port of the desks' mail hosts.",
    "dns": "Name servers as `address:port,...`; empty: those of the system. **Servers on loopback mean a loopback internet**: loopback and private targets may then be spoken to. So do not name a local caching resolver here; leave it empty for that.",
    "rdap_bootstrap": "Folder or URL with IANA's RDAP bootstrap files; empty: IANA's own.",
    "whois_port": "Port of every WHOIS server that names none.",
    "whois_root": "Where a WHOIS search begins.",
    "contact_zones": "DNS zones that publish abuse contacts, separated by commas; empty: none. `plaint doctor` names their terms. A service for sale has to ask abuse.net first, or leave its zone out.",
    "desks": "TOML file with known desks of your own (docs/desks.md). Default: `desks.toml` in the data directory; it need not exist.",
    "ca_file": "PEM file of a CA that RDAP servers may be signed by, besides the public ones.",
    "allow_nets": "CIDRs, separated by commas, that are not public and may be spoken to nevertheless.",
    "lookup_seconds": "How long one address or host is looked up, at most.",
    "undo_seconds": "How long a consent can be taken back; nothing leaves before. 0 is legal.",
    "consent_seconds": "How long a complaint waits for consent; then it expires and is never sent.",
    "notice_seconds": "How long notices are collected into one mail.",
    "retry_seconds": 'The first pause after a mail host said "try later"; doubles with jitter up to 4 hours.',
    "give_up_seconds": "When a mail that is always put off counts as failed.",
    "max_bytes": "The largest submission, SMTP or HTTP.",
    "retention_spam_seconds": "When the bytes, the evidence and the subject of a spam go, after it was handed in, once its complaint has ended. 0: never by themselves. Empty: as the privacy policy says, 30 days. A longer period than before is for whoever registers or agrees to a new version of the policy after it; a shorter one is for all at once.",
    "retention_report_seconds": "The same for the bytes of reports, the answers to them and the delivery attempts. Empty: 90 days.",
    "retention_letter_seconds": "When a letter of ours goes, after it was sent. Empty: 14 days.",
    "limit_submissions": "Submissions a reporter may hand in per hour over SMTP and HTTP.",
    "limit_reports": "Reports a desk gets per hour; the others wait.",
    "limit_lookups": "Questions a registry's server gets per minute; known lower limits hold besides. Also the targets a reporter may ask about per minute over HTTP.",
}
"""Setting → what it means to the operator."""
EMPTY = {"", None}


def settings_page() -> str:
    """docs/settings.md: every setting with its default and meaning."""
    rows = [
        f"| `{PREFIX}{name.upper()}` | {_default(field)} | {MEANINGS[name]} |"
        for name, field in Settings.model_fields.items()
    ]
    return "\n".join(
        [
            "# Settings",
            "",
            "Made from the code by `sh scripts/docs`. Each is an environment variable, or a line of `plaint.toml` in the",
            'data directory without the prefix (`mail_domain = "plaint.example"`). A command line option wins over the',
            "environment, the environment over the file. Durations are in seconds, sizes in bytes; of a limit, 0 means none.",
            "`PLAINT_SERVER`, `PLAINT_TOKEN` and `PLAINT_IMAP_PASSWORD` are for the command line only (docs/cli.md).",
            "",
            "| setting | default | meaning |",
            "| --- | --- | --- |",
            *rows,
            "",
        ]
    )


def _default(field: Any) -> str:
    if field.default_factory is not None:
        return ""
    return "" if field.default in EMPTY else f"`{field.default}`"


def verbs() -> Iterator[tuple[str, Any]]:
    """Each verb with its click command: ("plaint reporters add", ...), groups before what is in them."""
    yield from _below("plaint", typer.main.get_command(cli.app))


def _below(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    yield name, command
    for word, one in getattr(command, "commands", {}).items():
        yield from _below(f"{name} {word}", one)


def help_text(name: str, command: Any) -> str:
    """What `NAME --help` prints, 100 columns wide, wherever it is printed."""
    context = command.context_class(command, info_name=name, terminal_width=100, max_content_width=100)
    lines: str = command.get_help(context)
    return "\n".join(line.rstrip() for line in lines.splitlines())


def cli_page() -> str:
    """docs/cli.md: what `--help` says of every verb."""
    parts = [
        "# Command line",
        "",
        "Made from the code by `sh scripts/docs`: what `--help` says of every verb.",
    ]
    for name, command in verbs():
        parts += ["", f"## {name}", "", "```", help_text(name, command), "```"]
    return "\n".join([*parts, ""])


def citations() -> dict[int, tuple[set[str], set[str]]]:
    """RFC number → the sections the code cites, and the files that cite it."""
    found: dict[int, tuple[set[str], set[str]]] = {}
    for file in modules():
        for number, section in re.findall(r"RFC (\d+)(?: (§[\w.]*\w))?", file.read_text()):
            sections, files = found.setdefault(int(number), (set(), set()))
            files.add(name_of(file))
            sections |= {section} - {""}
    return found


def rfc_page() -> str:
    """docs/rfc.md with the sections and places of today; what a row says beside them is written by hand."""
    cited = citations()
    lines = (DOCS / "rfc.md").read_text().splitlines()
    return "\n".join(_rfc_row(line, cited) for line in lines) + "\n"


def _rfc_row(line: str, cited: dict[int, tuple[set[str], set[str]]]) -> str:
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    if not cells[0].isdigit() or int(cells[0]) not in cited:
        return line
    sections, files = cited[int(cells[0])]
    cells[2:4] = ", ".join(sorted(sections, key=_in_order)), ", ".join(sorted(files))
    return f"| {' | '.join(cells)} |"


def _in_order(section: str) -> list[int]:
    return [int(part) if part.isdigit() else 0 for part in section.strip("§").split(".")]


PAGES = {"settings.md": settings_page, "cli.md": cli_page, "rfc.md": rfc_page}

if __name__ == "__main__":
    for file, write in PAGES.items():
        (DOCS / file).write_text(write())
