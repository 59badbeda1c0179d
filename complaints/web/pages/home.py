"""The pages that are the same for everybody: home, help, privacy."""

import tomllib
from functools import cache
from importlib.resources import files

from fastapi import APIRouter
from starlette.responses import HTMLResponse

from complaints.grades import GRADES
from complaints.policy import POLICY
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
    programs = mail_programs()
    return page("help.html", headers=PUBLIC, clients=programs, grades=GRADES, settings=office.settings)


@router.get("/privacy")
async def privacy(office: Opened) -> HTMLResponse:
    """What is kept now, in plain words."""
    return page("privacy.html", headers=PUBLIC, policy=POLICY, settings=office.settings)


@cache
def mail_programs() -> dict[str, list[str]]:
    """Mail program → what its user does to forward a message whole."""
    rows = tomllib.loads(files("complaints").joinpath("data/clients.toml").read_text("utf-8"))["client"]
    programs: dict[str, list[str]] = {}
    for row in rows:
        programs.setdefault(row["name"], []).append(row["remedy"])
    return programs
