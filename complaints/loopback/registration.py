"""RDAP objects (RFC 9083) of a world: takes networks, numbers and domains, leaves JSON-ready dictionaries.

Entities carry jCards (RFC 7095). Where a network publishes its abuse address decides where the entity stands:
inside the registrant ("rdap"), beside it ("rdap-top"), as a bare link to follow ("rdap-linked"), or only in
remarks ("rdap-remarks").
"""

from typing import Any

from .tables import Autnum, Domain, Holding, Network, Registrar
from .world import World

Json = dict[str, Any]
CONFORMANCE = ["rdap_level_0", "cidr0"]
EVENTS = [
    {"eventAction": "registration", "eventDate": "2019-03-11T09:12:44Z"},
    {"eventAction": "last changed", "eventDate": "2024-02-19T13:01:07Z"},
]


def holding_object(holding: Holding, base: str) -> Json:
    """Describe a network or autonomous system as the registry at the base URL does."""
    assert isinstance(holding, Network | Autnum)
    own = _network(holding, base) if isinstance(holding, Network) else _autnum(holding, base)
    remarks = []
    if holding.remarks:
        remarks.append({"title": "description", "description": list(holding.remarks)})
    if "rdap-remarks" in holding.published:
        lines = [f"Please send abuse reports to {address}" for address in holding.abuse]
        remarks.append({"title": "remarks", "description": lines})
    return {
        "rdapConformance": CONFORMANCE,
        **own,
        "name": holding.name,
        "country": holding.country,
        "status": ["active"],
        "events": EVENTS,
        "entities": _entities(holding, base),
        **({"remarks": remarks} if remarks else {}),
    }


def _network(network: Network, base: str) -> Json:
    """Return what is particular to an IP network (RFC 9083 §5.4), with the cidr0 extension."""
    version = network.cidr.version
    first = str(network.cidr[0])
    return {
        "objectClassName": "ip network",
        "handle": network.handle,
        "startAddress": first,
        "endAddress": str(network.cidr[-1]),
        "ipVersion": f"v{version}",
        "type": "DIRECT ALLOCATION",
        "cidr0_cidrs": [{f"v{version}prefix": first, "length": network.cidr.prefixlen}],
        "links": [_self(f"{base}ip/{network.cidr}")],
    }


def _autnum(autnum: Autnum, base: str) -> Json:
    """Return what is particular to an autonomous system number (RFC 9083 §5.5)."""
    return {
        "objectClassName": "autnum",
        "handle": f"AS{autnum.asn}",
        "startAutnum": autnum.asn,
        "endAutnum": autnum.asn,
        "links": [_self(f"{base}autnum/{autnum.asn}")],
    }


def domain_object(domain: Domain, registrar: Registrar, base: str, registrar_base: str | None) -> Json:
    """Describe a domain (RFC 9083 §5.3); a registry links to the registrar's answer (`registrar_base`)."""
    entity = _entity(str(registrar.iana_id), ["registrar"], registrar.name, base, kind="org")
    entity["publicIds"] = [{"type": "IANA Registrar ID", "identifier": str(registrar.iana_id)}]
    if registrar_base is None or "rdap" in registrar.published:
        entity["entities"] = [_abuse_entity(f"ABUSE-{registrar.iana_id}", registrar.abuse, base)]
    links = [_self(f"{base}domain/{domain.name}")]
    if registrar_base:
        links.append({**_self(f"{registrar_base}domain/{domain.name}"), "rel": "related"})
    return {
        "rdapConformance": ["rdap_level_0"],
        "objectClassName": "domain",
        "handle": f"{domain.name.upper()}-EXAMPLE",
        "ldhName": domain.name,
        "status": ["client transfer prohibited"],
        "nameservers": [{"objectClassName": "nameserver", "ldhName": "ns.loopback.example"}],
        "secureDNS": {"delegationSigned": False},
        "events": EVENTS,
        "links": links,
        "entities": [entity],
    }


def entities_of(world: World, registry: str, base: str) -> dict[str, Json]:
    """Describe the entities of a registry of numbers, by upper-case handle (RFC 9082 §3.1.5)."""
    found = {}
    for holding in world.holdings:
        if holding.registry == registry:
            for entity in (_organisation(holding, base), _abuse_of(holding, base)):
                found[entity["handle"].upper()] = {"rdapConformance": ["rdap_level_0"], **entity}
    return found


def error_object(code: int, title: str, *description: str) -> Json:
    """Describe an error (RFC 9083 §6)."""
    return {
        "rdapConformance": ["rdap_level_0"],
        "errorCode": code,
        "title": title,
        "description": list(description),
    }


def _entities(holding: Holding, base: str) -> list[Json]:
    entities = [_organisation(holding, base)]
    if "rdap-top" in holding.published:
        entities.append(_abuse_of(holding, base))
    if "rdap-linked" in holding.published:
        linked = _abuse_of(holding, base)
        del linked["vcardArray"]
        entities.append(linked)
    return entities


def _organisation(holding: Holding, base: str) -> Json:
    """Describe the registrant, with a technical contact (a trap) and, published so, its abuse desk."""
    entity = _entity(_handle("ORG", holding), ["registrant"], holding.org, base, kind="org")
    roles = ["technical", "administrative"]
    emails = (f"hostmaster@{holding.domain}",)
    entity["entities"] = [_entity(_handle("NOC", holding), roles, "Network Operations", base, emails=emails)]
    if "rdap" in holding.published and holding.abuse:
        entity["entities"].append(_abuse_of(holding, base))
    return entity


def _abuse_of(holding: Holding, base: str) -> Json:
    return _abuse_entity(_handle("ABUSE", holding), holding.abuse, base)


def _abuse_entity(handle: str, abuse: tuple[str, ...], base: str) -> Json:
    return _entity(handle, ["abuse"], "Abuse Desk", base, emails=abuse)


def _entity(
    handle: str, roles: list[str], name: str, base: str, *, kind: str = "group", emails: tuple[str, ...] = ()
) -> Json:
    """Describe an entity (RFC 9083 §5.1)."""
    return {
        "objectClassName": "entity",
        "handle": handle,
        "roles": roles,
        "vcardArray": ["vcard", _jcard(name, kind, emails)],
        "links": [_self(f"{base}entity/{handle}")],
    }


def _jcard(name: str, kind: str, emails: tuple[str, ...]) -> list[list[Any]]:
    """List the properties of a jCard (RFC 7095 §3.3): [name, parameters, type, value]."""
    card: list[list[Any]] = [
        ["version", {}, "text", "4.0"],
        ["fn", {}, "text", name],
        ["kind", {}, "text", kind],
    ]
    address = ["", "", "1 Loopback Road", "Exampleton", "", "", "Nowhere"]
    card.append(["adr", {"label": "1 Loopback Road\nExampleton\nNowhere"}, "text", address])
    for n, email in enumerate(emails, start=1):
        card.append(["email", {"pref": str(n)} if len(emails) > 1 else {}, "text", email])
    if emails:
        card.append(["tel", {"type": ["work", "voice"]}, "uri", "tel:+1-555-555-0100"])
    return card


def _handle(kind: str, holding: Holding) -> str:
    """Return a handle with the registry's object tag at its end (RFC 8521 §2)."""
    return f"{kind}-{holding.org_handle}-{holding.registry.upper()}"


def _self(href: str) -> dict[str, str]:
    return {"value": href, "rel": "self", "href": href, "type": "application/rdap+json"}
