"""The web application: takes an opened office, leaves an ASGI application with the pages and the API."""

import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from fastapi import FastAPI
from starlette.responses import PlainTextResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from complaints import __version__
from complaints.logs import place_of
from complaints.office import Office
from complaints.web import (
    api,
    api_account,
    api_card,
    api_consents,
    api_hosts,
    api_lookup,
    api_review,
    problems,
)
from complaints.web.intake import Intake
from complaints.web.metrics import metrics_text
from complaints.web.pages import (
    account,
    batch,
    card,
    complaints,
    home,
    hosts,
    links,
    policy,
    register,
    review,
    standing,
    stop,
    submit,
    unsubscribe,
)
from complaints.web.security import BodyLimit, Guard, Opened

log = logging.getLogger(__name__)

STATIC_SECONDS = 86_400


def create_app(
    office: Office, *, ready: Callable[[], Awaitable[bool]], look_up: api_lookup.LookUp
) -> FastAPI:
    """The pages at `/`, the API at `/api/v1`, and `/healthz`, `/readyz`, `/metrics`.

    `ready` tells whether everything that this process is to serve is up; `/readyz` answers 200 or 503 by it.
    `look_up` finds who answers for a target, for `/api/v1/lookup`.
    """
    app = FastAPI(
        title="Plaint",
        version=__version__,
        description="Report spam to the abuse desks responsible for it, with the reporter's consent.",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # they would load scripts of third parties
        redoc_url=None,
        # It would name what is in the link under http: and a host that the client wrote
        redirect_slashes=False,
    )
    app.state.office = office
    app.state.ready = ready
    app.state.intake = Intake()
    app.state.look_up, app.state.allowance = look_up, api_lookup.Allowance()
    # The last one added is the outermost
    app.add_middleware(BodyLimit)
    app.add_middleware(Guard, https=office.settings.url.startswith("https:"))
    problems.handle(app)
    app.include_router(api.router)
    app.include_router(api_hosts.router)
    app.include_router(api_lookup.router)
    app.include_router(api_consents.router)
    app.include_router(api_account.router)
    app.include_router(api_card.router)
    app.include_router(api_review.router)
    for pages in (
        *(home, register, submit, review, batch, links, hosts),
        *(standing, account, complaints, card, unsubscribe, stop, policy),
    ):
        app.include_router(pages.router, include_in_schema=False)
    app.mount("/static", _Static(directory=Path(__file__).parent / "static"))
    _watch(app)
    return app


class _Static(StaticFiles):
    """Our own style sheet and picture: nothing personal, and cached."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = f"public, max-age={STATIC_SECONDS}"
        return response


def _watch(app: FastAPI) -> None:
    """The three addresses operators' machines ask; no personal data in any answer."""

    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> PlainTextResponse:
        return PlainTextResponse("ok\n")

    @app.get("/readyz", include_in_schema=False)
    async def readyz() -> PlainTextResponse:
        try:
            up = await app.state.ready()
        except Exception as error:  # noqa: BLE001 - whatever it is, we are not ready
            log.error("the readiness check failed: %s", place_of(error))  # noqa: TRY400 - see logs
            up = False
        return PlainTextResponse("ready\n") if up else PlainTextResponse("not ready\n", 503)

    @app.get("/metrics", include_in_schema=False)
    def metrics(office: Opened) -> PlainTextResponse:
        with office.db.reading() as session:
            text = metrics_text(session)
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4")
