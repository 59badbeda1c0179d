"""Contact zones in the DNS."""

import asyncio

import pytest

from abuse_lookup import Resolver, Status, Target
from abuse_lookup.answer import Answer, Sighting
from abuse_lookup.contactdb import ContactZones, terms
from complaints.loopback import World, loopback_internet

WORLD = """
[zones]
"contacts.abuse.net" = '''
pills.example   IN TXT   "abuse@pills.example"
pills.example   IN TXT   "noc@pills.example"
pills.example   IN A     0.0.0.2
pills.example   IN HINFO "lookup" "pills.example"
nobody.example  IN TXT   "abuse@nobody.example"
nobody.example  IN A     0.0.0.1
nobody.example  IN HINFO "default" "nobody.example"
half.example    IN TXT   "abuse@half.example"
half.example    IN A     0.0.0.3
half.example    IN HINFO "lookup" "half.example"
caught.example  IN TXT   "abuse@caught.example"
caught.example  IN A     192.0.2.80
broken.example  IN TXT   "abuse@broken.example"
'''
"zone.example" = '''
9.100.51.198 IN TXT "abuse@cloud.example, second@cloud.example"
7.100.51.198 IN TXT "abuse@one.example;abuse@two.example"
7.100.51.198 IN TXT "  abuse@one.example "
8.100.51.198 IN TXT "refused: open resolver, write to support@zone.example"
6.100.51.198 IN TXT "root@localhost"
5.100.51.198 IN TXT ""
4.100.51.198 IN A   127.255.255.255
3.100.51.198 IN TXT "root@localhost, abuse@cloud.example"
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


def worth(answer: Answer[Sighting]) -> set[tuple[str, str]]:
    return {(found.scope, found.confidence) for found in answer.value.findings}


@pytest.mark.parametrize(
    ("target", "found"),
    [
        ("198.51.100.9", ["abuse@cloud.example", "second@cloud.example"]),
        ("198.51.100.9/32", ["abuse@cloud.example", "second@cloud.example"]),
        ("198.51.100.7", ["abuse@one.example", "abuse@two.example"]),
        ("2001:db8::1", ["abuse@six.example"]),
        ("198.51.100.99", []),
    ],
)
def test_addresses_are_asked_for_in_reverse(target: str, found: list[str]) -> None:
    [answer] = asked(target, "zone.example.")
    assert sorted(str(mailbox) for mailbox in mailboxes(answer)) == found
    assert answer.status is (Status.FOUND if found else Status.ABSENT)
    assert answer.server == "zone.example"
    assert worth(answer) <= {("network", "medium")}


@pytest.mark.parametrize("ip", ["198.51.100.6", "198.51.100.5", "198.51.100.4"])
def test_a_test_point_and_a_code_are_no_contacts(ip: str) -> None:
    [answer] = asked(ip, "zone.example")
    assert (answer.status, answer.value.findings) == (Status.ABSENT, ())


def test_a_test_point_beside_a_contact_is_left_out() -> None:
    assert mailboxes(asked("198.51.100.3", "zone.example")[0]) == ["abuse@cloud.example"]


def test_a_zone_that_answers_with_a_sentence_refuses_and_its_own_support_is_no_desk() -> None:
    [answer] = asked("198.51.100.8", "zone.example")
    assert (answer.status, answer.value.findings) == (Status.TEMPORARY, ())
    assert "open resolver" in answer.reason


def test_a_zone_of_domains_is_asked_by_domain_only() -> None:
    [answer] = asked("www.pills.example", "zone.example", "contacts.abuse.net")
    assert sorted(str(mailbox) for mailbox in mailboxes(answer)) == [
        "abuse@pills.example",
        "noc@pills.example",
    ]
    [answer] = asked("198.51.100.9", "contacts.abuse.net", "zone.example")
    assert answer.server == "zone.example"


def test_a_registered_contact_is_told_from_the_zones_guess() -> None:
    [answer] = asked("pills.example", "contacts.abuse.net")
    assert worth(answer) == {("domain", "medium")}
    assert "registered" in answer.value.findings[0].why
    [answer] = asked("nobody.example", "contacts.abuse.net")
    assert worth(answer) == {("domain", "low")}
    assert "nobody has registered" in answer.value.findings[0].why


@pytest.mark.parametrize("domain", ["caught.example", "half.example"])
def test_an_answer_that_is_not_whole_is_not_believed(domain: str) -> None:
    [answer] = asked(domain, "contacts.abuse.net")
    assert (answer.status, answer.value.findings) == (Status.TEMPORARY, ())
    assert "1 came" in answer.reason


def test_a_contact_of_unknown_origin_counts_as_a_guess() -> None:
    [answer] = asked("broken.example", "contacts.abuse.net")
    assert worth(answer) == {("domain", "low")}


def test_a_broken_zone_is_an_error_beside_the_others() -> None:
    broken, working = asked("198.51.100.9", "broken.example", "zone.example")
    assert broken.status is Status.TEMPORARY
    assert working.found


def test_no_zones_no_questions() -> None:
    assert asked("198.51.100.9") == []


def test_the_terms_of_a_zone_are_known_or_said_not_to_be() -> None:
    assert "shown to a person first" in terms("contacts.abuse.net")
    assert "LACNIC" in terms("abuse-contacts.abusix.zone")
    assert terms("zone.example") == "zone.example, asked by address: its terms are not known to us"
