"""The papers of the house are true: what they name exists, and what exists is named in them."""

import ast
import asyncio
import dataclasses
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import abuse_lookup
from complaints import __version__, policy
from complaints.loopback import loopback_internet
from complaints.models import ComplaintState, LetterState, ReportState, SubmissionState
from complaints.settings import Settings
from complaints.vault import Vault
from complaints.web.app import create_app
from tests import docs
from tests.test_architecture import ROOT, modules, name_of, tracked
from tests.test_lookup import config_for
from tests.website import nobody

DOCS = ROOT / "docs"
LETTERS = ROOT / "complaints" / "templates" / "letters"
OF_THE_OPERATOR = {"plaint.toml", "desks.toml", "limits.toml", "secrets/"}  # in the data directory
WITHOUT_SETTING = {
    "PLAINT_SERVER",
    "PLAINT_TOKEN",
    "PLAINT_IMAP_PASSWORD",
    "PLAINT_TESTS_SKIP_NOTHING",
    "PLAINT_TESTS_COMPILED",
}


def papers() -> list[Path]:
    return [file for file in tracked() if file.suffix == ".md"]


def read(name: str) -> str:
    return (ROOT / name).read_text()


def cells(text: str) -> Iterator[list[str]]:
    """The rows of the tables of a page, as their cells."""
    for line in text.splitlines():
        if line.startswith("| ") and not line.startswith("| ---"):
            yield [cell.strip() for cell in line.strip("|").split(" | ")]


# ---- made from the code


@pytest.mark.parametrize("page", docs.PAGES)
def test_pages_made_from_the_code_are_current(page: str) -> None:
    assert (DOCS / page).read_text() == docs.PAGES[page](), "run: sh scripts/docs"


def test_every_setting_has_a_meaning_and_no_meaning_is_left_over() -> None:
    assert list(docs.MEANINGS) == list(Settings.model_fields)
    assert all(meaning.endswith(".") for meaning in docs.MEANINGS.values())


def test_every_verb_argument_and_option_says_what_it_is() -> None:
    silent = [name for name, command in docs.verbs() if not (command.help or "").strip().endswith(".")]
    silent += [
        f"{name} {option.name}"
        for name, command in docs.verbs()
        for option in command.params
        if not (getattr(option, "help", None) or "").strip()
    ]
    assert silent == []


def test_settings_named_anywhere_exist() -> None:
    known = {f"PLAINT_{name.upper()}" for name in Settings.model_fields} | WITHOUT_SETTING
    for file in papers():
        named = set(re.findall(r"\bPLAINT_[A-Z_]*[A-Z]", file.read_text()))
        assert named <= known, f"{name_of(file)}: {sorted(named - known)}"


def test_verbs_named_in_commands_exist() -> None:
    known = {name for name, command in docs.verbs() if not hasattr(command, "commands")}
    for file in papers():
        if file.name in {"known-issues.md", "cli.md"}:
            continue
        text = file.read_text()
        for words in re.findall(r"(?:^ {4}|`|scripts/)plaint ((?:[a-z-]+ ?)+)", text, re.MULTILINE):
            said = "plaint " + words.strip()
            assert any(f"{said} ".startswith(f"{verb} ") for verb in known), f"{name_of(file)}: {said}"


# ---- standards


def test_every_rfc_the_code_cites_is_in_the_table_and_no_other() -> None:
    rows = {int(row[0]): row for row in cells(read("docs/rfc.md")) if row[0].isdigit()}
    assert set(docs.citations()) - set(rows) == set(), "cited, but not in docs/rfc.md: add a row by hand"
    assert set(rows) - set(docs.citations()) == set(), "in docs/rfc.md, but cited nowhere"
    assert [row for row in rows.values() if len(row) != 6 or row[4] not in {"Yes", "Partial", "No"}] == []


