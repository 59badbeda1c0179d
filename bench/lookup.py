"""What looking desks up costs, as JSON: ours on registries of its own on loopback, and two peers beside it.

The registries (bench/lookup_world.py) are a process of their own and speak RDAP over TLS. Measured are:

- `cached`: answers a second of processor time through `find_contacts`, one core: one target again and again,
  100,000 different addresses in 3,000 cached networks for the first and for the second time, one domain
- `questions`: what 10,000 addresses in 3,000 networks cost, RDAP and WHOIS together; asked all at once
- `cold`: how much of the allowed concurrency a batch uses when each answer takes 50 ms and nothing is limited
- `limited`: how much of what the limits allow a batch uses, and the most questions in any of their windows
- `peers`: the same addresses by ours, ipwhois and whoisit: desks named, wrong ones, seconds, questions

Exits 1 where a bound is missed (`AT_LEAST`). `--only NAME`, `--python PATH` (an interpreter that has the
peers), `--store file|postgresql` (where limits and answers are kept; default: memory), `--database URL`.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from abuse_lookup import AbuseLookup, Config, open_lookup
from abuse_lookup.book import Book
from abuse_lookup.cache import Cache
from bench.lookup_world import LARGEST, REGISTRIES, addresses, networks
from complaints.db import Database
from complaints.lookup_store import LookupStore
from complaints.operate import fastest_loop

NETWORKS, ADDRESSES = 3000, 10_000
DELAY = 0.05
PEER = Path(__file__).with_name("peer_lookup.py")
AT_LEAST = {"cached": 100_000, "cold": 0.90, "limited": 0.95}
ROW = '[[limit]]\nserver = "{}"\n{}\nsource = "this benchmark"\ndate = 2026-11-26\n'


class Registries:
    """The servers' process, and how ours finds them."""

    def __init__(self, process: "subprocess.Popen[str]", folder: Path) -> None:
        assert process.stdout is not None
        self._process, self.folder = process, folder
        self.busy: dict[str, float] = {}
        self.ports: dict[str, int] = json.loads(process.stdout.readline())
        bootstrap = folder / "bootstrap"
        bootstrap.mkdir()
        services = [
            [[f"{20 + n}.0.0.0/8"], [f"https://rdap-{n}.example:{self.ports['https']}/r{n}/"]]
            for n in range(REGISTRIES)
        ]
        for name in ("ipv4", "ipv6", "asn", "dns", "object-tags"):
            listed = services if name == "ipv4" else []
            (bootstrap / f"{name}.json").write_text(json.dumps({"version": "1.0", "services": listed}))

    def delay(self, seconds: float) -> None:
        """Let every answer take so long from now on."""
        self._say(f"delay {seconds}")

    def asked(self) -> dict[str, list[float]]:
        """When each server was asked since the last time; leaves in `busy` how long it was about answers."""
        self._say("stats")
        assert self._process.stdout is not None
        found: dict[str, list[float]]
        found, self.busy = json.loads(self._process.stdout.readline())
        return found

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def config(self, limits: str = "", per_minute: int = 0) -> Config:
        """How ours is to ask, with rows of limits."""
        file = self.folder / f"limits-{time.monotonic_ns()}.toml"
        file.write_text(limits)
        return Config(
            dns=(("127.0.0.1", self.ports["dns"]),),
            rdap_bootstrap=self.folder / "bootstrap",
            whois_root="whois.example",
            whois_port=self.ports["whois"],
            ca_file=self.folder / "ca.pem",
            contact_zones=(),
            limit_per_minute=per_minute,
            limits=file,
        )


@contextmanager
def registries() -> Iterator[Registries]:
    """Run the servers for the block."""
    with TemporaryDirectory(prefix="bench-lookup-") as folder:
        command = [sys.executable, "-m", "bench.lookup_world", str(NETWORKS), folder]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1]
        ) as process:
            try:
                yield Registries(process, Path(folder))
            finally:
                process.kill()


class Stores:
    """Where limits and answers are kept; a new place every time."""

    def __init__(self, kind: str, folder: Path, database: str) -> None:
        self._kind, self._folder, self._database, self._count = kind, folder, database, 0

    @asynccontextmanager
    async def opened(self, config: Config) -> AsyncIterator[AbuseLookup]:
        """Open a lookup that knows nothing yet."""
        self._count += 1
        shared: tuple[Cache, Book] | None = None
        if self._kind == "file":
            config = Config(**vars(config) | {"cache_path": self._folder / f"{self._count}.sqlite"})
        elif self._kind == "postgresql":
            db = Database(self._database)
            db.upgrade()
            with db.transaction() as session:
                for table in ("lookup_answer", "lookup_server"):
                    session.connection().exec_driver_sql(f"DELETE FROM {table}")
            shared = (store := LookupStore(db), store)
        async with open_lookup(config, shared=shared) as lookup:
            yield lookup


