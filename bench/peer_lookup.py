"""ipwhois or whoisit on the registries of bench/lookup.py, in a process of its own.

Reads the JSON {"peer", "base", "registries", "addresses"}; writes {"named": {address: mailboxes named for
abuse}, "seconds"}. Pointed at loopback by what they have for it: whoisit by bootstrap data, ipwhois by its
table of registries' URLs. ipwhois can only ask one after the other; whoisit asks sixteen at once.
"""

import asyncio
import json
import sys
import time
from typing import Any

AT_ONCE = 16
"""As many as ours has registries to ask; whoisit itself has no limit."""


def by_ipwhois(job: dict[str, Any]) -> dict[str, list[str]]:
    """One after the other; its ASN lookup, which picks the registry, is replaced by the right answer."""
    from ipwhois import rdap  # noqa: PLC0415 - only one of the two may be installed
    from ipwhois.net import Net  # noqa: PLC0415

    for number in job["registries"].values():
        base = f"{job['base']}/r{number}"
        rdap.RIR_RDAP[f"r{number}"] = {"ip_url": base + "/ip/{0}", "entity_url": base + "/entity/{0}"}
    named = {}
    for address in job["addresses"]:
        registry = job["registries"][address.partition(".")[0]]
        asn = {"asn_registry": f"r{registry}"}
        found = rdap.RDAP(Net(address)).lookup(asn_data=asn, depth=1)
        entities = found["objects"].values()
        named[address] = [
            mail["value"]
            for entity in entities
            if "abuse" in (entity["roles"] or ())
            for mail in (entity["contact"] or {}).get("email") or ()
        ]
    return named


def by_whoisit(job: dict[str, Any]) -> dict[str, list[str]]:
    """Sixteen at once over one HTTP client."""
    import whoisit  # noqa: PLC0415

    head: dict[str, Any] = {"version": "1.0", "publication": "2026-01-01T00:00:00Z"}
    unused = {"asn": "64496-64511", "dns": "example", "ipv6": "2001:db8::/32", "object": "EXAMPLE"}
    services = [[[f"{octet}.0.0.0/8"], [f"{job['base']}/r{n}/"]] for octet, n in job["registries"].items()]
    data = {name: {**head, "services": [[[key], [f"{job['base']}/"]]]} for name, key in unused.items()}
    data["object"]["services"][0].insert(0, ["nobody@example.com"])  # RFC 8521 §3: contacts come first
    data["ipv4"] = {**head, "services": services}
    whoisit.load_bootstrap_data(json.dumps({**data, "timestamp": int(time.time())}))

    async def run() -> dict[str, list[str]]:
        room = asyncio.Semaphore(AT_ONCE)

        async def one(address: str) -> tuple[str, list[str]]:
            async with room:
                found = await whoisit.ip_async(address)
            abuse = found["entities"].get("abuse", [])
            return address, [entity["email"] for entity in abuse if entity.get("email")]

        return dict(await asyncio.gather(*map(one, job["addresses"])))

    return asyncio.run(run())


def main() -> None:
    """Do the job on standard input."""
    job = json.load(sys.stdin)
    began = time.perf_counter()
    named = {"ipwhois": by_ipwhois, "whoisit": by_whoisit}[job["peer"]](job)
    print(json.dumps({"named": named, "seconds": time.perf_counter() - began}))


if __name__ == "__main__":
    main()
