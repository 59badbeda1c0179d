"""The rules of the house that a machine can check: floors, sizes, one place to commit, nothing left lying about."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
MADE = re.compile(r"/(?:\.git|\.venv|\.\w+_cache|\.hypothesis|__pycache__|[^/]*\.egg-info|build|dist|var)/")
ROOMS = ("complaints", "abuse_lookup")
LONG_FILES: dict[str, str] = {}
"""File → why it may have more than 400 lines."""
LONG_FUNCTIONS = {
    "complaints/migrations/versions/0001_the_first_schema.py": "a list of tables, read once",
}
"""File → why a function in it may have more than 60 lines."""


@cache
def tracked() -> tuple[Path, ...]:
    """Every file that belongs to the project: what git keeps or would add; without git, all that is not made."""
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        ran = subprocess.run(listing, cwd=ROOT, capture_output=True, check=True)
        files = [ROOT / name for name in ran.stdout.decode().split("\0") if name]
    except (FileNotFoundError, subprocess.CalledProcessError):
        files = [file for file in ROOT.rglob("*") if not MADE.search(f"/{name_of(file)}/")]
    return tuple(sorted(file for file in files if file.is_file()))


def modules() -> list[Path]:
    return [file for file in tracked() if file.suffix == ".py"]


def rooms() -> list[Path]:
    return [file for file in modules() if file.relative_to(ROOT).parts[0] in {*ROOMS, "cli.py"}]


def name_of(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def functions(file: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(file.read_bytes())
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_the_import_contracts_hold() -> None:
    program = Path(sys.executable).parent / "lint-imports"
    ran = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout


def test_no_file_outgrows_four_hundred_lines() -> None:
    sizes = {name_of(file): len(file.read_bytes().splitlines()) for file in rooms()}
    assert {name: size for name, size in sizes.items() if size > 400 and name not in LONG_FILES} == {}
    assert [name for name in LONG_FILES if sizes.get(name, 0) <= 400] == [], "an exception nobody needs"


def test_a_function_fits_on_a_screen() -> None:
    long = {
        f"{name_of(file)}:{function.name}": lines
        for file in rooms()
        if name_of(file) not in LONG_FUNCTIONS
        for function in functions(file)
        if (lines := (function.end_lineno or 0) - function.lineno + 1) > 60
    }
    assert long == {}


def test_most_functions_are_short() -> None:
    sizes = sorted(
        (function.end_lineno or 0) - function.lineno + 1 for file in rooms() for function in functions(file)
    )
    assert sizes[len(sizes) // 2] <= 10
    assert sizes[len(sizes) * 95 // 100] <= 50


def test_only_the_database_room_commits() -> None:
    """A stage that committed by itself could leave half of a step behind (promises 3 and 4)."""
    committing = {
        name_of(file)
        for file in rooms()
        if file.relative_to(ROOT).parts[0] == "complaints"
        for node in ast.walk(ast.parse(file.read_bytes()))
        if isinstance(node, ast.Attribute) and node.attr == "commit"
    }
    assert committing == {"complaints/db.py"}


def test_states_change_in_one_place_only() -> None:
    """`db.move` checks that a step is legal and that nobody was faster; an assignment checks neither.

    The one exception is a draft that begins its life as suppressed, before it is in the table.
    """
    assigning = {
        name_of(file)
        for file in rooms()
        if file.relative_to(ROOT).parts[0] == "complaints" and "loopback" not in file.parts
        for node in ast.walk(ast.parse(file.read_bytes()))
        if isinstance(node, ast.Attribute) and node.attr == "state" and isinstance(node.ctx, ast.Store)
    }
    assert assigning == {"complaints/draft.py"}


def test_no_room_is_a_junk_drawer() -> None:
    drawers = {
        "utils",
        "util",
        "helpers",
        "helper",
        "managers",
        "manager",
        "common",
        "core",
        "misc",
        "services",
    }
    assert [
        name_of(file)
        for file in tracked()
        if drawers & {part.split(".")[0] for part in file.relative_to(ROOT).parts}
    ] == []
    named = re.compile(r"(?:Manager|Helper|Utils?|Service[s]?Impl)$")
    classes = [
        f"{name_of(file)}:{node.name}"
        for file in rooms()
        for node in ast.walk(ast.parse(file.read_bytes()))
        if isinstance(node, ast.ClassDef) and named.search(node.name)
    ]
    assert classes == []


def test_every_module_says_what_it_takes_and_leaves() -> None:
    silent = [
        name_of(file)
        for file in modules()
        if file.read_bytes().strip() and not ast.get_docstring(ast.parse(file.read_bytes()))
    ]
    assert silent == []


def texts() -> Iterator[tuple[str, str]]:
    for file in tracked():
        raw = file.read_bytes()
        if b"\0" not in raw and file != Path(__file__):
            yield name_of(file), raw.decode("utf-8", "replace")


def test_nothing_is_left_to_be_done_in_a_comment() -> None:
    marks = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b(?!-)")
    found = [
        f"{name}: {hit.group()}"
        for name, text in texts()
        for hit in marks.finditer(text)
        if not name.startswith("requirements/")
    ]
    assert found == []


def test_the_tree_knows_no_machine_it_was_written_on() -> None:
    """Neither folders of one machine, nor the host a package came from: pins and hashes say which package it is."""
    machine = re.compile(
        r"(?<![\w.])/(?:work|home/\w+|root|Users/\w+)/|/tmp/\w|pythonhosted|pypi\.|--(?:extra-)?index-url|--trusted-host"
    )
    found = [
        f"{name}: {text[hit.start() : hit.end() + 40]!r}"
        for name, text in texts()
        for hit in machine.finditer(text)
    ]
    assert found == []


def test_the_scripts_run_with_a_plain_shell() -> None:
    scripts = [file for file in tracked() if file.parent.name == "scripts"]
    assert scripts
    for file in scripts:
        assert file.read_text().startswith("#!/bin/sh\n"), name_of(file)
        subprocess.run(["sh", "-n", file], check=True)


def test_no_group_is_repeated_possessively() -> None:
    """Python before 3.11.5 loses its place in `(...)*+` (gh-106052); `(?>(...)*)` means the same everywhere."""
    possessive = re.compile(r"(?<!\\)\)(?:[*+?]|\{\d*,?\d*\})\+")
    found = {name_of(file) for file in rooms() if any(map(possessive.search, patterns_in(file)))}
    assert found == set()


def patterns_in(file: Path) -> list[str]:
    """The string constants of a file, as text; all patterns are among them."""
    constants = (
        node.value for node in ast.walk(ast.parse(file.read_bytes())) if isinstance(node, ast.Constant)
    )
    return [
        one.decode("latin-1") if isinstance(one, bytes) else one
        for one in constants
        if isinstance(one, bytes | str)
    ]