async def cached(world: Registries, stores: Stores) -> dict[str, Any]:
    """Answers a second of processor time, when everything asked for is known."""
    nets = networks(NETWORKS)
    texts = [address for address, _ in addresses(nets, 100_000)]
    async with stores.opened(world.config()) as lookup:
        async for _ in lookup.find_many(address for address, _ in addresses(nets, NETWORKS)):
            pass
        await lookup.find_contacts("www.shop.example")
        world.asked()
        rates = {
            "first_of_100000": await rate(lookup, texts),
            "again_of_100000": await rate(lookup, texts),
            "same_address": await rate(lookup, texts[:1] * 100_000),
            "same_domain": await rate(lookup, ["www.shop.example"] * 100_000),
        }
        began = time.process_time()
        count = 0
        async for _ in lookup.find_many(texts):
            count += 1
        rates["find_many"] = round(count / (time.process_time() - began))
        return {**rates, "questions": sum(map(len, world.asked().values()))}


async def rate(lookup: AbuseLookup, texts: list[str]) -> int:
    """Answers a second of processor time."""
    find: Callable[[str], Awaitable[object]] = lookup.find_contacts
    began = time.process_time()
    for text in texts:
        await find(text)
    return round(len(texts) / (time.process_time() - began))


async def questions(world: Registries, stores: Stores) -> dict[str, Any]:
    """What 10,000 addresses in 3,000 networks cost."""
    world.delay(0.0)
    wanted = dict(addresses(networks(NETWORKS), ADDRESSES))
    async with stores.opened(world.config()) as lookup:
        began = time.perf_counter()
        right = 0
        async for found in lookup.find_many(wanted, at_once=ADDRESSES):
            right += [one.address for one in found.contacts][:1] == [wanted[found.target]]
        seconds = time.perf_counter() - began
    asked = sum(map(len, world.asked().values()))
    return {
        "addresses": len(wanted),
        "networks": NETWORKS,
        "asked": asked,
        "right": right,
        "seconds": round(seconds, 2),
    }


async def cold(world: Registries, stores: Stores) -> dict[str, Any]:
    """How much of the allowed concurrency is used, at 50 ms an answer."""
    world.delay(DELAY)
    figures = {}
    for servers, at_once in ((range(1, 11), 1), ((LARGEST,), 8)):
        nets = [net for net in networks(NETWORKS) if net.registry in servers]
        targets = [address for address, _ in addresses(tuple(nets), len(nets))][:800]
        limits = ROW.format("example", f"at_once = {at_once}")
        async with stores.opened(world.config(limits)) as lookup:
            await lookup.find_contacts(str(nets[-1].cidr[0]))  # the first connection, and what is read once
            world.asked()
            began, cpu = time.perf_counter(), time.process_time()
            async for found in lookup.find_many(targets):
                assert found.contacts, found
            seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        asked = {server: len(times) for server, times in world.asked().items()}
        # Questions under way at the server that has the most to answer, on average, of those allowed
        busiest = max(asked, key=lambda server: asked[server])
        figures[f"{len(asked)}_servers_{at_once}_at_once"] = {
            "asked": sum(asked.values()),
            "by_the_busiest": asked[busiest],
            "seconds": round(seconds, 2),
            "ms_an_answer": round(world.busy[busiest] / asked[busiest] * 1000, 1),
            "reached": round(world.busy[busiest] / seconds / at_once, 3),
            "cpu_ms_a_question": round(cpu / sum(asked.values()) * 1000, 2),
        }
    return figures


async def limited(world: Registries, stores: Stores) -> dict[str, Any]:
    """How much of what the limits allow is used, and whether they hold."""
    world.delay(DELAY)
    window, allowed, servers, count = 10.0, 60, (1, 2, 3, 5), 640
    nets = [net for net in networks(NETWORKS) if net.registry in servers]
    limits = ROW.format("example", f"questions = {allowed}\nseconds = {window}\nat_once = 4")
    async with stores.opened(world.config(limits, per_minute=60)) as lookup:
        async for _ in lookup.find_many([str(net.cidr[5]) for net in nets][-len(servers) :]):
            pass  # connections are open now
        world.asked()
        began = time.perf_counter()
        async for found in lookup.find_many([str(net.cidr[5]) for net in nets][:count]):
            assert found.contacts, found
        seconds = time.perf_counter() - began
    asked = world.asked()
    most = max(sum(t <= one < t + window for one in times) for times in asked.values() for t in times)
    busiest = max(map(len, asked.values()))
    reached = busiest / (seconds / window * allowed)
    return {
        "allowed": allowed,
        "window_seconds": window,
        "servers": len(servers),
        "asked": sum(map(len, asked.values())),
        "most_in_a_window": most,
        "seconds": round(seconds, 2),
        "reached": round(reached, 3),
    }