def test_citations_are_written_so_that_they_are_found() -> None:
    odd = re.compile(r"\b(?:rfc \d{3,}|RFC-?(?!822\b)\d{3,}|RFC \d+,? [Ss]ec(?:tion|\.))")
    found = [f"{name_of(file)}: {hit}" for file in modules() for hit in odd.findall(file.read_text())]
    assert [hit for hit in found if "test_docs" not in hit and "import" not in hit] == []


# ---- pages and letters


def test_every_page_and_operation_is_documented(tmp_path: Path) -> None:
    text = read("docs/pages.md")
    assert [
        path for path in sorted(routes(tmp_path)) if f"`{path}`" not in text and f" {path}`" not in text
    ] == []
    named = {
        path
        for path in re.findall(r"`(?:GET |POST )?(/[^`]*)`", text)
        if path != "/privacy" and not path.startswith("/privacy/")
    }
    assert named - routes(tmp_path) - {"/api/v1/openapi.json"} == set()


def routes(tmp_path: Path) -> set[str]:
    """Every path the web answers, found in the application itself."""

    async def ready() -> bool:
        return True

    from complaints.office import Office
    from complaints.settings import load

    office = Office.open(load(data=tmp_path / "data"))
    app: Any = create_app(office, ready=ready, look_up=nobody)
    office.close()
    return {path for route in app.routes for path in below(route) if path != "/api/v1/openapi.json"}


def below(route: Any) -> Iterator[str]:
    """The path of a route, or those of the router it includes."""
    if path := getattr(route, "path", ""):
        yield path
    for one in getattr(getattr(route, "original_router", None), "routes", []):
        yield from below(one)


def test_every_letter_is_documented() -> None:
    letters = {folder.name for folder in LETTERS.iterdir() if folder.is_dir()}
    part = read("docs/pages.md").partition("## Letters")[2]
    assert {row[0].strip("`") for row in cells(part) if row[0].startswith("`")} == letters


# ---- flow, words, promises, decisions


def test_the_flow_fits_on_a_page_and_names_every_state() -> None:
    text = read("docs/flow.md")
    assert len(text.splitlines()) <= 100
    for states in (SubmissionState, ComplaintState, ReportState, LetterState):
        assert [state for state in states if f"`{state}`" not in text] == []


@pytest.mark.parametrize(
    "paper",
    [
        "flow.md",
        "promises.md",
        "threat-model.md",
        "pages.md",
        "tests.md",
        "known-issues.md",
        "evidence.md",
        "lookup.md",
    ],
)
def test_files_functions_and_tests_named_in_a_paper_exist(paper: str) -> None:
    names = {name_of(file) for file in tracked()} | {"docs/cli.md", "docs/settings.md"}
    folders = {f"{parent.as_posix()}/" for name in names for parent in Path(name).parents}
    for word in re.findall(r"`([^`\s]+)`", read(f"docs/{paper}")):
        if test := re.fullmatch(r"(tests/\w+\.py)::(\w+)", word):
            assert test[2] in definitions(ROOT / test[1]), word
        elif place := re.fullmatch(r"([\w/]+\.py):(\w+)", word):
            assert place[2] in definitions(ROOT / place[1]), word
        elif re.fullmatch(r"[\w/.-]+\.(?:py|toml|md|sh|html)|[\w/]+/", word) and not word.startswith("../"):
            places = {word, f"complaints/{word}", f"tests/{word}", f"complaints/loopback/{word}"}
            assert places & (names | folders) or word in OF_THE_OPERATOR, word
        elif verb := re.fullmatch(r"([a-z_]+)\.([A-Za-z_]+)", word):
            file = ROOT / "complaints" / f"{verb[1]}.py"
            assert not file.exists() or verb[2] in definitions(file) | {"md", "py"}, word


@cache
def definitions(file: Path) -> frozenset[str]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    tree = ast.parse(file.read_bytes())
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, kinds))


def test_every_promise_has_a_mechanism_and_a_test() -> None:
    parts = re.split(r"^## ", read("docs/promises.md"), flags=re.MULTILINE)[1:]
    assert [int(part.partition(".")[0]) for part in parts] == list(range(1, 13))
    for part in parts:
        assert "- Mechanism: " in part, part
        assert "- Tests: " in part or "- open: " in part, part


