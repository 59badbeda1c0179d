"""RDAP over HTTPS (RFC 7480, 9082): one listener for all registries and registrars, told apart by host name.

Takes HTTP requests, leaves the objects of registration.py, redirects to other registries (RFC 7480 §5.2),
errors, and what the world says about misbehaviour.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from ipaddress import ip_network

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from .places import servers_of
from .questions import Ask
from .rdap_ways import answer, refusal, spoilt
from .registration import Json, domain_object, entities_of, holding_object
from .tables import Domain, Holding, Registrar, Registry
from .world import World


class Rdap:
    """The RDAP servers of a world as one ASGI application (`app`)."""

    def __init__(
        self, world: World, port: int, ask: Ask, closing: asyncio.Event, clock: Callable[[], datetime]
    ) -> None:
        self._world = world
        self._port = port
        self._ask = ask
        self._closing = closing
        self._clock = clock
        self._limited: Counter[str] = Counter()
        self._servers = {server.rdap: server for server in servers_of(world)}
        self.app = Starlette(routes=[Route("/{path:path}", self._serve)])

    def base_of(self, server: Registry | Registrar) -> str:
        """Return the server's base URL, with the final slash RFC 9224 §3 asks for."""
        return f"https://{server.rdap}:{self._port}{server.rdap_path}/"

    def _verbatim(self, body: str) -> str:
        """Fill in `{base:KEY}`, the base URL of a registry or registrar, in an answer given verbatim."""
        for server in self._servers.values():
            body = body.replace(f"{{base:{server.key}}}", self.base_of(server))
        return body

    async def _serve(self, request: Request) -> Response:
        host, path = request.url.hostname or "", request.url.path
        self._ask("rdap", host, path)
        server = self._servers.get(host)
        if server is None or not path.startswith(f"{server.rdap_path}/"):
            return _not_found(f"https://{host}{path}")
        kind, _, key = path.removeprefix(f"{server.rdap_path}/").partition("/")
        if kind == "domain":
            return await self._domain(server, key)
        if kind in ("ip", "autnum") and isinstance(server, Registry):
            return await self._holding(server, kind, key)
        if kind == "entity" and isinstance(server, Registry):
            entity = entities_of(self._world, server.key, self.base_of(server)).get(key.upper())
            return _json(entity) if entity else _not_found(f"entity/{key}")
        if kind == "help":
            return _json({"rdapConformance": ["rdap_level_0"], "notices": [{"description": ["on loopback"]}]})
        return _not_found(f"{kind}/{key}")

    async def _holding(self, server: Registry, kind: str, key: str) -> Response:
        try:
            found = self._find(kind, key)
        except ValueError as error:
            return refusal(400, "Bad Request", str(error))
        if found is None or server.key not in (found.registry, found.via):
            return _not_found(f"{kind}/{key}")
        if found.rdap_to:
            return RedirectResponse(found.rdap_to, status_code=302)
        if found.registry != server.key and found.via_body:
            return await self._answer(self._verbatim(found.via_body), server.rdap_way, "")
        if found.registry != server.key:
            # Another registry holds it: a redirect to there (RFC 7480 §5.2).
            there = self.base_of(self._world.registries[found.registry])
            return RedirectResponse(f"{there}{kind}/{key}", status_code=301)
        body = self._verbatim(found.rdap_body) or json.dumps(holding_object(found, self.base_of(server)))
        return await self._answer(body, found.rdap or server.rdap_way, f"{self.base_of(server)}{kind}/{key}")

    def _find(self, kind: str, key: str) -> Holding | None:
        """Find the object of an ip or autnum path. Raises ValueError when the key is neither."""
        if kind == "autnum":
            return self._world.autnums.get(int(key))
        return self._world.network_of(ip_network(key, strict=False))

    async def _domain(self, server: Registry | Registrar, key: str) -> Response:
        domain = self._world.domain_of(key)
        if domain is None or not _knows(server, domain):
            return _not_found(f"domain/{key}")
        registrar = self._world.registrars[domain.registrar]
        related = self.base_of(registrar) if isinstance(server, Registry) else None
        base = self.base_of(server)
        body = json.dumps(domain_object(domain, registrar, base, related))
        if isinstance(server, Registrar):
            return await self._answer(body, server.rdap_way, f"{base}domain/{key}")
        return await self._answer(
            self._verbatim(domain.rdap_body) or body, domain.rdap or server.rdap_way, f"{base}domain/{key}"
        )

    async def _answer(self, body: str, way: str, url: str) -> Response:
        """Answer with the body, or as a server does that misbehaves this way."""
        retry_after = self._world.constants.retry_after
        if way == "429-once":
            self._limited[url] += 1
            way = "429" if self._limited[url] == 1 else ""
        if way in ("slow", "timeout"):
            await self._wait(self._world.constants.slow_seconds if way == "slow" else None)
        return spoilt(way, body, url, retry_after, self._clock())

    async def _wait(self, seconds: float | None) -> None:
        """Wait, but not beyond the end of this internet."""
        try:
            await asyncio.wait_for(self._closing.wait(), seconds)
        except TimeoutError:
            return


def _knows(server: Registry | Registrar, domain: Domain) -> bool:
    return domain.registrar == server.key if isinstance(server, Registrar) else bool(server.domain)


def _json(body: Json) -> Response:
    return answer(json.dumps(body))


def _not_found(what: str) -> Response:
    return refusal(404, "Not Found", f"{what} is not here")
