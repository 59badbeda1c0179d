"""A wheel of this tree, installed into an environment of its own, is the whole service: code, pages, data, migrations."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import sysconfig
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from complaints import __version__
from complaints.demo import free_port
from tests.test_architecture import ROOT, name_of, tracked

PATIENCE_SECONDS = 60


@dataclass
class Installed:
    """A wheel, and the environment it was installed into."""

    wheel: Path
    programs: Path
    packages: Path
    elsewhere: Path
    """An empty folder to run in, so that no checkout is found by accident."""

    def run(self, *words: str | Path) -> str:
        """What a program of the environment prints; it must end with 0."""
        return done(self.elsewhere, self.programs / words[0], *words[1:])

    @contextlib.contextmanager
    def running(self, *words: str | Path) -> Iterator[subprocess.Popen[str]]:
        """A program of the environment, ended with the block."""
        process = subprocess.Popen(
            [self.programs / words[0], *words[1:]],
            cwd=self.elsewhere,
            env=bare_environment() | {"PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()


def bare_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PLAINT_"))}


def done(folder: Path, *command: str | Path) -> str:
    """What a command prints; it must end with 0."""
    ran = subprocess.run(
        command, cwd=folder, env=bare_environment(), capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Builds a wheel from a copy of the tracked tree and installs it where only its dependencies are."""
    folder = tmp_path_factory.mktemp("wheel")
    for file in tracked():
        copy = folder / "tree" / name_of(file)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(file.read_bytes())
    tree, environment = folder / "tree", folder / "venv"
    done(tree, sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder)
    [wheel] = folder.glob("*.whl")
    done(tree, sys.executable, "-m", "venv", "--without-pip", environment)
    python = environment / "bin" / "python"
    packages = Path(
        done(tree, python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    )
    offline = ["--no-deps", "--no-index", "--no-compile", "--disable-pip-version-check"]
    done(tree, sys.executable, "-m", "pip", "--python", python, "install", *offline, wheel)
    # A path line adds a folder's packages but, unlike `site`, not its .pth files: our checkout stays out
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (folder / "elsewhere").mkdir()
    return Installed(wheel, python.parent, packages, folder / "elsewhere")


def test_what_runs_is_the_wheel_and_not_this_checkout(installed: Installed) -> None:
    files = installed.run(
        "python",
        "-c",
        "import cli, complaints, abuse_lookup as a; print(cli.__file__, complaints.__file__, a.__file__)",
    )
    for file in files.split():
        assert Path(file).is_relative_to(installed.packages), file
    assert installed.run("plaint", "--version") == f"plaint {__version__}\n"


def test_everything_that_is_no_code_is_inside_too(installed: Installed) -> None:
    with zipfile.ZipFile(installed.wheel) as archive:
        inside = {name: archive.read(name) for name in archive.namelist()}
    rooms = [
        file
        for file in tracked()
        if file.relative_to(ROOT).parts[0] in {"complaints", "abuse_lookup", "cli.py"}
    ]
    assert [name_of(file) for file in rooms if inside.get(name_of(file)) != file.read_bytes()] == []
    kinds = {file.suffix for file in rooms}
    assert {".html", ".css", ".svg", ".txt", ".toml", ".eml", ".mako", ".py"} <= kinds
    ours = {"complaints", "abuse_lookup", "cli.py", f"plaint-{__version__}.dist-info"}
    assert {name.partition("/")[0] for name in inside} == ours
    assert any(name.endswith("LICENSE") for name in inside)


def test_the_service_starts_in_an_empty_folder_and_shows_its_pages(
    installed: Installed, tmp_path: Path
) -> None:
    web = f"127.0.0.1:{free_port()}"
    mail = f"127.0.0.1:{free_port()}"
    with (
        installed.running(
            "plaint", "serve", "--data", tmp_path / "data", "--http", web, "--smtp", mail
        ) as process,
        httpx.Client(base_url=f"http://{web}") as http,
    ):
        ready(process, http)
        page = http.get("/")
        assert page.status_code == 200
        assert "Plaint" in page.text
        [style] = re.findall(r'<link[^>]* rel="stylesheet"[^>]*>', page.text)
        [address] = re.findall(r'href="([^"]+)"', style)
        sheet = http.get(address)
        assert (sheet.status_code, sheet.headers["content-type"].partition(";")[0]) == (200, "text/css")
        for path in ("/help", "/privacy", "/register", "/submit"):
            assert http.get(path).status_code == 200, path
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0


def ready(process: subprocess.Popen[str], http: httpx.Client) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            if http.get("/readyz").status_code == 200:
                return
        time.sleep(0.1)
    process.kill()
    raise AssertionError(f"plaint serve did not become ready:\n{process.communicate()[0]}")


def test_the_demo_gets_to_what_one_opens_and_stops_on_ctrl_c(installed: Installed) -> None:
    with installed.running("plaint", "demo") as process:
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if "confirm it" in line:
                break
        text = "".join(said)
        assert "Open in a browser" in text, text
        reviews = re.findall(r"http://\S+/review/\S+", text)
        assert len(reviews) >= 5, text
        assert httpx.get(reviews[0]).status_code == 200
        process.send_signal(signal.SIGINT)
        begun = time.monotonic()
        assert process.wait(PATIENCE_SECONDS) == 0
        assert time.monotonic() - begun < 10
        rest = process.stdout.read()
        assert "Everything is stopped and removed." in rest
        assert "Traceback" not in text + rest
