"""Takes an entity of an RDAP answer (RFC 9083 §5.1); leaves the mailboxes, forms and names on its card.

Pure, never raises on content. The card may be a jCard (RFC 7095) or a JSContact card (RFC 9553), as some
registries have begun to write beside it or instead, and either may be anything at all.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from abuse_lookup.mailbox import addresses_in, web_form

_UNSAID = 101  # RFC 6350 §5.3: `pref` is 1 to 100, and its absence comes after all of them
_DEEPEST = 4
_MOST_PROPERTIES = 500
_MISPLACED = frozenset({"url", "note", "fn", "org", "adr", "tel", "impp", "uid", "label", "source"})
_CARDS = ("jscard", "jscontact", "jscontact_card", "jscontactcard")
_JSCONTACT = (
    ("emails", ("address", "email"), "email"),
    ("links", ("uri", "href"), "contact-uri"),
    ("name", ("full",), "fn"),
    ("fullName", ("value",), "fn"),
    ("organizations", ("name",), "org"),
    ("notes", ("note",), "note"),
)
"""(member of a JSContact card, members in it, the jCard property that it is)"""


@dataclass(frozen=True, slots=True)
class Mail:
    """A mailbox on a card."""

    address: str
    declared: bool = False
    """The card itself calls it the one for abuse."""
    preference: int = _UNSAID
    misplaced: bool = False
    """It stands where no mailbox belongs: in a note, a name, an address."""

    @property
    def rank(self) -> tuple[bool, bool, int]:
        """Smaller is better."""
        return self.misplaced, not self.declared, self.preference

    @property
    def preferred(self) -> bool:
        """Whether the card says which mailbox to prefer, and it is this one."""
        return self.declared or self.preference < _UNSAID


@dataclass(frozen=True, slots=True)
class Card:
    """What a card holds. `mails` are in order of preference."""

    mails: tuple[Mail, ...]
    forms: tuple[str, ...]
    names: tuple[str, ...]

    @property
    def reachable(self) -> bool:
        """Whether it names any way to write to somebody."""
        return bool(self.mails or self.forms)


def read_card(entity: Mapping[str, Any]) -> Card:
    """Read the card of an entity, of whichever kind; empty where there is none."""
    properties = [*_jcard(entity), *_jscontact(entity)]
    mails = sorted(_mails(properties), key=lambda mail: mail.rank)
    best: dict[str, Mail] = {}
    for mail in mails:
        best.setdefault(mail.address.lower(), mail)
    names = [text for name, _, texts in properties if name in {"fn", "org"} for text in texts]
    return Card(tuple(best.values()), tuple(dict.fromkeys(_forms(properties))), tuple(names))


_Property = tuple[str, Mapping[str, Any], list[str]]


def _mails(properties: list[_Property]) -> Iterator[Mail]:
    """Read `email`, `contact-uri` with mailto: (RFC 8605 §2.1), and what stands in the wrong place."""
    for name, parameters, texts in properties:
        misplaced = name in _MISPLACED
        if not misplaced and name not in {"email", "contact-uri"}:
            continue
        read = [text for text in texts if name != "contact-uri" or text.lower().startswith("mailto:")]
        for address in (found for text in read for found in addresses_in(text.partition("?")[0])):
            # Two asterisks: the registry hid a part (RFC 9537 §3.3, partial values).
            if "**" not in address:
                yield Mail(address, _is_declared(parameters), _preference(parameters), misplaced)


def _forms(properties: list[_Property]) -> Iterator[str]:
    """Read `contact-uri`, and a `url` that itself speaks of abuse, lest a home page is taken for a form."""
    for name, _, texts in properties:
        if name not in {"contact-uri", "url"}:
            continue
        for form in map(web_form, texts):
            if form and (name == "contact-uri" or "abuse" in form.lower()):
                yield form


def _is_declared(parameters: Mapping[str, Any]) -> bool:
    kinds = (*_texts(parameters.get("type"), 0), *_texts(parameters.get("label"), 0))
    return any("abuse" in kind.lower() for kind in kinds)


def _preference(parameters: Mapping[str, Any]) -> int:
    value = next(_texts(parameters.get("pref"), 0), "")
    return int(value) if value.isascii() and value.isdecimal() and 0 < len(value) < 4 else _UNSAID


def _jcard(entity: Mapping[str, Any]) -> Iterator[_Property]:
    """Walk `["vcard", [[name, parameters, type, value, ...], ...]]` (RFC 7095 §3.3), framed or not."""
    card = entity.get("vcardArray")
    parts = [part for part in card if isinstance(part, list)] if isinstance(card, list) else []
    count = 0
    for part in parts:
        for item in [part] if part and isinstance(part[0], str) else part:
            if isinstance(item, list) and item and isinstance(item[0], str) and count < _MOST_PROPERTIES:
                count += 1
                parameters = next((value for value in item[1:] if isinstance(value, Mapping)), {})
                values = item[3:] if len(item) > 3 else item[1:]
                texts = [text for value in values for text in _texts(value, 0)]
                if item[0].lower() == "email" and not any("@" in text for text in texts):
                    texts += [text for value in item[1:3] for text in _texts(value, 0)]
                label = list(_texts(parameters.get("label"), 0)) if item[0].lower() == "adr" else []
                yield item[0].lower(), parameters, texts + label
    if uri := entity.get(
        "contact_URI"
    ):  # ICANN's profile names it so, and some registrars put it beside the card
        yield "contact-uri", {}, list(_texts(uri, 0))


def _jscontact(entity: Mapping[str, Any]) -> Iterator[_Property]:
    """Walk a JSContact card as the same properties a jCard has (RFC 9555 maps one onto the other)."""
    for key, card in entity.items():
        if not isinstance(card, Mapping) or str(key).lower() not in _CARDS:
            continue
        for member, inner, name in _JSCONTACT:
            for value in _members(card.get(member)):
                parameters = value if isinstance(value, Mapping) else {}
                if name == "contact-uri" and str(parameters.get("kind", "")).lower() != "contact":
                    continue
                found = [parameters[key] for key in inner if key in parameters]
                found = found or (list(parameters.values()) if parameters else [value])
                yield name, _as_parameters(parameters), [text for each in found for text in _texts(each, 0)]


def _members(value: Any) -> list[Any]:
    """List what a JSContact map, or a single value in its place, holds."""
    if isinstance(value, Mapping):
        inner = list(value.values())[:_MOST_PROPERTIES]
        return inner if any(isinstance(item, Mapping) for item in inner) else [value]
    return value[:_MOST_PROPERTIES] if isinstance(value, list) else [value]


def _as_parameters(value: Mapping[str, Any]) -> dict[str, Any]:
    contexts = value.get("contexts")
    kinds = list(contexts) if isinstance(contexts, Mapping) else contexts
    return {"type": kinds, "label": value.get("label"), "pref": value.get("pref")}


def _texts(value: Any, depth: int) -> Iterator[str]:
    """Walk the strings and numbers in a value, however it is wrapped in lists."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, int) and not isinstance(value, bool) and value < 1 << 64:
        yield str(value)
    elif isinstance(value, list) and depth < _DEEPEST:
        for item in value[:_MOST_PROPERTIES]:
            yield from _texts(item, depth + 1)
    elif isinstance(value, Mapping) and depth < _DEEPEST and isinstance(value.get("value"), str):
        yield str(value["value"])
