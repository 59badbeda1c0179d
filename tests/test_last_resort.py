"""What the DNS says of a host that no registry names a desk for, and which mailboxes can take mail at all."""

import asyncio
from typing import Any

import pytest

from abuse_lookup import Lookup, MailAnswer, Resolver, Status
from abuse_lookup.mail_domain import MailDomains
from abuse_lookup.target import ip_refusal
from complaints.loopback import World, loopback_internet
from tests.test_lookup import best, look_up

IP = "198.51.100.9"
# Nobody is registered for the network; the host is called host9.isp.example, and that points back
NAMED = """
[reverse]
"198.51.100.9" = "host9.pool.isp.example"
"""
TAKES_MAIL = """
[domains."isp.example"]
mx = ["mx.isp.example"]
"""
ZONES = ("contacts.abuse.net",)


def found_for(world: str, target: str = IP, **settings: Any) -> Lookup:
    [found] = look_up(world, target, **settings).found
    return found


def listed(origin: str) -> str:
    return f"""
[zones]
"contacts.abuse.net" = '''
isp.example IN TXT   "desk@isp.example"
isp.example IN HINFO "{origin}" "isp.example"
'''
"""


def run_by(mailbox: str, zone: str = "100.51.198.in-addr.arpa") -> str:
    """A zone whose start of authority names a mailbox, as it stands in a master file."""
    return f"""
[zones]
"{zone}" = '@ IN SOA ns.loopback.example. {mailbox} 1 3600 600 86400 60'
[domains."keeper.example"]
mx = ["mx.keeper.example"]
"""


def test_a_contact_zone_is_asked_for_the_domain_of_the_confirmed_name() -> None:
    found = found_for(NAMED + TAKES_MAIL + listed("lookup"), contact_zones=ZONES)
    assert best(found) == ("desk@isp.example", "domain", "dns", "medium")
    assert found.contacts[0].server == "contacts.abuse.net"
    assert [contact.address for contact in found.contacts] == ["desk@isp.example"]


def test_a_zones_guess_ranks_no_higher_than_our_own() -> None:
    found = found_for(NAMED + TAKES_MAIL + listed("default"), contact_zones=ZONES)
    assert best(found) == ("desk@isp.example", "domain", "dns", "low")


def test_a_registrys_mailbox_in_a_zone_is_no_contact_and_the_search_goes_on() -> None:
    """Abusix names LACNIC's mailbox for every network of its region."""
    zone = '"zone.example" = "9.100.51.198 IN TXT abuse@lacnic.net"\n"lacnic.net" = "@ IN MX 10 mx.isp.example."\n'
    found = found_for(NAMED + TAKES_MAIL + listed("lookup") + zone, contact_zones=("zone.example", *ZONES))
    assert [contact.address for contact in found.contacts] == ["desk@isp.example"]
    assert [item.address for item in found.rejected] == ["abuse@lacnic.net"]


def test_a_name_that_does_not_point_back_leads_to_nobody() -> None:
    zone = '"pool.isp.example" = "host9 IN A 192.0.2.1"\n'
    found = found_for(NAMED + TAKES_MAIL + listed("lookup") + zone, contact_zones=ZONES)
    assert found.contacts == ()


def test_the_guess_is_the_mailbox_of_the_organisation_not_of_the_host() -> None:
    found = found_for(NAMED + TAKES_MAIL)
    assert best(found) == ("abuse@isp.example", "domain", "dns", "low")
    assert "host9.pool.isp.example" in found.contacts[0].why


def test_whoever_runs_the_reverse_zone_is_a_hint_when_there_is_nobody_else() -> None:
    found = found_for(run_by("dns\\.admin.keeper.example."))
    assert best(found) == ("dns.admin@keeper.example", "domain", "soa", "low")
    assert "not the host itself" in found.contacts[0].why


def test_nobody_asks_who_runs_a_zone_while_somebody_better_is_known() -> None:
    seen = look_up(NAMED + TAKES_MAIL + run_by("hostmaster.keeper.example."), IP)
    assert [contact.address for contact in seen.found[0].contacts] == ["abuse@isp.example"]
    assert not [question for question in seen.net.questions if question.question.startswith("SOA")]


def test_whoever_runs_the_zone_of_the_confirmed_name_is_the_last_hint() -> None:
    """The domain itself takes no mail, so `abuse@` of it is no way to reach anybody."""
    own = "host9.pool IN A 198.51.100.9\n@ IN MX 0 .\n@ IN SOA"
    world = NAMED + run_by("hostmaster.keeper.example.", "isp.example").replace("'@ IN SOA", f"'''{own}")
    found = found_for(world.replace("86400 60'", "86400 60'''"))
    assert best(found) == ("hostmaster@keeper.example", "domain", "soa", "low")
    assert [item.address for item in found.rejected] == ["abuse@isp.example"]


def test_whoever_runs_the_zone_above_a_domain_that_is_gone_is_no_hint() -> None:
    above = "@ IN SOA ns.loopback.example. hostmaster.keeper.test. 1 3600 600 86400 60"
    world = f'[zones]\n"example" = "{above}"\n[domains."keeper.test"]\nmx = ["mx.keeper.test"]\n'
    found = found_for(world, "gone.example")
    assert found.contacts == ()
    assert [item.address for item in found.rejected] == ["abuse@gone.example"]


