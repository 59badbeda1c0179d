"""Takes the JSON of an RDAP answer (RFC 9083); leaves what it says about complaints and where else to ask.

Pure, never raises on content. Entities are looked for at any depth, roles may be a list, a string or missing.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from abuse_lookup.answer import CONFIDENCES, Confidence, Finding, Scope, Sighting, Span
from abuse_lookup.contact_card import Card, Mail, read_card
from abuse_lookup.knowledge import rows
from abuse_lookup.mailbox import complaint_addresses, complaint_forms, found_invalid, is_desk_name
from abuse_lookup.span import parse_span
from abuse_lookup.target import normal_host
from abuse_lookup.whois_dialect import servers_in

_DEEPEST = 8
_MOST_ENTITIES = 300
_MOST_SERVERS = 4
_MOST_FINDINGS = 20
_LONGEST_HANDLE = 100
_LINK_TYPES = {"application/rdap+json", "application/json", ""}
_SELLERS = {"registrar", "sponsor"}
_OWNERS = {"registrant", "administrative", "billing", "technical", "proxy"}
_UP = {"up", "rdap-up"}


@dataclass(frozen=True)
class _Entity:
    document: Mapping[str, Any]
    above: frozenset[str]
    """The roles of the entities it stands in."""

    @cached_property
    def roles(self) -> frozenset[str]:
        return frozenset(role.strip().lower() for role in _strings(self.document.get("roles")))

    @property
    def is_abuse(self) -> bool:
        return any("abuse" in role for role in self.roles)

    @property
    def is_called_abuse(self) -> bool:
        """Whether its name or handle says what its roles do not."""
        return any("abuse" in name.lower() for name in (*self.card.names, self.handle)) and not self.is_abuse

    @property
    def of_seller(self) -> bool:
        """Whether it is, or stands in, the registrar of a domain."""
        return bool(_SELLERS & (self.above | self.roles))

    @property
    def of_owner(self) -> bool:
        """Whether it is, or stands in, who holds a domain: who may be the spammer."""
        return bool(_OWNERS & (self.above | self.roles))

    @property
    def handle(self) -> str:
        """Empty for what no registry would give: it is shown in reasons."""
        text = _text(self.document.get("handle")).strip()
        return text if text.isprintable() and len(text) <= _LONGEST_HANDLE else ""

    @property
    def is_only_named(self) -> bool:
        """Whether it has neither a card nor anybody in it: its description is elsewhere."""
        return not (self.card.names or self.card.reachable or self.document.get("entities"))

    @cached_property
    def card(self) -> Card:
        return read_card(self.document)


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """An entity that the answer only names: where it is described, if it says so, and its handle."""

    links: tuple[str, ...]
    handle: str
    is_desk: bool = True
    """It is the abuse contact, not only the holder or registrar that may have one."""


def read_number(document: Mapping[str, Any], about: str = "this network") -> Sighting:
    """Read the answer about an address, a network or an AS number, and call it `about` in reasons."""
    entities = list(_entities(document))
    holder = " ".join((_text(document.get("name")), *_remarks(document), *_holders(entities)))
    found = [*_abuse_roles(entities, holder, "network", about=about), *_free_text(document, entities, holder)]
    return Sighting(_each_once(found), span_of(document), holder, _servers(document, entities))


def read_domain(document: Mapping[str, Any]) -> Sighting:
    """Read the answer about a domain: the registrar's abuse contact (ICANN RDAP response profile §2.4.5)."""
    entities = list(_entities(document))
    holder = " ".join(_holders(entities))
    found = list(_abuse_roles([e for e in entities if e.of_seller], holder, "registrar"))
    if not found:
        others = [entity for entity in entities if not entity.of_owner]
        found = [*_abuse_roles(others, holder, "registrar", "medium"), *_registrars_own(entities, holder)]
    return Sighting(_each_once(found), None, holder, _servers(document, []))


def read_entity(
    entity: Mapping[str, Any], holder: str, scope: Scope = "network", *, is_desk: bool = True
) -> Sighting:
    """Read an entity that another answer only named: as the desk itself, or as one that may have a desk."""
    inner = list(_entities(entity))
    if is_desk:
        inner.insert(0, _Entity({**entity, "roles": ["abuse"]}, frozenset()))
    return Sighting(_each_once(_abuse_roles(inner, holder, scope)))


def linked_contacts(document: Mapping[str, Any], *, domain: bool) -> list[Elsewhere]:
    """List the abuse contacts that the answer names without saying how to reach them (RFC 9083 §5.1).

    Without any: the holder of a network, the registrar of a `domain`, whose desk may stand inside.
    """
    entities = list(_entities(document))
    mine = [entity for entity in entities if entity.of_seller] if domain else entities
    bare = [entity for entity in mine if entity.is_abuse and not entity.card.reachable]
    if not any(entity.is_abuse for entity in mine):
        inside = _SELLERS if domain else {"registrant"}
        bare = [entity for entity in mine if inside & entity.roles and entity.is_only_named]
    found = [
        Elsewhere(tuple(_links(entity.document, {"self"})), entity.handle, entity.is_abuse) for entity in bare
    ]
    return [each for each in dict.fromkeys(found) if each.links or each.handle]


