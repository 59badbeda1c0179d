"""Contact zones in the DNS."""

import asyncio

import pytest

from abuse_lookup import Resolver, Status, Target
from abuse_lookup.answer import Answer, Sighting
from abuse_lookup.contactdb import ContactZones
from complaints.loopback import World, loopback_internet

WORLD = """
[zones]
"contacts.abuse.net" = '''
pills.example IN TXT "abuse@pills.example"
pills.example IN TXT "noc@pills.example"
'''
"zone.example" = '''
9.100.51.198 IN TXT "abuse@cloud.example, second@cloud.example"
8.100.51.198 IN TXT "not a mailbox"
1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2 IN TXT "abuse@six.example"
'''

[dns]
"9.100.51.198.broken.example" = "servfail"
"""


def asked(target: str, *zones: str) -> list[Answer[Sighting]]:
    async def run() -> list[Answer[Sighting]]:
        async with loopback_internet(World.parse(WORLD)) as net:
            host, _, port = net.dns.rpartition(":")
            contact_zones = ContactZones(Resolver([(host, int(port))], seconds=1.0), zones)
            return await contact_zones.look_up(Target.parse(target))

    return asyncio.run(run())


def mailboxes(answer: Answer[Sighting]) -> list[str | None]:
    return [found.address for found in answer.value.findings]


@pytest.mark.parametrize(
    ("target", "found"),
    [
        ("198.51.100.9", ["abuse@cloud.example", "second@cloud.example"]),
        ("198.51.100.9/32", ["abuse@cloud.example", "second@cloud.example"]),
        ("2001:db8::1", ["abuse@six.example"]),
        ("198.51.100.8", []),
        ("198.51.100.7", []),
    ],
)
def test_addresses_are_asked_for_in_reverse(target: str, found: list[str]) -> None:
    [answer] = asked(target, "zone.example.")
    assert mailboxes(answer) == found
    assert answer.status is (Status.FOUND if found else Status.ABSENT)
    assert answer.server == "zone.example"


def test_a_zone_of_domains_is_asked_by_domain_only() -> None:
    [answer] = asked("www.pills.example", "zone.example", "contacts.abuse.net")
    assert sorted(str(mailbox) for mailbox in mailboxes(answer)) == [
        "abuse@pills.example",
        "noc@pills.example",
    ]
    [answer] = asked("198.51.100.9", "contacts.abuse.net", "zone.example")
    assert answer.server == "zone.example"


def test_a_broken_zone_is_an_error_beside_the_others() -> None:
    broken, working = asked("198.51.100.9", "broken.example", "zone.example")
    assert broken.status is Status.TEMPORARY
    assert working.found


def test_no_zones_no_questions() -> None:
    assert asked("198.51.100.9") == []
