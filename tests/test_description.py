"""The description at /api/v1/openapi.json says what the API does: schemathesis asks it everything it allows, and more.

In process, with the same requests every time; real complaints stand behind the ids. Two of its checks are left out:
what is well-formed may still be refused with 422 (a label nobody used, a host that is none), and deleted things
cannot be used again where nothing is deleted by an address of its own.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import schemathesis.openapi
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from sqlmodel import select

from complaints.models import Report
from complaints.web.app import create_app
from tests.website import Website, nobody, running_website, spam

EXAMPLES = 5
"""Requests per operation, as many that keep to the description as ones that do not."""
NAMES = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
]
load_all_checks()
CHECKED = dict(zip(NAMES, CHECKS.get_by_names(NAMES), strict=True))


@dataclass
class Api:
    """The API in this process, and reports that stand behind it."""

    schema: Any
    headers: dict[str, str]
    reports: list[Report]
    statuses: Counter[int] = field(default_factory=Counter)

    def ask(self, case: Any, report: Report, *, kept: bool) -> None:
        """One request, and everything that is to hold of its answer; `kept`: it keeps to the description."""
        named = case.path_parameters or {}
        if kept and "complaint_id" in named:
            named["complaint_id"] = report.complaint_id
            if "report_id" in named:
                named["report_id"] = report.id
            if case.path.endswith("/confirm"):
                case.body["reports"] = {report.id: report.digest}
        answer = case.call(headers=self.headers)
        self.statuses[answer.status_code] += 1
        checks = [
            check for name, check in CHECKED.items() if name != "negative_data_rejection" or not case.query
        ]
        case.validate_response(answer, checks=checks, headers=self.headers)


@pytest.fixture(scope="module")
def website(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Website]:
    with running_website(tmp_path_factory.mktemp("website")) as running:
        yield running


@pytest.fixture(scope="module")
def api(website: Website) -> Api:
    for n in range(8):
        website.look(website.waiting(spam(subject=f"Number {n}")))
    with website.office.db.reading() as session:
        reports = list(session.exec(select(Report).order_by(Report.id)))
    app = create_app(website.office, ready=_ready, look_up=nobody)
    schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", app)
    return Api(schema, {"Authorization": f"Bearer {website.alice.token}"}, reports)


async def _ready() -> bool:
    return True


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.name.lower())
def test_every_operation_answers_as_it_is_described(api: Api, mode: GenerationMode) -> None:
    kept = mode is GenerationMode.POSITIVE
    api.statuses.clear()
    operations = [found.ok() for found in api.schema.get_all_operations()]
    assert len(operations) > 35
    for operation in operations:
        _ask(api, operation.as_strategy(generation_mode=mode), kept=kept)
    seen = {200, 202, 404, 409, 422} if kept else {401, 404, 422}
    assert seen <= set(api.statuses), "the requests do not reach what is described"


def _ask(api: Api, cases: Any, *, kept: bool) -> None:
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases, st.sampled_from(range(len(api.reports))))
    def ask(case: Any, number: int) -> None:
        api.ask(case, api.reports[number], kept=kept)

    ask()
