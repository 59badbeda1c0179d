"""The loopback internet: its worlds, what it records, and how it starts and ends."""

import asyncio
import contextlib
import gc
import signal
import socket
import ssl
import subprocess
import sys
import textwrap
import time
from email.utils import parsedate_to_datetime
from ipaddress import ip_address, ip_network
from pathlib import Path

import aiosmtplib
import httpx
import pytest

from complaints.loopback import Internet, World, WorldError, loopback_internet, places, spams
from complaints.loopback import world as worlds
from tests.loopback_clients import (
    MAIL_WORLD,
    NOW,
    WORLD,
    address_of,
    base_url,
    dns_answer,
    mx_address,
    on,
    rdap,
    records,
    running,
    send,
    trusting,
    whois,
)


def test_the_smallest_network_that_covers_an_address_answers_for_it() -> None:
    world = World.parse(WORLD)
    found = {address: world.network_of(ip_address(address)) for address in ("198.51.100.9", "198.51.100.99")}
    assert [network.name for network in found.values() if network] == ["EXAMPLE-CLOUD", "WIDE"]
    wide = world.network_of(ip_network("198.51.100.0/25"))
    assert wide is not None
    assert wide.name == "WIDE"
    assert world.network_of(ip_address("8.8.8.8")) is None


def test_more_toml_laid_over_a_world_adds_tables_and_replaces_keys() -> None:
    world = World.parse(WORLD).extended(
        '[networks."203.0.113.0/26"]\nabuse = "new@top.example"\n[domains."more.example"]\n'
    )
    top = world.network_of(ip_address("203.0.113.1"))
    assert top is not None
    assert (top.abuse, top.name) == (("new@top.example",), "TOP")
    assert "more.example" in world.domains
    assert World.parse(WORLD).domain_of("more.example") is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[networks", "not TOML"),
        ("[netwroks]\n", "netwroks"),
        ('[networks."192.0.2.1/24"]\nname = "X"\nregistry = "ripe"', "host bits"),
        ('[networks."192.0.2.0/24"]\nname = "X"\nregistry = "ripe"\nabsue = "a@b.example"', "absue"),
        ('[networks."192.0.2.0/24"]\nregistry = "ripe"', "name"),
        ('[networks."192.0.2.0/24"]\nname = "X"\nregistry = "krnic"', "krnic"),
        ('[networks."192.0.2.0/24"]\nname = "X"\nregistry = "ripe"\nrdap = "418"', "418"),
        ('[domains."x.example"]\nregistrar = "nobody"', "nobody"),
        ('[dns]\n"x.example" = "sulk"', "sulk"),
        ('[mailboxes]\n"a@x.example" = "sulk"', "sulk"),
        ("[world]\nspeed = 3", "speed"),
    ],
)
def test_a_world_with_a_mistake_says_where_it_is(text: str, told: str) -> None:
    with pytest.raises(WorldError, match=told):
        World.parse(text)


def test_a_zone_that_does_not_parse_is_named() -> None:
    async def held() -> None:
        async with loopback_internet(World.parse("[zones]\n'odd.example' = 'x IN A not-an-address'")):
            pass

    with pytest.raises(WorldError, match=r"odd\.example"):
        asyncio.run(held())