async def peers(world: Registries, stores: Stores, python: str) -> dict[str, Any]:
    """The same addresses, by everybody: 600 in 200 networks, 20 ms an answer."""
    world.delay(0.02)
    nets = networks(NETWORKS)[:200]
    wanted = dict(addresses(nets, 600))
    figures: dict[str, Any] = {}
    async with stores.opened(world.config()) as lookup:
        world.asked()
        began = time.perf_counter()
        named = {one.target: [c.address for c in one.contacts] async for one in lookup.find_many(wanted)}
        figures["abuse_lookup"] = judged(named, wanted, time.perf_counter() - began, world)
    for peer in ("ipwhois", "whoisit"):
        base, octets = (
            f"https://localhost:{world.ports['https']}",
            {str(20 + n): n for n in range(REGISTRIES)},
        )
        job = {"peer": peer, "base": base, "addresses": list(wanted), "registries": octets}
        world.asked()
        trust = {
            "SSL_CERT_FILE": str(world.folder / "ca.pem"),
            "REQUESTS_CA_BUNDLE": str(world.folder / "ca.pem"),
        }
        done = await asyncio.create_subprocess_exec(
            python, str(PEER), stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, **trust}
        )
        said, _ = await done.communicate(json.dumps(job).encode())
        if done.returncode:
            figures[peer] = "did not run"
            continue
        answer = json.loads(said)
        figures[peer] = judged(answer["named"], wanted, answer["seconds"], world)
    return figures


def judged(
    named: dict[str, list[str | None]], wanted: dict[str, str], seconds: float, world: Registries
) -> dict[str, Any]:
    """Count addresses whose right desk was named, and those for which another mailbox was named as a desk."""
    return {
        "addresses": len(wanted),
        "right": sum(desk in named.get(address, []) for address, desk in wanted.items()),
        "wrong": sum(bool(set(named.get(address, [])) - {desk}) for address, desk in wanted.items()),
        "seconds": round(seconds, 2),
        "asked": sum(map(len, world.asked().values())),
    }


def run(measuring: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
    """Measure on the event loop that `plaint lookup` and `plaint serve` run on."""
    with asyncio.Runner(loop_factory=fastest_loop()) as runner:
        return runner.run(measuring)


def missed(figures: dict[str, Any]) -> list[str]:
    """Say which bounds do not hold."""
    rates = figures.get("cached", {})
    names = ("first_of_100000", "again_of_100000", "same_address", "same_domain", "find_many")
    found = [f"cached {name}" for name in names if rates and rates[name] < AT_LEAST["cached"]]
    if figures.get("questions", {}).get("asked", 0) > NETWORKS:
        found.append("questions asked")
    found += [f"cold {n}" for n, one in figures.get("cold", {}).items() if one["reached"] < AT_LEAST["cold"]]
    limits = figures.get("limited")
    if limits and (limits["reached"] < AT_LEAST["limited"] or limits["most_in_a_window"] > limits["allowed"]):
        found.append("limited")
    return found


def main() -> None:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=("cached", "questions", "cold", "limited", "peers"))
    parser.add_argument("--python", help="an interpreter that has ipwhois and whoisit")
    parser.add_argument("--store", choices=("memory", "file", "postgresql"), default="memory")
    parser.add_argument("--database", default="", help="SQLAlchemy URL, with --store postgresql")
    options = parser.parse_args()
    figures: dict[str, Any] = {"store": options.store}
    with registries() as world:
        stores = Stores(options.store, world.folder, options.database)
        for name, one in {"cached": cached, "questions": questions, "cold": cold, "limited": limited}.items():
            if options.only in {None, name}:
                figures[name] = run(one(world, stores))
        if options.python and options.only in {None, "peers"}:
            figures["peers"] = run(peers(world, stores, options.python))
    figures["missed"] = missed(figures)
    print(json.dumps(figures, indent=1))
    sys.exit(1 if figures["missed"] else 0)


if __name__ == "__main__":
    main()
