"""Walking along WHOIS referrals, over real sockets: bounded, without loops, and believing no stranger's cut line."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from abuse_lookup import Status, Target
from abuse_lookup.answer import Answer, Sighting
from abuse_lookup.cache import MemoryCache
from abuse_lookup.pace import Pace
from abuse_lookup.reach import Reach, Streams, Unreachable
from abuse_lookup.whois import MOST_BYTES, MOST_SERVERS, Whois
from abuse_lookup.whois_dialect import RWHOIS_PORT

ROOT = "whois.root.example"
Script = str | bytes | Callable[[asyncio.StreamWriter], Awaitable[None]]
"""What a server says, or what it does to the connection."""


@dataclass
class Servers(Reach):
    """Every host name leads to a server on loopback of its own, which says what the script has for it."""

    scripts: dict[str, Script]
    asked: list[tuple[str, str]] = field(default_factory=list)
    ports: dict[str, int] = field(default_factory=dict)
    seen_ports: dict[str, int] = field(default_factory=dict)

    async def connect(self, host: str, port: int) -> Streams:
        if host not in self.scripts:
            raise Unreachable(f"{host} has no address", permanent=True)
        self.seen_ports[host] = port
        return await asyncio.open_connection("127.0.0.1", self.ports[host])

    async def serve(self, host: str) -> asyncio.Server:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.asked.append((host, (await reader.readline()).decode("utf-8").strip()))
            script = self.scripts[host]
            try:
                if callable(script):
                    await script(writer)
                else:
                    writer.write(script if isinstance(script, bytes) else script.encode("utf-8"))
                    await writer.drain()
            except ConnectionError:
                pass  # the client had enough
            finally:
                writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        self.ports[host] = server.sockets[0].getsockname()[1]
        return server


def walk(
    scripts: dict[str, Script],
    target: str = "198.51.100.7",
    *,
    seconds: float = 5.0,
    times: int = 1,
    **more: Any,
) -> tuple[list[Answer[Sighting]], Servers]:
    async def run() -> tuple[list[Answer[Sighting]], Servers]:
        net = Servers(scripts)
        servers = [await net.serve(host) for host in scripts]
        pace = Pace(0, lambda: datetime.now(UTC))
        whois = Whois(net, pace, MemoryCache(), lambda: datetime.now(UTC), root=ROOT, port=43)
        answers: list[Answer[Sighting]] = []
        for _ in range(times):
            answers = await whois.look_up(Target.parse(target), seconds, **more)
        for server in servers:
            server.close()
        return answers, net

    return asyncio.run(run())


def mailboxes(answers: list[Answer[Sighting]]) -> list[str | None]:
    return [found.address for answer in answers for found in answer.value.findings]


NETWORK = "inetnum: 198.51.100.0 - 198.51.100.255\nnetname: NET\n"
DESK = NETWORK + "abuse-mailbox: abuse@net.example\n"


def refer(host: str) -> str:
    return f"refer: {host}\n\ninetnum: 198.0.0.0 - 198.255.255.255\nwhois: {host}\n"


def test_the_root_leads_to_the_registry_and_neither_is_asked_again_at_once() -> None:
    answers, net = walk({ROOT: refer("whois.ripe.net"), "whois.ripe.net": DESK}, times=2)
    assert mailboxes(answers) == ["abuse@net.example"]
    assert net.asked == [(ROOT, "198.51.100.7"), ("whois.ripe.net", "-r 198.51.100.7")]


def test_a_registry_that_names_another_is_not_believed_itself() -> None:
    arin = (
        "NetRange: 198.51.0.0 - 198.51.255.255\nNetType: Early Registrations, Transferred to RIPE NCC\n"
        "OrgName: RIPE Network Coordination Centre\nReferralServer: whois://whois.ripe.net:43\n"
        "OrgAbuseEmail: abuse@ripe.net\n"
    )
    answers, net = walk({ROOT: refer("whois.arin.net"), "whois.arin.net": arin, "whois.ripe.net": DESK})
    assert mailboxes(answers) == ["abuse@net.example"]
    assert [host for host, _ in net.asked] == [ROOT, "whois.arin.net", "whois.ripe.net"]


def test_servers_that_name_each_other_are_each_asked_once() -> None:
    answers, net = walk({ROOT: refer("whois.a.example"), "whois.a.example": refer("whois.b.example"), "whois.b.example": refer("whois.a.example")})  # fmt: skip
    assert [host for host, _ in net.asked] == [ROOT, "whois.a.example", "whois.b.example"]
    assert [(answer.status, answer.value.findings) for answer in answers] == [(Status.PERMANENT, ())]
    assert "only name each other" in answers[0].reason


def test_a_chain_of_referrals_ends() -> None:
    chain: dict[str, Script] = {f"whois.n{n}.example": refer(f"whois.n{n + 1}.example") for n in range(20)}
    answers, net = walk({ROOT: refer("whois.n0.example"), **chain})
    assert len(net.asked) == MOST_SERVERS
    assert answers[-1].status is Status.PERMANENT
    assert "gave up" in answers[-1].reason


def test_what_was_asked_before_is_not_asked_again() -> None:
    asked = {("whois.ripe.net", "-r 198.51.100.7")}
    _, net = walk({ROOT: refer("whois.ripe.net"), "whois.ripe.net": DESK}, asked=asked)
    assert net.asked == [(ROOT, "198.51.100.7")]


def test_a_server_that_moved_is_asked_under_its_present_name() -> None:
    apnic = NETWORK + "remarks: please use the KRNIC whois server at whois.krnic.net.\n"
    answers, net = walk({ROOT: refer("whois.apnic.net"), "whois.apnic.net": apnic, "whois.kisa.or.kr": DESK})
    assert net.asked[-1][0] == "whois.kisa.or.kr"
    assert mailboxes(answers) == ["abuse@net.example"]


def test_whoever_starts_the_search_may_know_only_the_old_name() -> None:
    _, net = walk({"whois.kisa.or.kr": DESK}, first="whois.krnic.net")
    assert net.asked == [("whois.kisa.or.kr", "198.51.100.7")]


def test_a_server_that_names_itself_does_not_end_the_search() -> None:
    root = "refer: whois.a.example\nwhois: whois.b.example\n\ninetnum: 198.0.0.0 - 198.255.255.255\n"
    empty = "% See whois.a.example for help\n% No entries found\n"
    answers, net = walk({ROOT: root, "whois.a.example": empty, "whois.b.example": DESK})
    assert [host for host, _ in net.asked] == [ROOT, "whois.a.example", "whois.b.example"]
    assert mailboxes(answers) == ["abuse@net.example"]


def test_a_server_that_answers_no_more_is_not_asked() -> None:
    answers, net = walk({ROOT: refer("whois.radb.net"), "whois.radb.net": DESK})
    assert [host for host, _ in net.asked] == [ROOT]
    assert answers[0].status is Status.PERMANENT
    assert "not asked" in answers[0].reason


def test_people_named_by_handle_are_asked_for_where_no_desk_is_named() -> None:
    network = "Network Information:\na. [Network Number]   198.51.100.0/24\nn. [Technical Contact]   CK637JP\no. [Abuse]\n"
    person = "Contact Information:\na. [JPNIC Handle]   CK637JP\nd. [E-Mail]   kato@net.example\n"

    async def either(writer: asyncio.StreamWriter) -> None:
        writer.write((person if net.asked[-1][1] == "CK637JP/e" else network).encode("ascii"))

    scripts: dict[str, Script] = {ROOT: refer("whois.nic.ad.jp"), "whois.nic.ad.jp": either}
    net = Servers(scripts)

    async def run() -> list[Answer[Sighting]]:
        servers = [await net.serve(host) for host in scripts]
        pace = Pace(0, lambda: datetime.now(UTC))
        whois = Whois(net, pace, MemoryCache(), lambda: datetime.now(UTC), root=ROOT, port=43)
        answers = await whois.look_up(Target.parse("198.51.100.7"), 5.0)
        for server in servers:
            server.close()
        return answers

    answers = asyncio.run(run())
    assert [question for _, question in net.asked] == ["198.51.100.7", "198.51.100.7/e", "CK637JP/e"]
    assert [(f.address, f.confidence) for a in answers for f in a.value.findings] == [
        ("kato@net.example", "low")
    ]


def test_an_rwhois_server_that_holds_the_connection_is_done_when_it_says_so() -> None:
    async def hold(writer: asyncio.StreamWriter) -> None:
        writer.write(
            b"%rwhois V-1.5:003fff:00 rwhois.net.example\r\nnetwork:IP-Network:198.51.100.0/28\r\n"
            b"network:Abuse-Contact;I:abuse@cloud.example\r\n\r\n%ok\r\n"
        )
        await asyncio.sleep(60)

    arin = "NetRange: 198.51.100.0 - 198.51.100.255\nReferralServer: rwhois://rwhois.net.example:4321\n"
    started = time.monotonic()
    answers, net = walk(
        {ROOT: refer("whois.arin.net"), "whois.arin.net": arin, "rwhois.net.example": hold}, seconds=20
    )
    assert mailboxes(answers) == ["abuse@cloud.example"]
    assert net.seen_ports["rwhois.net.example"] == RWHOIS_PORT
    assert time.monotonic() - started < 10


def test_a_server_that_drips_for_ever_ends_with_the_deadline() -> None:
    async def drip(writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"x\r\n")
            await writer.drain()
            await asyncio.sleep(0.02)

    answers, _ = walk({ROOT: refer("whois.ripe.net"), "whois.ripe.net": drip}, seconds=0.5)
    assert [answer.status for answer in answers] == [Status.TEMPORARY]
    assert "in time" in answers[0].reason


@pytest.mark.parametrize("end", [b"abuse-mailbox: abuse@net.exam", b"remarks: abuse@net.exam"])
def test_a_line_that_was_cut_names_nobody(end: bytes) -> None:
    answers, _ = walk({ROOT: refer("whois.ripe.net"), "whois.ripe.net": NETWORK.encode("ascii") + end})
    assert mailboxes(answers) == []


def test_an_answer_without_end_is_cut_at_the_bound_and_its_last_line_left_out() -> None:
    line = b"remarks: " + b"x" * 90 + b"\n"
    head = DESK.encode("ascii")
    padding = (MOST_BYTES - len(head)) // len(line) * line
    cut = b"abuse-mailbox: abuse@other.example.and.more.than.fits" + b"y" * 200
    answers, _ = walk({ROOT: refer("whois.ripe.net"), "whois.ripe.net": head + padding + cut + line * 9000})
    assert mailboxes(answers) == ["abuse@net.example"]


def test_a_server_that_refused_is_left_alone_for_as_long_as_it_says() -> None:
    refusal = "    The WHOIS query quota for 192.0.2.1 has been exceeded\n    and will be replenished in 50 seconds.\n"
    answers, net = walk({ROOT: refer("whois.nic.uk"), "whois.nic.uk": refusal}, "pills.example", times=2)
    assert [host for host, _ in net.asked].count("whois.nic.uk") == 1
    assert answers[0].status is Status.TEMPORARY
    assert "another 50 s" in answers[0].reason or "another 49 s" in answers[0].reason


def test_without_time_nobody_is_asked_and_nobody_is_called_silent() -> None:
    answers, net = walk({ROOT: DESK}, seconds=0)
    assert net.asked == []
    assert "no time was left" in answers[0].reason


def test_an_answer_is_read_in_the_charset_of_its_server() -> None:
    japanese = "[ネットワーク番号]   198.51.100.0/24\n[Network Number]   198.51.100.0/24\n[組織名]   例\n[Abuse]   abuse@net.example\n"
    answers, _ = walk({ROOT: refer("whois.nic.ad.jp"), "whois.nic.ad.jp": japanese.encode("iso2022_jp")})
    assert mailboxes(answers) == ["abuse@net.example"]


def test_a_text_that_tells_of_no_network_is_no_answer_and_may_come_right_later() -> None:
    answers, _ = walk({ROOT: refer("whois.ripe.net"), "whois.ripe.net": "Wartungsarbeiten bis 14 Uhr.\n"})
    assert [answer.status for answer in answers] == [Status.TEMPORARY]
    assert "nothing that tells of it" in answers[0].reason
    none = "% No entries found\n"
    answers, _ = walk({ROOT: refer("whois.ripe.net"), "whois.ripe.net": none})
    assert [answer.status for answer in answers] == [Status.ABSENT]


def test_a_root_that_refers_nowhere_says_so() -> None:
    answers, _ = walk({ROOT: "% This query returned 0 objects.\n"}, "pills.example")
    assert answers[0].status is Status.ABSENT
    assert "knows of no WHOIS server" in answers[0].reason


def test_a_registry_that_names_only_the_registrar_says_who_that_is() -> None:
    nic = "Domain Name: pills.example\nRegistrar: Thrifty Names Ltd\nRegistrar Abuse Contact Email:\n"
    answers, _ = walk({ROOT: refer("whois.nic.example"), "whois.nic.example": nic}, "pills.example")
    assert "names the registrar (Thrifty Names Ltd)" in answers[-1].reason


def test_a_domain_below_a_name_that_sells_domains_is_asked_of_the_seller() -> None:
    sold = "Domain Name: pills.us.com\nRegistrar Abuse Contact Email: abuse@thrifty.example\n"
    answers, net = walk({ROOT: "", "whois.centralnic.com": sold}, "www.pills.us.com")
    assert net.asked == [("whois.centralnic.com", "pills.us.com")]
    assert mailboxes(answers) == ["abuse@thrifty.example"]


def test_an_answer_about_another_domain_is_not_believed() -> None:
    other = "Domain Name: pills.example.other.example\nRegistrar Abuse Contact Email: abuse@evil.example\n"
    answers, _ = walk({ROOT: refer("whois.nic.example"), "whois.nic.example": other}, "pills.example")
    assert mailboxes(answers) == []
    assert answers[-1].status is Status.PERMANENT
    assert "answered about pills.example.other.example" in answers[-1].reason


def test_a_registrar_that_says_nothing_leaves_the_registrys_word() -> None:
    nic = "Domain Name: pills.example\nRegistrar WHOIS Server: whois.thrifty.example\n"
    thrifty = "Domain: pills.example\nRegistrar Abuse Contact Email: abuse@thrifty.example\n"
    answers, _ = walk({ROOT: refer("whois.nic.example"), "whois.nic.example": nic, "whois.thrifty.example": thrifty}, "pills.example")  # fmt: skip
    assert mailboxes(answers) == ["abuse@thrifty.example"]
