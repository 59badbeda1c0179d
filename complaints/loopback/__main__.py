"""Runs a world by itself, prints the settings as shell exports and the inbox, and stays until Ctrl-C."""

import argparse
import asyncio
import shlex
import sys
from contextlib import suppress

from .internet import loopback_internet
from .tables import WorldError
from .world import World


def _door(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


async def _run(world: World, inbox_port: int, plaint: tuple[str, int] | None) -> None:
    async with loopback_internet(world, inbox_port=inbox_port) as internet:
        internet.plaint_smtp = plaint
        for name, value in internet.settings().items():
            sys.stdout.write(f"export {name}={shlex.quote(value)}\n")
        sys.stdout.write(f"# inbox: {internet.inbox_url}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


def main() -> int:
    """Parse the command line and run until interrupted; return 2 for a world that cannot be served."""
    parser = argparse.ArgumentParser(prog="python -m complaints.loopback", description=__doc__)
    parser.add_argument("world", nargs="?", default="demo", help="a shipped world or the path of a TOML file")
    parser.add_argument("--inbox-port", type=int, default=0, help="port of the inbox page (0: any free one)")
    parser.add_argument(
        "--plaint", metavar="HOST:PORT", type=_door, help="Plaint's SMTP door, for the answers of desks"
    )
    given = parser.parse_args()
    try:
        world = World.load(given.world)
    except WorldError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    with suppress(KeyboardInterrupt):
        asyncio.run(_run(world, given.inbox_port, given.plaint))
    return 0


if __name__ == "__main__":
    sys.exit(main())
