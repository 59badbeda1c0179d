"""A collection of real answers of registries, and what a careful person reads off each; for registries.py.

`../shared/data/registry/expected.json` says it of 308 answers. What a raw answer about a domain is, is said
by its file name, or by `MISLABELLED` where that is wrong.
"""

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

REGISTRY = Path(__file__).parents[1] / "../shared/data/registry"


@dataclass(frozen=True)
class Question:
    """One answer of a registry, and what a careful person reads off it."""

    file: str
    raw: bytes
    query: str
    kind: str
    """`ip`, `asn`, `autnum` or `domain`."""
    server: str
    abuse: frozenset[str]
    weak: frozenset[str]
    must_not: frozenset[str]
    unclassified: frozenset[str]
    action: str
    registry: str = ""

    @property
    def is_rdap(self) -> bool:
        return self.file.startswith("rdap/")


def servers(folder: Path) -> dict[str, str]:
    """The server that gave each answer, where the index says it."""
    found: dict[str, str] = {}
    for part in ("whois-ip", "rdap"):
        rows = json.loads((folder / part / "index.json").read_text("utf-8"))
        found |= {f"{part}/{row['file']}": row.get("server") or "" for row in rows}
    return found


def numbers(folder: Path = REGISTRY) -> list[Question]:
    """Answers about addresses and AS numbers, and RDAP's about domains."""
    known, said = servers(folder), json.loads((folder / "expected.json").read_text("utf-8"))
    return [
        Question(
            entry["file"],
            (folder / entry["file"]).read_bytes(),
            f"AS{entry['query']}" if str(entry["query"]).isdecimal() else entry["query"],
            entry["kind"],
            known.get(entry["file"], ""),
            lowered(entry["abuse"]),
            lowered(entry["weak"]),
            lowered(entry["must_not"]),
            lowered(entry["unclassified_emails"]),
            entry["action"],
            entry["registry"] or "",
        )
        for entry in said["ip_asn_rdap"]
    ]


def domains(folder: Path = REGISTRY) -> list[Question]:
    """WHOIS answers about domains, with the registrar's desk where a field names it."""
    said = json.loads((folder / "expected.json").read_text("utf-8"))["domain_whois"]
    with zipfile.ZipFile(folder / "whois-domain.zip") as answers:
        index = {f"whois-domain/{row['file']}": row for row in json.loads(answers.read("index.json"))}
        return [
            Question(
                entry["file"],
                answers.read(entry["file"].removeprefix("whois-domain/")),
                entry["domain"],
                "domain",
                index[entry["file"]].get("server") or "",
                lowered(entry["registrar_abuse"]),
                frozenset(),
                frozenset(),
                frozenset(),
                entry["action"],
            )
            for entry in said
        ]


REFUSED = ("throttled", "response_unavailable")
ABSENT = ("notfound", "_free.", "status_available")
MISLABELLED = {
    "php-whois/ml_free.txt": ("refused", "it can temporarily not be answered"),
    "php-whois/ga_free.txt": ("refused", "it can temporarily not be answered"),
    "php-whois/nz_free.txt": ("refused", "440 Request Denied"),
    "phpWhois/google.ch.txt": ("refused", "requests of this client are not permitted"),
    "phpWhois/nic.li.txt": ("refused", "requests of this client are not permitted"),
    "phpWhois/peter.morgan.name.txt": ("absent", "No match"),
    "phpWhois/a2ba91bff88c6983f6af010c41236206df64001d.de.txt": ("absent", "Status: free"),
    "phpWhois/urllog.net.txt": ("absent", "No match for domain"),
    "phpWhois/www.tv.txt": ("absent", "No match for"),
    "php-whois/vu_free.txt": ("", "the name is not valid"),
    "php-whois/tr_free.txt": ("", "invalid input"),
    "php-whois/gf_google.gf.txt": ("", "NO OBJECT FOUND!, of the contacts"),
    "likexian-notfound/name_science.name.txt": ("", "not available for second level registration"),
    "ruby-whois/whois.sx__sx__status_unavailable.txt": ("", "premium name (No match)"),
    "ruby-whois/whois.nic.bo__bo__status_available.txt": ("", "takes no questions but about .bo"),
    "ruby-whois/whois.nic.wed__wed__status_available.txt": ("", "prohibited string"),
}
"""Raw answers that do not say what their name does: what they are ("" for neither), and what they say."""


def called(file: str) -> str:
    """What an answer is by its file name, or by what it says where the name is wrong."""
    if file in MISLABELLED:
        return MISLABELLED[file][0]
    if any(word in file for word in REFUSED):
        return "refused"
    return "absent" if any(word in file for word in ABSENT) else "found"


def raw_domains(folder: Path = REGISTRY) -> list[Question]:
    """Every raw WHOIS answer about a domain; `action` is what its name says: refused, absent or found."""
    with zipfile.ZipFile(folder / "whois-domain.zip") as answers:
        rows = [row for row in json.loads(answers.read("index.json")) if called(row["file"])]
        nobody: frozenset[str] = frozenset()
        return [
            Question(
                f"raw/{row['file']}",
                answers.read(row["file"]),
                row["domain"] or "example.com",
                "domain",
                row.get("server") or "",
                *(nobody, nobody, nobody, nobody),
                called(row["file"]),
            )
            for row in rows
        ]


def lowered(addresses: list[str]) -> frozenset[str]:
    return frozenset(address.lower() for address in addresses)
