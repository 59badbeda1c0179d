"""`plaint doctor`: takes the settings, leaves one finding per thing an installation needs."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from abuse_lookup import AbuseLookup, ConfigError, Status
from abuse_lookup.contactdb import terms
from abuse_lookup.desks import KnownDesks
from complaints import erasure, policies, policy, signing
from complaints.forward import SELECTOR
from complaints.lookup_config import lookup_config
from complaints.models import Json
from complaints.office import Office
from complaints.outside import looking_up
from complaints.settings import Settings, SettingsError
from complaints.vault import kept_secret

CONNECT_SECONDS = 10.0
ERASURE_TIME = timedelta(hours=1)


async def check(settings: Settings) -> list[Json]:
    """Findings as {"name", "ok", "detail"}; nothing is changed but what a first start would make."""
    office = await asyncio.to_thread(Office.open, settings)
    try:
        # The operator's rows are checked for themselves: a mistake in them is a finding like others
        async with looking_up(office, replace(lookup_config(settings), desks=None)) as lookup:
            findings = [_finding("database", ok=True, detail=settings.database.rpartition("@")[2])]
            for name, one in _CHECKS.items():
                findings.append(await _guarded(name, one(office, lookup)))
            return findings
    finally:
        office.close()


def _finding(name: str, *, ok: bool, detail: str) -> Json:
    return {"name": name, "ok": ok, "detail": detail}


async def _guarded(name: str, one: Awaitable[tuple[bool, str]]) -> Json:
    try:
        ok, detail = await one
    except OSError as error:
        ok, detail = False, str(error)
    return _finding(name, ok=ok, detail=detail)


async def _contact(office: Office, lookup: AbuseLookup) -> tuple[bool, str]:
    del lookup
    try:
        office.settings.check_for_people()
    except SettingsError as error:
        return False, str(error)
    return True, office.settings.contact or "nobody is named, and nobody but you can reach this installation"


async def _mail_domain(office: Office, lookup: AbuseLookup) -> tuple[bool, str]:
    domain = office.settings.mail_domain
    answer = await lookup.resolver.mx(domain)
    if answer.status is Status.FOUND and answer.value:
        return True, f"mail for {domain} goes to {', '.join(host for _, host in answer.value)}"
    return (
        False,
        f"{domain} has no MX: submissions, bounces and answers cannot come in; publish one for this host",
    )


async def _dkim(office: Office, lookup: AbuseLookup) -> tuple[bool, str]:
    pem = await asyncio.to_thread(kept_secret, office.vault.folder / "dkim.pem", signing.make_key)
    name, wanted = f"{SELECTOR}._domainkey.{office.settings.mail_domain}", signing.dns_record(pem)
    answer = await lookup.resolver.txt(name)
    if answer.status is Status.FOUND and wanted in (answer.value or ()):
        return True, f"{name} holds our key"
    return False, f"reports are signed, but nobody can check it; publish: {name}. TXT {wanted}"


async def _whois(office: Office, lookup: AbuseLookup) -> tuple[bool, str]:
    host = office.settings.whois_root
    answer = await lookup.resolver.addresses(host)
    if answer.status is not Status.FOUND or not answer.value:
        return False, f"{host} has no address: {answer.reason}"
    return await _connects(answer.value[0], office.settings.whois_port, host)


async def _rdap(office: Office, lookup: AbuseLookup) -> tuple[bool, str]:
    del lookup
    where = office.settings.rdap_bootstrap
    if where and "://" not in where:
        files = await asyncio.to_thread(_json_files, Path(where))
        return bool(
            files
        ), f"bootstrap files in {where}: {', '.join(files) or 'none; put those of IANA there'}"
    return True, f"bootstrap from {where or 'IANA'}"


def _json_files(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.glob("*.json"))


async def _contact_zones(office: Office, lookup: AbuseLookup) -> tuple[bool, str]:
    del lookup
    zones = [zone for zone in lookup_config(office.settings).contact_zones if zone.strip()]
    return True, ". ".join(terms(zone.strip()) for zone in zones) or "none is asked"


async def _known_desks(office: Office, lookup: AbuseLookup) -> tuple[bool, str]:
    del lookup
    file = office.settings.desks_file
    try:
        rows = await asyncio.to_thread(lambda: list(KnownDesks(file).desks))
    except ConfigError as error:
        return False, f"{error}. What was read before stays in use until the next start"
    own = sum(row.place.startswith(f"{file}: ") for row in rows)
    return True, f"{len(rows) - own} shipped rows, {own} of your own in {file}"


async def _erasures(office: Office, lookup: AbuseLookup) -> tuple[bool, str]:
    del lookup
    rows = await asyncio.to_thread(erasure.unfinished, office)
    late = [row for row in rows if row.at < office.clock() - ERASURE_TIME]
    if not late:
        return True, f"{len(rows)} under way" if rows else "nothing is left of anybody"
    tables = sorted({name for row in late for name in row.left} - {erasure.LOG})
    what = f"tables to be written anew: {', '.join(tables)}" if tables else "the database's log"
    if not tables and not office.db.embedded:
        what += await asyncio.to_thread(_why_the_log_stays, office)
    return False, (
        f"erased or taken out by an upgrade more than an hour ago, still in files ({what}): {len(late)}; "
        "the worker tries again and again: let it run, and end what keeps the database open for long"
    )


def _why_the_log_stays(office: Office) -> str:
    try:
        erasure.log_overwritten(office.db)
    except erasure.UnfinishedError as error:
        return f": {error}"
    return ""


async def _policy(office: Office, lookup: AbuseLookup) -> tuple[bool, str]:
    """A version that nobody is told of is not what people here agreed to, though it says what is done."""
    del lookup
    with office.db.reading() as session:
        applies, coming = policies.in_force(session, office), policies.coming(session, office)
    if coming:
        return True, f"version {applies} applies, {coming.version} from {coming.effective_at:%d %B %Y} on"
    if applies == policy.POLICY:
        return True, f"version {applies} applies, the newest"
    return False, (
        f"version {applies} of the privacy policy applies, version {policy.POLICY} says what this program "
        f"does: read it and tell your reporters, with: plaint policy announce {policy.POLICY} --from DAY"
    )


async def _way_out(office: Office, lookup: AbuseLookup) -> tuple[bool, str]:
    del lookup
    relay = office.settings.relay_host
    if relay is None:
        return True, f"reports go straight to the desks' MX hosts, port {office.settings.mx_port}"
    return await _connects(relay[0], relay[1], "the relay")


async def _connects(host: str, port: int, name: str) -> tuple[bool, str]:
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, port), CONNECT_SECONDS)
    except (OSError, TimeoutError) as error:
        return False, f"{name} ({host}:{port}) cannot be reached: {str(error) or 'no answer'}"
    writer.close()
    await writer.wait_closed()
    return True, f"{name} answers at {host}:{port}"


_CHECKS: dict[str, Callable[[Office, AbuseLookup], Awaitable[tuple[bool, str]]]] = {
    "contact": _contact,
    "mail domain": _mail_domain,
    "dkim": _dkim,
    "whois": _whois,
    "rdap": _rdap,
    "contact zones": _contact_zones,
    "known desks": _known_desks,
    "way out": _way_out,
    "erasures": _erasures,
    "privacy policy": _policy,
}
