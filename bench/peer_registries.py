"""What peers read off registry answers, for registries.py; runs under an interpreter that has them.

Takes a JSON list of `{file, raw (base64), query, kind, rdap, registry}` on standard input; leaves, for each
peer at hand, its version and per file `{"addresses": [...], "says_desk": bool, "status": ...}`, or nothing
for a kind of answer that the peer does not claim to read. Status: found, none (no mailbox), absent (not
registered), refused, error. Each peer's own parser gets the bytes; where it only lists all addresses of an
answer, the one that looks most like a desk is taken for it.
"""

import asyncio
import base64
import importlib.metadata
import ipaddress
import json
import logging
import sys
from collections.abc import Callable
from typing import Any

Asked = dict[str, Any]
Read = dict[str, Any]


def found(addresses: list[Any], *, says_desk: bool) -> Read:
    """Make the entry of one answer."""
    kept = [address for address in addresses if isinstance(address, str) and "@" in address]
    return {"addresses": kept, "says_desk": says_desk, "status": "found" if kept else "none"}


def text_of(asked: Asked) -> str:
    raw = base64.b64decode(asked["raw"])
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def likely(addresses: list[str]) -> list[str]:
    """Choose for a peer that only lists addresses."""
    return sorted(dict.fromkeys(addresses), key=lambda address: "abuse" not in address.lower())[:1]


def ipwhois(asked: Asked) -> Read | None:
    """ipwhois reads RDAP and WHOIS answers about addresses; of WHOIS it lists mailboxes without roles."""
    if asked["kind"] != "ip":
        return None
    from ipwhois.net import Net
    from ipwhois.rdap import RDAP
    from ipwhois.whois import RIR_WHOIS, Whois

    net = Net(asked["query"].split("/")[0])
    registry = asked["registry"] if asked["registry"] in RIR_WHOIS else "arin"
    known = {
        "asn_registry": registry,
        **dict.fromkeys(("asn", "asn_cidr", "asn_country_code", "asn_date"), ""),
    }
    known["asn_description"] = ""
    if not asked["rdap"]:
        answer = Whois(net).lookup(response=text_of(asked), asn_data=known, is_offline=True)
        emails = [mail for part in reversed(answer["nets"]) for mail in part["emails"] or []]
        return found(likely(emails), says_desk=False)
    answer = RDAP(net).lookup(response=json.loads(text_of(asked)), asn_data=known, depth=0)
    objects = answer["objects"].values()
    desks = [one for one in objects if "abuse" in (one["roles"] or [])]
    return found(
        [mail["value"] for one in desks for mail in (one["contact"] or {}).get("email") or []], says_desk=True
    )


class NoNames:
    """What whoisit's parser asks for the names of registries: there are none, and they do not matter here."""

    def is_using_overrides(self) -> bool:
        return False

    def get_rir_name_by_endpoint_url(self, url: str) -> str:
        from whoisit.errors import BootstrapError

        raise BootstrapError(url)


def whoisit(asked: Asked) -> Read | None:
    """whoisit reads RDAP answers."""
    if not asked["rdap"]:
        return None
    from whoisit.parser import parse

    kind = {"autnum": "autnum", "asn": "autnum", "domain": "domain"}.get(asked["kind"], "ip network")
    answer = parse(NoNames(), kind, asked["query"], json.loads(text_of(asked)))
    return found([one.get("email") for one in answer["entities"].get("abuse", [])], says_desk=True)


def _parsed(asked: Asked) -> dict[Any, Any] | None:
    """What asyncwhois parses; None where it says that there is nothing."""
    from asyncwhois.errors import NotFoundError
    from asyncwhois.parse_rir import NumberParser
    from asyncwhois.parse_tld import DomainParser

    if asked["kind"] == "domain":
        try:
            return dict(DomainParser().parse(text_of(asked), asked["query"].rpartition(".")[2]))
        except NotFoundError:
            return None
    ip = ipaddress.ip_address(asked["query"].split("/")[0])
    return dict(NumberParser().parse(text_of(asked), ip)) if ip.version == 4 else {}


def asyncwhois(asked: Asked) -> Read | None:
    """asyncwhois reads WHOIS answers about domains and addresses; of RDAP it hands the text on."""
    if asked["rdap"] or asked["kind"] not in {"ip", "domain"}:
        return None
    answer = _parsed(asked)
    if answer is None:
        return {"addresses": [], "says_desk": True, "status": "absent"}
    return found([answer.get("abuse_email"), answer.get("registrar_abuse_email")], says_desk=True)


def abuse_whois(asked: Asked) -> Read | None:
    """abuse_whois reads what asyncwhois parsed, and knows rules for some providers."""
    if asked["rdap"] or asked["kind"] not in {"ip", "domain"}:
        return None
    from abuse_whois import settings
    from abuse_whois.matchers.whois import get_whois_contact
    from abuse_whois.services.whois import parse
    from returns.unsafe import unsafe_perform_io

    text = text_of(asked)
    if any(message in text for message in settings.WHOIS_RATE_LIMIT_MESSAGES):
        return {"addresses": [], "says_desk": True, "status": "refused"}
    answer = _parsed(asked)
    if answer is None:
        return {"addresses": [], "says_desk": True, "status": "absent"}
    record = unsafe_perform_io(asyncio.run(parse((text, answer)).awaitable()).unwrap())
    contact = get_whois_contact(record)
    return found([contact.address if contact and contact.type == "email" else None], says_desk=True)


PEERS: dict[str, Callable[[Asked], Read | None]] = {
    "ipwhois": ipwhois,
    "whoisit": whoisit,
    "asyncwhois": asyncwhois,
    "abuse-whois": abuse_whois,
}


def main() -> None:
    """Read the answers with every peer at hand."""
    logging.disable(logging.CRITICAL)
    asked = json.load(sys.stdin)
    report: dict[str, Any] = {}
    for name, reader in PEERS.items():
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        answers: dict[str, Read] = {}
        for one in asked:
            try:
                read = reader(one)
            except Exception as error:
                read = {"addresses": [], "says_desk": False, "status": "error", "error": repr(error)[:200]}
            if read is not None:
                answers[one["file"]] = read
        report[name] = {"version": version, "answers": answers}
    json.dump(report, sys.stdout)


main()
