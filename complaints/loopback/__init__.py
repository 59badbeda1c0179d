"""The loopback internet: DNS, WHOIS, RDAP and mail hosts on 127.0.0.1, fed by text worlds.

For `plaint demo`, the tests and the benchmarks: real servers on real sockets that misbehave on request. No
stage of complaints imports it, and it imports none.

    async with loopback_internet(World.parse(text)) as internet:
        settings = internet.settings()
        ...
        [report] = await internet.wait_for(1, to="abuse@cloud.example")
"""

from .internet import Internet, loopback_internet
from .letters import Letter, Received
from .questions import Question
from .spams import spams
from .tables import WorldError
from .world import World

__all__ = ["Internet", "Letter", "Question", "Received", "World", "WorldError", "loopback_internet", "spams"]
