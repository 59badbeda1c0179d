"""Takes the JSON of an RDAP answer (RFC 9083); leaves what it says about complaints.

Pure, never raises on content. Entities are looked for at any depth, roles may be a list, a string or missing,
and a jCard (RFC 7095) may be anything at all.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from abuse_lookup.answer import Finding, Scope, Sighting, Span
from abuse_lookup.mailbox import addresses_in, complaint_addresses, is_desk_name
from abuse_lookup.span import parse_span
from abuse_lookup.whois_dialect import servers_in

_DEEPEST = 8
_MOST_ENTITIES = 300
_LINK_TYPES = {"application/rdap+json", "application/json", ""}


@dataclass(frozen=True, slots=True)
class _Mail:
    address: str
    rank: tuple[int, int]
    """Smaller is better: declared `abuse`, then jCard's `pref` (RFC 6350 §5.3)."""


@dataclass(frozen=True, slots=True)
class _Entity:
    document: Mapping[str, Any]
    under_registrar: bool

    @property
    def roles(self) -> set[str]:
        return {role.lower() for role in _strings(self.document.get("roles"))}

    @property
    def handle(self) -> str:
        return _text(self.document.get("handle"))


def read_number(document: Mapping[str, Any]) -> Sighting:
    """Read the answer about an address, a network or an AS number."""
    entities = list(_entities(document))
    holder = " ".join((_text(document.get("name")), *_remarks(document), *_holders(entities)))
    findings = [*_abuse_roles(entities, holder, "network"), *_free_text(document, entities, holder)]
    return Sighting(tuple(findings), _span(document), holder, tuple(servers_in(_remarks(document))))


def read_domain(document: Mapping[str, Any]) -> Sighting:
    """Read the answer about a domain: the registrar's abuse contact (ICANN RDAP response profile §2.4.5)."""
    entities = list(_entities(document))
    holder = " ".join(_holders(entities))
    found = list(_abuse_roles([e for e in entities if e.under_registrar], holder, "registrar"))
    return Sighting(tuple(found or _abuse_roles(entities, holder, "registrar")))


def read_entity(entity: Mapping[str, Any], holder: str) -> Sighting:
    """Read an entity that another answer named as abuse contact, and only linked to."""
    named = _Entity({**entity, "roles": ["abuse"]}, under_registrar=False)
    return Sighting(tuple(_abuse_roles([named], holder, "network")))


def linked_abuse_entities(document: Mapping[str, Any]) -> list[str]:
    """List where the abuse contacts are described that the answer only links to (RFC 9083 §5.1)."""
    bare = (e for e in _entities(document) if "abuse" in e.roles and "vcardArray" not in e.document)
    return [href for entity in bare for href in _links(entity.document, "self")]


def related_links(document: Mapping[str, Any]) -> list[str]:
    """List where else the object is described: links with `rel=related`, as registries name registrars."""
    return _links(document, "related")


def notices(document: Mapping[str, Any]) -> str:
    """Join the titles and texts that the server added to its answer or error (RFC 9083 §4.3, §6)."""
    parts = [_text(document.get("title")), *_strings(document.get("description"))]
    for notice in _items(document.get("notices")):
        if isinstance(notice, Mapping):
            parts += [_text(notice.get("title")), *_strings(notice.get("description"))]
    return " ".join(part for part in parts if part)


def _span(document: Mapping[str, Any]) -> Span | None:
    return parse_span(f"{_text(document.get('startAddress'))} - {_text(document.get('endAddress'))}")


def _abuse_roles(entities: list[_Entity], holder: str, scope: Scope) -> Iterator[Finding]:
    about = "the registrar" if scope == "registrar" else "this network"
    for entity in entities:
        if "abuse" not in entity.roles:
            continue
        named = f" ({entity.handle})" if entity.handle else ""
        why = f"RDAP names it as the abuse contact of {about}{named}"
        for mail in sorted(_mails(entity.document), key=lambda mail: mail.rank):
            yield Finding("high", why, mail.address, holder=holder, scope=scope)
        if not list(_mails(entity.document)):
            for form in _forms(entity.document):
                yield Finding("high", why + ", by web form", form=form, holder=holder, scope=scope)


