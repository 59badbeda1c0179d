"""What a process needs of the world outside: a lookup, shared with all others, and a sender of mails.

Takes an office, leaves them open. Whoever only reads and drafts starts without the web (`workbench.py`).
"""

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from abuse_lookup import AbuseLookup, Config, open_lookup
from complaints.desk_history import DeskHistory
from complaints.forward import Outgoing, Send
from complaints.lookup_config import lookup_config
from complaints.office import Office
from complaints.settings import Settings
from complaints.smtp_out import Direct, Outcome, Relay, send


@asynccontextmanager
async def looking_up(office: Office, config: Config | None = None) -> AsyncIterator[AbuseLookup]:
    """A lookup whose limits and answers are shared with every other process of this service."""
    db = office.db
    shared = None
    if not db.embedded:
        from complaints.lookup_store import LookupStore  # noqa: PLC0415 - it needs the drivers of PostgreSQL

        shared = (store := LookupStore(db), store)
    config = config or lookup_config(office.settings)
    async with open_lookup(config, shared=shared, history=DeskHistory(office)) as lookup:
        yield lookup


def sender(settings: Settings, lookup: AbuseLookup) -> Send:
    """The SMTP client of the forward stage: through the relay, or straight to MX."""
    route = (
        Relay(*settings.relay_host) if settings.relay_host else Direct(settings.mx_port, settings.on_loopback)
    )
    rng = random.Random()  # noqa: S311 - spreads load over equal MX hosts

    async def deliver(mail: Outgoing, before_dot: Callable[[], Awaitable[None]]) -> Outcome:
        return await send(
            mail.raw,
            mail_from=mail.mail_from,
            to=mail.to,
            route=route,
            resolver=lookup.resolver,
            hostname=settings.mail_domain,
            before_dot=before_dot,
            rng=rng,
        )

    return deliver