def test_a_world_is_loaded_by_name_or_path(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(WORLD)
    assert World.load(str(tmp_path / "mine.toml")).tables == World.parse(WORLD).tables
    with pytest.raises(WorldError, match="atlantis"):
        World.load("atlantis")


def test_the_world_that_the_documentation_shows_can_be_served() -> None:
    lines = (worlds.__doc__ or "").splitlines()
    example = textwrap.dedent("\n".join(line for line in lines if line.startswith("    ")))

    async def ask(internet: Internet) -> None:
        assert await records(internet, "sel._domainkey.signed.example", "TXT") == ['"v=DKIM1; p=..."']
        assert b"Report abuse to abuse@odd.example" in await whois(
            internet, "whois.arin.example", "203.0.113.1"
        )

    on(example, ask)


def test_a_catch_all_answers_for_public_addresses_only() -> None:
    world = World.parse('[catch_all]\nregistry = "arin"\nabuse = "abuse@net-{net}.elsewhere.example"')
    found = {
        text: world.network_of(ip_address(text))
        for text in ("45.67.8.9", "2a00:1450:4001::5", "10.1.2.3", "127.0.0.1", "fe80::1", "224.0.0.5")
    }
    assert [network and (str(network.cidr), network.abuse[0]) for network in found.values()] == [
        ("45.67.0.0/16", "abuse@net-45-67.elsewhere.example"),
        ("2a00:1450::/32", "abuse@net-2a00-1450.elsewhere.example"),
        *[None] * 4,
    ]
    assert world.takes_mail_for("net-45-67.elsewhere.example")
    assert not world.takes_mail_for("elsewhere.example")


def test_the_demo_spams_are_fresh_and_come_from_networks_with_a_desk() -> None:
    world = World.load("demo")
    found = spams(world, NOW)
    assert len(found) == 6
    for name, raw in found.items():
        assert not [left for left in (b"[[", b"@@") if left in raw], name
        assert not [line for line in raw.split(b"\r\n") if b"\n" in line or len(line) > 998], name
        top = raw.partition(b"Received: ")[2].partition(b"\r\nReceived")[0].partition(b"\r\nFrom")[0].decode()
        assert "by mx.victim.example" in top, name
        source = ip_address(top.partition("[")[2].partition("]")[0].removeprefix("IPv6:"))
        network = world.network_of(source)
        assert network in world.networks.values(), name
        date = parsedate_to_datetime(top.partition("; ")[2].splitlines()[0])
        assert 0 < (NOW - date).total_seconds() < 86400, name


def test_a_world_without_spams_has_none() -> None:
    assert spams(World.parse(WORLD), NOW) == {}


def test_every_question_is_recorded() -> None:
    async def ask(internet: Internet) -> None:
        await whois(internet, "whois.ripe.example", "198.51.100.9")
        await rdap(internet, base_url(internet, "ipv4", "198.51.100.0/26") + "ip/198.51.100.9")
        await dns_answer(internet, "Pills.Example", "AAAA", tcp=True)
        seen = {(q.protocol, q.server, q.question) for q in internet.questions}
        assert seen >= {
            ("dns", "127.0.0.1 udp", "A whois.ripe.example"),
            ("dns", "127.0.0.1 tcp", "AAAA pills.example"),
            ("whois", "whois.ripe.example", "198.51.100.9"),
            ("rdap", "rdap.ripe.example", "/ip/198.51.100.9"),
        }
        assert [q.server for q in internet.asked("whois", "198.51")] == ["whois.ripe.example"]
        assert {q.at for q in internet.questions} == {NOW}

    on(WORLD, ask)


def test_it_ends_at_once_and_leaves_nothing_whatever_is_still_open() -> None:
    async def held() -> float:
        async with running(
            MAIL_WORLD + '[registries.ripe]\nwhois_way = "timeout"\nrdap_way = "timeout"'
        ) as internet:
            folder = internet.ca_file.parent.parent
            host = await mx_address(internet, "cloud.example")
            tls = aiosmtplib.SMTP(hostname=host, port=internet.mx_port, start_tls=False)
            await tls.connect()
            await tls.starttls(server_hostname="mx.cloud.example", tls_context=trusting(internet))
            doors = [
                (host, internet.mx_port),
                (await address_of(internet, "silent.hosts.example"), internet.mx_port),
                (await address_of(internet, "whois.ripe.example"), internet.whois_port),
                (internet.dns.split(":")[0], int(internet.dns.split(":")[1])),
                ("127.0.0.1", httpx.URL(internet.inbox_url).port or 0),
            ]
            opened = [await asyncio.open_connection(*place) for place in doors]
            for _, writer in opened:
                writer.write(b"198.51.100.9\r\n")
            bases = (internet.rdap_bootstrap / "ipv4.json").read_text()
            port = int(bases.partition("rdap.ripe.example:")[2].partition("/")[0])
            waiting = await asyncio.open_connection(
                "127.0.0.1", port, ssl=trusting(internet), server_hostname="rdap.ripe.example"
            )
            waiting[1].write(
                f"GET /ip/198.51.100.9 HTTP/1.1\r\nHost: rdap.ripe.example:{port}\r\n\r\n".encode()
            )
            while not internet.asked("rdap"):
                await asyncio.sleep(0.01)
            start = time.monotonic()
        spent = time.monotonic() - start
        tls.close()
        for _, writer in [*opened, waiting]:
            writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()
        await asyncio.sleep(0)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        assert not others
        assert not folder.exists()
        for place in doors:
            with pytest.raises(OSError):
                await asyncio.open_connection(*place)
        return spent

    assert asyncio.run(held()) < 1
    gc.collect()


def test_every_desk_of_the_demo_can_be_written_to() -> None:
    async def held() -> None:
        async with loopback_internet() as internet:
            for desk in internet.world.desks:
                assert (await send(internet, desk, sender="")).startswith("2.0.0"), desk
            assert len(await internet.wait_for(len(internet.world.desks))) > 10

    asyncio.run(held())


def test_a_port_that_is_taken_on_one_address_is_given_up_for_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real, calls = places.tcp_socket, 0

    def second_is_taken(address: str, port: int) -> socket.socket:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise OSError("taken")
        return real(address, port)

    monkeypatch.setattr(places, "tcp_socket", second_is_taken)
    found = places.listening_sockets(["127.0.0.10", "127.0.0.11"])
    assert len({sock.getsockname()[1] for sock in found.values()}) == 1
    assert calls == 4
    for sock in found.values():
        sock.close()
    gc.collect()


def test_two_internets_live_side_by_side() -> None:
    async def held() -> None:
        async with running(MAIL_WORLD) as one, running(MAIL_WORLD) as other:
            await send(one, "abuse@cloud.example")
            assert (len(one.messages), len(other.messages)) == (1, 0)
            assert not set(one.settings().values()) & set(other.settings().values()) - {
                "whois.iana.example",
                "abuse-contacts.example",
            }

    asyncio.run(held())


def test_a_taken_inbox_port_is_named() -> None:
    async def held(port: int) -> None:
        async with loopback_internet(World.parse(MAIL_WORLD), inbox_port=port):
            pass

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}"):
            asyncio.run(held(port))
    gc.collect()


