"""What the DNS says, in four values, over real sockets."""

import asyncio
import ipaddress
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from abuse_lookup import ConfigError, MailAnswer, Resolver, Status
from abuse_lookup.reach import Reach, Unreachable
from complaints.loopback import World, loopback_internet

T = TypeVar("T")
WORLD = """
[dns]
"servfail.broken.example" = "servfail"
"silent.broken.example" = "timeout"
"lame.broken.example" = "lame"
"garbage.broken.example" = "garbage"
"long.broken.example" = "truncated"

[zones]
"names.example" = '''
@        IN A     192.0.2.1
@        IN AAAA  2001:db8::1
@        IN MX    20 mx2.names.example.
@        IN MX    10 MX1.names.example.
@        IN TXT   "one " "text"
four     IN A     192.0.2.4
null     IN MX    0 .
bare     IN TXT   "no address here"
inside   IN A     10.0.0.1
inside   IN A     127.0.0.1
inside   IN AAAA  ::ffff:169.254.169.254
loop     IN CNAME loop2
loop2    IN CNAME loop
alias    IN CNAME large
large    IN TXT   LARGE
'''
"broken.example" = '''
@        IN A   192.0.2.2
long     IN TXT "over TCP"
'''

[reverse]
"192.0.2.4" = "four.names.example"
"192.0.2.9" = "four.names.example"
"""
WORLD = WORLD.replace("LARGE", " ".join(f'"{letter * 250}"' for letter in "abcdefghijklmnop"))


def ask(question: Callable[[Resolver], Awaitable[T]], seconds: float = 2.0) -> T:
    async def run() -> T:
        async with loopback_internet(World.parse(WORLD)) as net:
            host, _, port = net.dns.rpartition(":")
            return await question(Resolver([(host, int(port))], seconds=seconds))

    return asyncio.run(run())


def mx(domain: str) -> MailAnswer:
    return ask(lambda resolver: resolver.mx(domain))


def test_addresses_of_both_families_are_found_with_server_and_expiry() -> None:
    answer = ask(lambda resolver: resolver.addresses("names.example"))
    assert answer.status is Status.FOUND
    assert answer.value == ("192.0.2.1", "2001:db8::1")
    assert answer.server
    assert answer.expires is not None
    assert answer.expires.utcoffset() is not None


def test_an_address_is_its_own_answer() -> None:
    assert ask(lambda resolver: resolver.addresses("[192.0.2.7]")).value == ("192.0.2.7",)


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("nothing.names.example", Status.ABSENT),
        ("bare.names.example", Status.ABSENT),
        ("servfail.broken.example", Status.TEMPORARY),
        ("silent.broken.example", Status.TEMPORARY),
        ("garbage.broken.example", Status.TEMPORARY),
        ("lame.broken.example", Status.TEMPORARY),
        ("x" * 64 + ".example", Status.PERMANENT),
        ("a..example", Status.PERMANENT),
    ],
)
def test_absent_is_not_failed(name: str, status: Status) -> None:
    answer = ask(lambda resolver: resolver.addresses(name), seconds=0.5)
    assert (answer.status, answer.value) == (status, ())
    assert name[:30] in answer.reason


def test_a_loop_of_names_ends() -> None:
    answer = ask(lambda resolver: resolver.addresses("loop.names.example"))
    assert not answer.found


def test_silence_is_over_in_time() -> None:
    started = time.monotonic()
    ask(lambda resolver: resolver.txt("silent.broken.example"), seconds=0.5)
    assert time.monotonic() - started < 2


def test_mail_hosts_come_in_the_order_of_preference() -> None:
    answer = mx("names.example")
    assert answer.value == ((10, "mx1.names.example"), (20, "mx2.names.example"))
    assert not answer.implicit


def test_a_domain_without_mx_is_its_own_mail_host() -> None:
    answer = mx("four.names.example")
    assert (answer.value, answer.implicit) == (((0, "four.names.example"),), True)


def test_a_null_mx_is_a_clear_no() -> None:
    answer = mx("null.names.example")
    assert (answer.status, answer.null, answer.value) == (Status.ABSENT, True, ())
    assert "RFC 7505" in answer.reason


def test_no_mx_and_no_address_is_absent_and_an_error_is_not() -> None:
    assert mx("bare.names.example").status is Status.ABSENT
    assert mx("nothing.names.example").status is Status.ABSENT
    assert mx("servfail.broken.example").status is Status.TEMPORARY


def test_texts_are_joined_and_long_ones_come_over_tcp() -> None:
    assert ask(lambda resolver: resolver.txt("names.example")).value == ("one text",)
    assert ask(lambda resolver: resolver.txt("long.broken.example")).value == ("over TCP",)


def test_many_texts_are_asked_for_at_once_and_none_is_not_no_answer() -> None:
    names = [
        "names.example",
        "alias.names.example",
        "four.names.example",
        "no.names.example",
        "a..example",
        "silent.broken.example",
        "servfail.broken.example",
    ]
    started = time.monotonic()
    found = ask(lambda resolver: resolver.all_txt(names), seconds=1)
    assert time.monotonic() - started < 3
    assert found == {
        "names.example": ("one text",),
        "alias.names.example": ("".join(letter * 250 for letter in "abcdefghijklmnop"),),
        "four.names.example": (),
        "no.names.example": (),
        "a..example": (),
        "silent.broken.example": None,
        "servfail.broken.example": None,
    }


def test_a_reverse_name_counts_only_where_it_points_back() -> None:
    assert ask(lambda resolver: resolver.confirmed_ptr("192.0.2.4")).value == ("four.names.example",)
    assert ask(lambda resolver: resolver.ptr("192.0.2.9")).value == ("four.names.example",)
    liar = ask(lambda resolver: resolver.confirmed_ptr("192.0.2.9"))
    assert (liar.status, liar.value) == (Status.ABSENT, ())
    assert "does not point back" in liar.reason
    assert ask(lambda resolver: resolver.confirmed_ptr("192.0.2.77")).status is Status.ABSENT
    assert ask(lambda resolver: resolver.ptr("rubbish")).status is Status.PERMANENT


def test_a_name_server_that_is_no_address_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match="give IP addresses"):
        Resolver([("dns.example", 53)])


def reached(host: str, *allow: str, dns_on_loopback: bool = False) -> tuple[str, ...]:
    return ask(lambda resolver: Reach(resolver, allow, dns_on_loopback=dns_on_loopback).addresses(host))


def test_no_name_leads_inside() -> None:
    for host in (
        "inside.names.example",
        "127.0.0.1",
        "[::1]",
        "10.9.8.7",
        "[::ffff:127.0.0.1]",
        "[2002:7f00:1::]",
    ):
        with pytest.raises(Unreachable, match="not a public address"):
            reached(host)


def test_the_operator_may_open_a_net() -> None:
    assert reached("inside.names.example", "10.0.0.0/8") == ("10.0.0.1",)


def test_dns_on_loopback_opens_loopback_but_never_link_local() -> None:
    assert set(reached("inside.names.example", dns_on_loopback=True)) == {"10.0.0.1", "127.0.0.1"}


def test_public_names_are_reached() -> None:
    assert reached("names.example") == ("192.0.2.1", "2001:db8::1")
    assert all(ipaddress.ip_address(text) for text in reached("names.example"))


def test_a_net_that_is_none_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match="give CIDRs"):
        reached("names.example", "inside")
