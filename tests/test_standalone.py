"""The library by itself: with all of the service and of its dependencies out of reach, it finds a real desk."""

import ast
import asyncio
import dataclasses
import inspect
import json
import subprocess
import sys
from importlib.resources import files
from typing import Any

import pytest

import abuse_lookup
from complaints.loopback import loopback_internet
from tests.test_architecture import ROOT
from tests.test_lookup import config_for

OWN = {
    "abuse_lookup",
    "httpx",
    "httpcore",
    "h11",
    "anyio",
    "certifi",
    "idna",
    "sniffio",
    "dns",
    "publicsuffixlist",
    "typing_extensions",
}
"""What the library needs: its three dependencies, and theirs."""

PROGRAM = f"""
import sys

class OutOfReach:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in sys.stdlib_module_names and top not in {OWN!r}:
            raise ModuleNotFoundError(name + " is out of reach", name=name)

sys.meta_path.insert(0, OutOfReach())
import asyncio, json, pathlib
from abuse_lookup import Config, UnusableTarget, open_lookup

async def run(given):
    given |= {{"rdap_bootstrap": pathlib.Path(given["rdap_bootstrap"]), "ca_file": pathlib.Path(given["ca_file"])}}
    async with open_lookup(Config(**given)) as lookup:
        try:
            await lookup.find_contacts("two words")
        except UnusableTarget as error:
            print(json.dumps(error.target))
        for target in ("198.51.100.23", "203.0.113.20", "www.pills.example"):
            print(json.dumps((await lookup.find_contacts(target, explain=True)).document()))
        found = [one.target async for one in lookup.find_many(["198.51.100.1", "198.51.100.2"])]
        print(json.dumps(sorted(found)))

asyncio.run(run(json.loads(sys.argv[1])))
print(json.dumps(sorted({{name.partition(".")[0] for name in sys.modules}} - set(sys.stdlib_module_names))))
"""


def test_it_looks_up_with_nothing_of_the_service_in_reach() -> None:
    async def main() -> tuple[bytes, bytes]:
        async with loopback_internet("demo") as net:
            settings = dataclasses.asdict(config_for(net))
            given = {name: value for name, value in settings.items() if value is not None}
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", PROGRAM, json.dumps(given, default=str),
                cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )  # fmt: skip
            return await asyncio.wait_for(process.communicate(), 60)

    out, err = asyncio.run(main())
    assert err == b"", err.decode()
    unusable, cloud, savanna, pills, many, loaded = map(json.loads, out.splitlines())
    assert unusable == "two words"
    assert (cloud["contacts"][0]["address"], cloud["contacts"][0]["source"]) == (
        "abuse@cloud.example",
        "rdap",
    )
    assert (savanna["contacts"][0]["address"], savanna["contacts"][0]["source"]) == (
        "abuse@savanna.example",
        "whois",
    )
    assert pills["contacts"][0]["scope"] == "host"
    assert {one["source"] for one in savanna["questions"]} == {"rdap", "whois", "dns"}
    assert many == ["198.51.100.1", "198.51.100.2"]
    assert (
        {"abuse_lookup", "httpx", "dns"}
        <= set(loaded)
        <= OWN
        | {"__main__", "_distutils_hack"}
        | {name for name in loaded if name.startswith(("_", "sitecustomize"))}
    )


def test_its_types_are_for_others_too() -> None:
    assert files("abuse_lookup").joinpath("py.typed").is_file()


def public() -> list[tuple[str, Any]]:
    """Every name of the library, and every public method, property and field behind it."""
    found = [(name, getattr(abuse_lookup, name)) for name in abuse_lookup.__all__]
    for name, thing in list(found):
        if inspect.isclass(thing):
            members = {**vars(thing)}
            found += [
                (f"{name}.{word}", member)
                for word, member in members.items()
                if not word.startswith("_")
                and (inspect.isfunction(member) or isinstance(member, property | classmethod))
            ]
    return found


def test_every_public_thing_says_what_it_is() -> None:
    spoken = [
        (name, thing) for name, thing in public()
        if inspect.isclass(thing) or inspect.isroutine(thing) or isinstance(thing, property | classmethod)
    ]  # fmt: skip
    assert len(spoken) > 20
    assert [name for name, thing in spoken if not (inspect.getdoc(thing) or "").strip()] == []
    signature = inspect.signature(abuse_lookup.AbuseLookup.find_contacts)
    assert "UnusableTarget" in (abuse_lookup.AbuseLookup.find_contacts.__doc__ or "")
    assert list(signature.parameters) == ["self", "target", "explain", "patient"]


def undocumented(thing: type) -> list[str]:
    """Fields without a text of their own behind them, in the class's own body."""
    [body] = [node for node in ast.parse(inspect.getsource(thing)).body if isinstance(node, ast.ClassDef)]
    found = []
    for node, behind in zip(body.body, [*body.body[1:], None], strict=True):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            text = behind.value if isinstance(behind, ast.Expr) else None
            if not (isinstance(text, ast.Constant) and isinstance(text.value, str)):
                found.append(node.target.id)
    return found


@pytest.mark.parametrize(
    ("thing", "needless"),
    [
        (abuse_lookup.Answer, {"status", "value"}),  # its own text says it
        (abuse_lookup.Contact, set()),
        (abuse_lookup.Rejected, set()),
        (abuse_lookup.Failure, set()),
        (abuse_lookup.Question, set()),
        (abuse_lookup.Lookup, set()),
    ],
)
def test_every_field_of_an_answer_says_what_it_holds(thing: type, needless: set[str]) -> None:
    assert set(undocumented(thing)) == needless


def test_all_errors_have_one_root_and_say_what_to_do() -> None:
    assert issubclass(abuse_lookup.UnusableTarget, abuse_lookup.AbuseLookupError)
    assert issubclass(abuse_lookup.ConfigError, abuse_lookup.AbuseLookupError)
    assert issubclass(abuse_lookup.AbuseLookupError, ValueError)
    error = abuse_lookup.UnusableTarget("x", "it is nothing")
    assert (error.target, error.why) == ("x", "it is nothing")
    assert "give an IP address" in str(error)