def related_links(document: Mapping[str, Any]) -> list[str]:
    """List where else the object is described: links with `rel=related`, as registries name registrars."""
    return _links(document, {"related"})


def parent_links(document: Mapping[str, Any]) -> list[str]:
    """List where the network around this one is described (RFC 9083 §4.2, `rel=up`)."""
    return _links(document, _UP)


def parent_span(document: Mapping[str, Any]) -> Span | None:
    """Read the network around this one where its handle is its range, as APNIC and AFRINIC write it."""
    handle = _text(document.get("parentHandle"))
    return parse_span(handle) if "-" in handle or "/" in handle else None


def numbers(document: Mapping[str, Any]) -> range | None:
    """Read which AS numbers the answer is about (RFC 9083 §5.5)."""
    first, last = document.get("startAutnum"), document.get("endAutnum", document.get("startAutnum"))
    if isinstance(first, int) and isinstance(last, int) and 0 <= first <= last < 1 << 32:
        return range(first, last + 1)
    return None


def domain_name(document: Mapping[str, Any]) -> str | None:
    """Read which domain the answer is about (RFC 9083 §5.3)."""
    return normal_host(_text(document.get("ldhName")) or _text(document.get("unicodeName")))


def is_rdap(document: Mapping[str, Any]) -> bool:
    """Whether it has anything of an RDAP object; some servers answer `{}`."""
    known = ("objectClassName", "entities", "handle", "startAddress", "startAutnum", "ldhName", "vcardArray")
    return any(name in document for name in known)


def notices(document: Mapping[str, Any]) -> list[str]:
    """List what the server added to its answer or error: titles, types and texts (RFC 9083 §4.3, §6)."""
    parts = [_text(document.get("title")), *_strings(document.get("description"))]
    for notice in (*_mappings(document.get("notices")), *_mappings(document.get("remarks"))):
        parts += [_text(notice.get("title")), _text(notice.get("type"))]
        parts += _strings(notice.get("description"))
    return [part for part in parts if part]


def withheld(document: Mapping[str, Any]) -> bool:
    """Whether the server says that it left mailboxes out (RFC 9537 §4.2)."""
    names = [_mapping(item.get("name")) for item in _mappings(document.get("redacted"))]
    said = " ".join(_text(name.get(key)) for name in names for key in ("type", "description")).lower()
    return "email" in said or "e-mail" in said or "abuse" in said


def span_of(document: Mapping[str, Any]) -> Span | None:
    """Read the range of a network; RIPE's answers of 2015 wrote `192.0.2.0/32` for its ends."""
    first, last = (_text(document.get(end)).partition("/")[0] for end in ("startAddress", "endAddress"))
    if found := parse_span(f"{first} - {last}"):
        return found
    prefixes = [
        f"{_text(item.get('v4prefix')) or _text(item.get('v6prefix'))}/{_text(item.get('length'))}"
        for item in _mappings(document.get("cidr0_cidrs"))
    ]
    return parse_span(prefixes[0]) if len(prefixes) == 1 else parse_span(_text(document.get("handle")))


def _abuse_roles(
    entities: Iterable[_Entity],
    holder: str,
    scope: Scope,
    most: Confidence = "high",
    about: str = "this network",
) -> Iterator[Finding]:
    about = "the registrar" if scope == "registrar" else about
    for entity in entities:
        if not entity.is_abuse:
            continue
        named = f" ({entity.handle})" if entity.handle else ""
        why = f"RDAP names it as the abuse contact of {about}{named}{_doubt(entity)}"
        mails = entity.card.mails
        preferred = any(mail.preferred for mail in mails)
        invalid = found_invalid(_remarks(entity.document))
        for mail in mails:
            confidence, more = _weight(mail, preferred=preferred)
            if mail.address in invalid:
                confidence, more = "low", ", but the registry found it invalid"
            confidence = max(confidence, most, key=CONFIDENCES.index)
            yield Finding(confidence, why + more, mail.address, holder=holder, scope=scope)
        if not mails:
            for form in entity.card.forms:
                yield Finding("high", why + ", by web form", form=form, holder=holder, scope=scope)


def _doubt(entity: _Entity) -> str:
    """Say what the registry itself doubts about a contact."""
    titles = {
        _text(remark.get("title")).strip().lower() for remark in _mappings(entity.document.get("remarks"))
    }
    return next(
        (f", but {row['why']}" for row in rows("rdap", "doubt") if row["title"].lower() in titles), ""
    )