def _free_text(document: Mapping[str, Any], entities: list[_Entity], holder: str) -> Iterator[Finding]:
    """Read remarks, and mailboxes that are desks by their name (RFC 6650 §5.1)."""
    lines = [*_remarks(document), *(line for entity in entities for line in _remarks(entity.document))]
    for address, confidence in complaint_addresses(lines):
        yield Finding(
            confidence, "remarks about abuse in the registry's RDAP answer name it", address, holder=holder
        )
    for entity in entities:
        for mail in _mails(entity.document):
            if is_desk_name(mail.address):
                why = "the registry's RDAP answer lists it, and its name says that it takes complaints"
                yield Finding("low", why, mail.address, holder=holder)


def _entities(document: Mapping[str, Any]) -> Iterator[_Entity]:
    """Walk all entities, outer before inner, bounded in depth and number."""
    waiting = [(document, False, 0)]
    count = 0
    while waiting:
        parent, under_registrar, depth = waiting.pop(0)
        for child in _items(parent.get("entities")):
            if not isinstance(child, Mapping) or depth >= _DEEPEST or count >= _MOST_ENTITIES:
                continue
            count += 1
            entity = _Entity(child, under_registrar)
            yield entity
            waiting.append((child, under_registrar or "registrar" in entity.roles, depth + 1))


def _links(document: Mapping[str, Any], relation: str) -> list[str]:
    links = (link for link in _items(document.get("links")) if isinstance(link, Mapping))
    wanted = (
        _text(link.get("href"))
        for link in links
        if _text(link.get("rel")).lower() == relation and _text(link.get("type")).lower() in _LINK_TYPES
    )
    return [href for href in wanted if href]


def _holders(entities: list[_Entity]) -> list[str]:
    names = []
    for entity in entities:
        if "registrant" in entity.roles:
            names += [
                _text(value) for name, _, value in _properties(entity.document) if name in {"fn", "org"}
            ]
    return names


def _mails(entity: Mapping[str, Any]) -> Iterator[_Mail]:
    """Read a jCard's mailboxes: `email`, and `contact-uri` with mailto: (RFC 8605 §2.1)."""
    for name, parameters, value in _properties(entity):
        texts = [_text(item) for item in (value if isinstance(value, list) else [value])]
        if name == "contact-uri":
            texts = [text for text in texts if text.lower().startswith("mailto:")]
        elif name != "email":
            continue
        declared = "abuse" in {kind.lower() for kind in _strings(parameters.get("type"))}
        preference = _text(parameters.get("pref"))
        rank = (
            0 if declared else 1,
            int(preference) if preference.isdecimal() and len(preference) < 4 else 100,
        )
        for text in texts:
            for address in addresses_in(text.partition("?")[0]):
                yield _Mail(address, rank)


def _forms(entity: Mapping[str, Any]) -> Iterator[str]:
    for name, _, value in _properties(entity):
        if name == "contact-uri" and _text(value).lower().startswith(("https://", "http://")):
            yield _text(value)


def _properties(entity: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], Any]]:
    """Walk a jCard's properties as (name, parameters, value) (RFC 7095 §3.3); others are skipped."""
    card = _items(entity.get("vcardArray"))
    for item in _items(card[1]) if len(card) > 1 else ():
        match item:
            case [str(name), Mapping() as parameters, _, value, *_]:
                yield name.lower(), parameters, value


def _remarks(document: Mapping[str, Any]) -> list[str]:
    lines = []
    for remark in _items(document.get("remarks")):
        if isinstance(remark, Mapping):
            lines += [part for text in _strings(remark.get("description")) for part in text.splitlines()]
    return lines


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [item for item in _items(value) if isinstance(item, str)]


def _text(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else ""
