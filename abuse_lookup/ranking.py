"""Takes the contacts of all sources; leaves each desk once, the best first, with its reasons. Pure."""

from collections.abc import Sequence
from dataclasses import replace

from abuse_lookup.answer import CONFIDENCES, Confidence, Contact, Reason, Rejected
from abuse_lookup.knowledge import rows
from abuse_lookup.mailbox import is_desk_name

_SCOPE_ORDER = {"network": 0, "host": 0, "sender": 1, "domain": 2, "registrar": 3}
_MOST_REASONS = 8


def ranked(contacts: Sequence[Contact]) -> tuple[Contact, ...]:
    """Order contacts, best first, each once, none of low confidence beside a better one of its scope."""
    desks: dict[str, list[Contact]] = {}
    for contact in sorted(contacts, key=rank):
        desks.setdefault((contact.address or contact.form or "").lower(), []).append(contact)
    kept = sorted(map(_joined, desks.values()), key=rank)
    sure = {contact.scope for contact in kept if contact.confidence != "low"}
    return tuple(contact for contact in kept if contact.confidence != "low" or contact.scope not in sure)


def unique(rejected: Sequence[Rejected]) -> tuple[Rejected, ...]:
    """Keep each rejected mailbox once."""
    return tuple({item.address.lower(): item for item in reversed(rejected)}.values())[::-1]


def rank(contact: Contact, tie: int = 0) -> tuple[int, int, int, bool, bool, bool]:
    """Order by confidence, scope, `tie` (smaller is better), known desks first, desk names before others.

    For a network its mailbox comes before a form: mail is what a report can be sent by. Of a platform on it
    only the platform's own desk can act, so there the form may come first.
    """
    desk = contact.address is not None and is_desk_name(contact.address)
    confidence = CONFIDENCES.index(contact.confidence)
    form = contact.scope == "network" and contact.address is None
    return confidence, _SCOPE_ORDER[contact.scope], tie, form, contact.source != "known", not desk


def _joined(ways: list[Contact]) -> Contact:
    """Make one contact of all ways to the same desk, `ways` from the best to the worst."""
    best = ways[0]
    reasons = [reason for one in ways for reason in (_reason(one), *one.also)]
    others = tuple(dict.fromkeys(reason for reason in reasons if reason != _reason(best)))
    by_origin = {_origin(reason): reason for reason in reversed(reasons) if _names_it(reason)}
    witnesses = [one for origin, one in by_origin.items() if origin != _origin(_reason(best))]
    if not witnesses or not _names_it(_reason(best)):
        return replace(best, also=others[:_MOST_REASONS])
    named = f" {', '.join(sorted({_name(one) for one in witnesses}))} independently names it, too."
    why = best.why if best.why.endswith(named) else best.why + named
    return replace(best, confidence=_raised(best, witnesses), why=why, also=others[:_MOST_REASONS])


def _raised(best: Contact, witnesses: list[Reason]) -> Confidence:
    """Raise by one step, but never to high on the word of a weak source."""
    if best.confidence == "low":
        return "medium"
    return "high" if any(one.confidence != "low" for one in witnesses) else best.confidence


def _reason(way: Contact) -> Reason:
    return Reason(way.scope, way.source, way.server, way.confidence, way.why, way.as_of)


def _origin(reason: Reason) -> str:
    """Tell where a source has it from: two ways to one registry's database are one witness, not two."""
    if reason.source in {"rdap", "whois"} or reason.server in _from_registries():
        return "registries"
    return reason.source if reason.source != "dns" else reason.server


def _names_it(reason: Reason) -> bool:
    """Whether somebody named the mailbox for complaints; a guess is nobody's word."""
    return reason.source != "soa" and (reason.source != "dns" or reason.confidence != "low")


def _name(reason: Reason) -> str:
    if reason.source == "known":
        return f"A list of known desks ({reason.server})"
    return {"rdap": "RDAP", "whois": "WHOIS"}.get(reason.source, "") or f"{reason.server}"


def _from_registries() -> set[str]:
    return {str(row["zone"]) for row in rows("zones", "zone") if row.get("from") == "registries"}
