"""The pages that are the same for everybody: home and help; and what /privacy tells of an installation."""

from functools import cache

from fastapi import APIRouter
from starlette.responses import HTMLResponse

from complaints import retention
from complaints.grades import GRADES
from complaints.mail_clients import clients
from complaints.settings import Settings
from complaints.web.page import page
from complaints.web.security import Opened

router = APIRouter()
PUBLIC = {"Cache-Control": "public, max-age=300"}


@router.get("/")
async def home() -> HTMLResponse:
    """What Plaint is, and a door for each who comes."""
    return page("home.html", headers=PUBLIC)


@router.get("/help")
async def how_to(office: Opened) -> HTMLResponse:
    """How to hand a spam over whole, for each mail program."""
    return page("help.html", headers=PUBLIC, clients=clients(), grades=GRADES, settings=office.settings)


def processors(settings: Settings) -> list[tuple[str, str]]:
    """Who besides the desks sees something, and what, as this installation is set up now."""
    zones = ", ".join(zone.strip() for zone in settings.contact_zones.split(",") if zone.strip())
    resolvers = ", ".join(host for host, _ in settings.name_servers) or "the system's own"
    found = [
        ("Name servers", f"({resolvers}) are asked about the hosts in a spam, not about you."),
        ("Registries", "of addresses and names are asked who answers for these hosts; not who asks."),
    ]
    if zones:
        found.append(("Contact zones", f"({zones}) are asked the same through the DNS."))
    if settings.relay_host:
        found.append(("A mail relay", f"({settings.relay_host[0]}) hands on all mail of this installation."))
    if host := settings.database_host:
        found.append(("A database server", f"({host}) keeps what is listed below; what is sealed stays so."))
    found.append(("Mail hosts", "of those we write to: of the desks, and your own for our letters to you."))
    if settings.hosted_in:
        found.append(("Whoever hosts the machines", f"of this installation, in {settings.hosted_in}."))
    elif settings.for_people:
        found.append(("Whoever hosts the machines", "of this installation: its operator does not say where."))
    return found


@cache
def kept_rows() -> list[dict[str, str]]:
    """The data map for people: one row per table, in the order of the map."""
    return [
        {
            "called": row["called"],
            "holds": "; ".join(row["columns"].values()),
            "purpose": row["purpose"],
            "kept": row["kept"],
        }
        for row in retention.data_map()["table"]
    ]