def test_it_runs_alone_and_prints_what_a_shell_needs(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(MAIL_WORLD)
    command = [sys.executable, "-W", "error", "-m", "complaints.loopback", str(tmp_path / "mine.toml")]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert running.stdout is not None
    lines = [running.stdout.readline() for _ in range(8)]
    exports = dict(line.removeprefix("export ").strip().split("=", 1) for line in lines[:7])
    assert set(exports) == {
        *("PLAINT_DNS", "PLAINT_WHOIS_ROOT", "PLAINT_WHOIS_PORT", "PLAINT_RDAP_BOOTSTRAP", "PLAINT_CA_FILE"),
        *("PLAINT_MX_PORT", "PLAINT_CONTACT_ZONES"),
    }
    inbox = lines[7].removeprefix("# inbox: ").strip()
    assert httpx.get(inbox, trust_env=False).status_code == 200
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=10)
    assert (running.returncode, errors) == (0, "")
    assert not Path(exports["PLAINT_CA_FILE"]).exists()


def test_an_unknown_world_is_a_usage_error() -> None:
    command = [sys.executable, "-m", "complaints.loopback", "atlantis"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert (ran.returncode, "atlantis" in ran.stderr) == (2, True)


def test_it_imports_no_stage_and_no_database() -> None:
    code = "import sys, complaints.loopback; print(*sorted(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    loaded = set(ran.stdout.split())
    assert not {"sqlmodel", "sqlalchemy"} & loaded
    ours = {m for m in loaded if m.startswith(("complaints.", "abuse_lookup")) and ".loopback" not in m}
    # What a signature hashes is the same thing for who signs a spam of a world and for who checks it.
    assert ours == {f"complaints.{name}" for name in ("canonical", "message", "header", "encodings")}