@pytest.mark.parametrize(
    "mailbox",
    [
        "dns-ops.arin.net.",
        "read-txt-record-of-zone-first-dns-admin.apnic.net.",
        "awsdns-hostmaster.amazon.com.",
        "dns.cloudflare.com.",
        ".",
        "localhost.",
        "root.localhost.",
        "hostmaster\\@keeper.example.keeper.example.",
    ],
)
def test_who_runs_zones_for_others_is_no_hint(mailbox: str) -> None:
    mail = "\n".join(
        f'"{domain}" = "@ IN MX 10 mx.keeper.example."'
        for domain in ("arin.net", "apnic.net", "amazon.com", "cloudflare.com")
    )
    found = found_for(run_by(mailbox).replace("[domains", mail + "\n[domains"))
    assert (found.contacts, found.rejected) == ((), ())


def test_a_hint_whose_mailbox_takes_no_mail_is_rejected() -> None:
    found = found_for(run_by("hostmaster.nowhere.example."))
    assert found.contacts == ()
    assert [item.address for item in found.rejected] == ["hostmaster@nowhere.example"]


def test_a_zone_that_cannot_be_found_out_is_a_failure_not_a_contact() -> None:
    found = found_for('[dns]\n"100.51.198.in-addr.arpa" = "servfail"\n')
    assert found.contacts == ()
    assert {failure.source for failure in found.failures if not failure.permanent} == {"dns"}


MAIL = """
[zones]
"mail.example" = '''
good     IN MX 10 mx.mail.example.
private  IN MX 10 inside.mail.example.
private  IN MX 20 looped.mail.example.
gone     IN MX 10 nothing.mail.example.
half     IN MX 10 nothing.mail.example.
half     IN MX 20 mx.mail.example.
unsure   IN MX 10 nothing.mail.example.
unsure   IN MX 20 host.broken.example.
null     IN MX 0  .
itself   IN A     192.0.2.9
inner    IN A     10.0.0.7
mx       IN A     192.0.2.8
inside   IN A     192.168.1.1
looped   IN A     127.0.0.1
nowhere  IN TXT   "no address"
'''
[dns]
"broken.example" = "servfail"
"""


def checks(*names: str) -> tuple[list[MailAnswer], int]:
    """What is said of these domains, one after the other, and how many questions that cost."""

    async def run() -> tuple[list[MailAnswer], int]:
        async with loopback_internet(World.parse(MAIL)) as net:
            host, _, port = net.dns.rpartition(":")
            domains = MailDomains(
                Resolver([(host, int(port))], seconds=1.0), lambda ip: ip_refusal(ip) is None
            )
            found = [await domains.check(name) for name in names]
            return found, len(net.asked("dns"))

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("domain", "status", "reason"),
    [
        ("good.mail.example", Status.FOUND, ""),
        ("half.mail.example", Status.FOUND, ""),
        ("itself.mail.example", Status.FOUND, ""),
        ("private.mail.example", Status.ABSENT, "inside.mail.example is at 192.168.1.1, no public address"),
        ("gone.mail.example", Status.ABSENT, "nothing.mail.example does not exist"),
        ("inner.mail.example", Status.ABSENT, "10.0.0.7"),
        ("null.mail.example", Status.ABSENT, "null MX"),
        ("nowhere.mail.example", Status.ABSENT, "neither mail hosts nor an address"),
        ("unsure.mail.example", Status.TEMPORARY, "host.broken.example"),
        ("broken.example", Status.TEMPORARY, "SERVFAIL"),
    ],
)
def test_a_domain_takes_mail_when_a_host_of_it_can_be_reached(
    domain: str, status: Status, reason: str
) -> None:
    [[answer], _] = checks(domain)
    assert answer.status is status
    assert reason in answer.reason


def test_the_host_that_can_be_reached_is_told_and_who_stands_for_itself() -> None:
    [[half, itself], _] = checks("half.mail.example", "itself.mail.example")
    assert half.value == ((20, "mx.mail.example"),)
    assert (itself.value, itself.implicit) == (((0, "itself.mail.example"),), True)


def test_a_domain_is_asked_about_once() -> None:
    _, once = checks("good.mail.example")
    _, twice = checks("good.mail.example", "good.mail.example", "gone.mail.example", "gone.mail.example")
    _, both = checks("good.mail.example", "gone.mail.example")
    assert once == 2  # its mail hosts, and where one is
    assert twice == both


def test_a_mailbox_whose_mail_hosts_lead_inside_is_rejected_with_the_reason() -> None:
    inside = '"inside.example" = "@ IN MX 10 mx\\nmx IN A 169.254.1.1"\n[domains'
    found = found_for(run_by("hostmaster.inside.example.").replace("[domains", inside))
    assert found.contacts == ()
    assert "mx.inside.example is at 169.254.1.1" in found.rejected[0].why