def _registrars_own(entities: list[_Entity], holder: str) -> Iterator[Finding]:
    """Read the registrar's own card and remarks, where it has no contact for abuse beneath it."""
    sellers = [entity for entity in entities if _SELLERS & entity.roles]
    why = "RDAP lists it for the registrar, and its name says that it takes complaints"
    for mail in (mail for seller in sellers for mail in seller.card.mails):
        if is_desk_name(mail.address):
            yield Finding("medium", why, mail.address, holder=holder, scope="registrar")
    why = "remarks about abuse at the registrar in the registry's RDAP answer name it"
    for address, confidence in complaint_addresses(
        line for one in sellers for line in _remarks(one.document)
    ):
        yield Finding(confidence, why, address, holder=holder, scope="registrar")


def _weight(mail: Mail, *, preferred: bool) -> tuple[Confidence, str]:
    """Weigh a mailbox of an abuse contact: beside one that the card prefers, others count little."""
    if mail.misplaced:
        return "medium", ", in a text of its card"
    if preferred and not mail.preferred and not is_desk_name(mail.address):
        return "low", ", beside the one that it prefers"
    return "high", ""


def _free_text(document: Mapping[str, Any], entities: list[_Entity], holder: str) -> Iterator[Finding]:
    """Read remarks, and mailboxes that are desks by their name (RFC 6650 §5.1)."""
    lines = [*_remarks(document), *(line for entity in entities for line in _remarks(entity.document))]
    for address, confidence in complaint_addresses(lines):
        why = "remarks about abuse in the registry's RDAP answer name it"
        yield Finding(confidence, why, address, holder=holder)
    for owner, mail in ((entity, mail) for entity in entities for mail in entity.card.mails):
        if owner.is_called_abuse and not mail.misplaced:
            why = "the registry's RDAP answer lists it for somebody called abuse"
            yield Finding("medium", why, mail.address, holder=holder)
        elif is_desk_name(mail.address):
            why = "the registry's RDAP answer lists it, and its name says that it takes complaints"
            yield Finding("low", why, mail.address, holder=holder)
    if not any(entity.is_abuse and entity.card.reachable for entity in entities):
        for form in complaint_forms(lines):
            why = "remarks about abuse in the registry's RDAP answer name this form"
            yield Finding("medium", why, form=form, holder=holder)


def _each_once(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Keep each mailbox once, with its best confidence, the best first; bounded, for each is looked up."""
    best: dict[str, Finding] = {}
    for found in sorted(findings, key=lambda found: CONFIDENCES.index(found.confidence)):
        best.setdefault((found.address or found.form or "").lower(), found)
    return tuple(best.values())[:_MOST_FINDINGS]


def _servers(document: Mapping[str, Any], entities: list[_Entity]) -> tuple[str, ...]:
    """List the WHOIS servers that the answer names, in its own field (RFC 9083 §4.7) or in texts."""
    texts = [*_remarks(document), *_strings(document.get("description"))]
    texts += [line for notice in _mappings(document.get("notices")) for line in _lines(notice)]
    texts += [line for entity in entities for line in _remarks(entity.document)]
    named = normal_host(_text(document.get("port43")))
    hosts = [named, *servers_in(texts)]
    return tuple(dict.fromkeys(host for host in hosts if host and "." in host))[:_MOST_SERVERS]


def _entities(document: Mapping[str, Any]) -> Iterator[_Entity]:
    """Walk all entities, outer before inner, bounded in depth and number."""
    waiting: list[tuple[Mapping[str, Any], frozenset[str], int]] = [(document, frozenset(), 0)]
    count = 0
    while waiting:
        parent, above, depth = waiting.pop(0)
        for child in _mappings(parent.get("entities")):
            if depth >= _DEEPEST or count >= _MOST_ENTITIES:
                continue
            count += 1
            entity = _Entity(child, above)
            yield entity
            waiting.append((child, above | entity.roles, depth + 1))


def _links(document: Mapping[str, Any], relations: set[str]) -> list[str]:
    wanted = (
        _text(link.get("href"))
        for link in _mappings(document.get("links"))
        if _text(link.get("rel")).lower() in relations
        and _text(link.get("type")).partition(";")[0].strip().lower() in _LINK_TYPES
    )
    return list(dict.fromkeys(href for href in wanted if href))


def _holders(entities: list[_Entity]) -> list[str]:
    return [name for entity in entities if "registrant" in entity.roles for name in entity.card.names]


def _remarks(document: Mapping[str, Any]) -> list[str]:
    return [line for remark in _mappings(document.get("remarks")) for line in _lines(remark)]


def _lines(remark: Mapping[str, Any]) -> list[str]:
    return [part for text in _strings(remark.get("description")) for part in text.splitlines()]


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    """List the objects in a list; one object alone counts as a list of one."""
    if isinstance(value, Mapping):
        return [value]
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _text(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 64:
        return str(value)
    return value if isinstance(value, str) else ""