def test_every_test_named_after_a_promise_is_in_the_list() -> None:
    text = read("docs/promises.md")
    for number in range(1, 13):
        named = [
            test
            for file in modules()
            if file.name.startswith("test_")
            for test in definitions(file)
            if test.startswith(f"test_promise_{number}_")
        ]
        assert not named or any(test in text for test in named), f"promise {number}: {named}"
    own = {
        test for test in definitions(ROOT / "tests" / "test_promises.py") if test.startswith("test_promise_")
    }
    assert [test for test in sorted(own) if test not in text] == []


def test_decisions_are_numbered_and_complete() -> None:
    files = sorted((DOCS / "decisions").glob("*.md"))
    assert [int(file.name[:4]) for file in files] == list(range(1, len(files) + 1))
    for file in files:
        text = file.read_text()
        assert text.startswith(f"# {int(file.name[:4])}. "), file.name
        assert all(f"**{part}.**" in text for part in ("Context", "Decision", "Consequences")), file.name


def test_the_policy_reporters_accept_is_the_one_written_down() -> None:
    assert read("docs/privacy-policy.md") == policy.text(policy.POLICY)
    for version in policy.versions():
        assert policy.text(version).startswith(f"# Privacy policy, version {version}\n")
        assert version == "1" or policy.changes(str(int(version) - 1), version)


def test_the_changelog_knows_this_version() -> None:
    assert f"## [{__version__}]" in read("CHANGELOG.md")


# ---- links and examples


def test_links_between_papers_lead_somewhere() -> None:
    for file in papers():
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", file.read_text()):
            assert (file.parent / link).exists(), f"{name_of(file)}: {link}"


def test_papers_named_in_code_exist() -> None:
    for file in tracked():
        if file.suffix in {".py", ".toml", ".html"} and file != Path(__file__):
            for name in re.findall(r"\bdocs/[\w/.-]+\.md\b", file.read_text()):
                assert (ROOT / name).exists(), f"{name_of(file)}: {name}"


def test_the_readme_begins_with_what_it_is_and_the_two_commands() -> None:
    text = read("README.md")
    first = text.split("\n\n")[1].replace("\n", " ")
    assert len(re.findall(r"\.(?: |$)", first)) == 3
    commands = text.index("    sh scripts/plaint demo\n    sh scripts/test\n")
    assert len(text[:commands].splitlines()) <= 15
    for script in re.findall(r"sh (scripts/\w+)", text):
        assert (ROOT / script).is_file()


def test_the_library_example_of_the_readme_works_as_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its three lines, unchanged; only what `Config()` means by itself is an internet on loopback."""
    [example] = re.findall(r"```python\n(.*?)```", read("README.md"), re.DOTALL)
    assert example.count("\n") == 3

    async def main() -> Any:
        async with loopback_internet("demo") as internet:
            monkeypatch.setattr(abuse_lookup, "Config", lambda: config_for(internet))
            names: dict[str, Any] = {}
            code = compile(example, "README.md", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            await eval(code, names)
            return names["found"]

    found = asyncio.run(main())
    assert [contact.address for contact in found.contacts] == ["abuse@victim.example"]


def test_the_paper_on_lookups_names_every_part_of_the_library() -> None:
    text = read("docs/lookup.md")
    fields = {field.name for field in dataclasses.fields(abuse_lookup.Config)}
    assert {name for name in fields if f"`{name}`" not in text} == set()
    assert {
        name
        for name in abuse_lookup.errors.__dict__
        if name.endswith(("Error", "Target")) and name not in text
    } == set()
    [example] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert example in read("README.md")


def test_review_links_in_the_papers_are_of_the_length_we_make(tmp_path: Path) -> None:
    """The decision on capabilities and the threat model say how many bits; the code must agree."""
    letters = Vault.open(tmp_path).derive("review", "PL-000000000000")
    assert f"{len(letters) * 5} bits" in read("docs/decisions/0002-capability-urls-are-derived.md")
