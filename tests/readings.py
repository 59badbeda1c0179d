"""What is read and hidden in many messages, one line for each, so that two installations can be compared.

Run with an installation first on the path; prints how many of its modules are compiled, then for each message
its name and a digest of all that was read in it and of what redaction left. Reads our own messages, damaged
ones made of them, forged chains, messages that show a reporter in each place, and the collections in
../shared/data where they are. Says the same for the same code in every process.
"""

import hashlib
import random
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

from complaints.leaks import find_leaks
from complaints.links import links
from complaints.message import leaves_within, parse
from complaints.redact import CannotRedact, Identity, redact
from complaints.spam import read
from complaints.trace import trace
from complaints.trust import Trust
from tests import forged_chains, redaction_places

ROOT = Path(__file__).parents[1]
COLLECTIONS = ROOT / "../shared/data/messages"
LARGE = 1_000
"""Messages in a collection of which every second one is enough."""
DAMAGED = 20
CHAINS = 300
NOBODY = Trust.of([])
KEY = b"a redaction key of ours"
REPORTER = Identity(
    ("alice.reporter@victim.example", "maria@reporter.example", "phishing@pot", "rodrigo-f-p@hotmail.com"),
    ("Alice Reporter", "Rodrigo"),
)
"""Who is meant in the places, in our own messages and in a collection."""
HIDDEN, STRICT = 3, 24
"""Of so many messages one is searched and redacted, and redacted at level `strict` too."""


def messages() -> Iterator[tuple[str, bytes]]:
    """Each message with its name."""
    chance = random.Random(7)
    own = [*ROOT.rglob("tests/clients/*.eml"), *ROOT.rglob("complaints/loopback/worlds/**/*.eml")]
    own += [file for file in (ROOT / "tests/fuzz/cases").rglob("*") if file.is_file()]
    for file in sorted(own):
        raw = file.read_bytes()
        yield file.name, raw
        for n in range(DAMAGED):
            yield f"{file.name} damaged {n}", _damaged(raw, chance)
    for seed in range(CHAINS):
        yield f"chain {seed}", forged_chains.chain(seed).raw
    for case in redaction_places.cases(redaction_places.PEOPLE[0]):
        yield case.place, case.raw
    for path in sorted(COLLECTIONS.glob("*.zip")):
        with zipfile.ZipFile(path) as collection:
            names = sorted(name for name in collection.namelist() if not name.endswith("/"))
            for name in names[:: 2 if len(names) > LARGE else 1]:
                yield f"{path.name} {name}", collection.read(name)


def _damaged(raw: bytes, chance: random.Random) -> bytes:
    """Return a message of which a piece is missing, and another stands where it does not belong."""
    first, last, place, length = (chance.randrange(len(raw) + 1) for _ in range(4))
    kept = raw[:first] + raw[first + last % 200 :]
    return kept[:place] + raw[length : length + 300] + kept[place:]


def everything(raw: bytes) -> str:
    """All that is read in one message, with three borders."""
    message = parse(raw)
    plain, mixed = trace(message, NOBODY), trace(message, NOBODY, "C")
    trusting = Trust.of([hop.by for hop in plain.hops[:2] if hop.by])
    evidence = read(raw, trusting, "B").document()
    texts = [(part.content_type, part.filename, part.text(10_000)) for part in leaves_within(message)]
    return repr((message.headers, texts, plain, mixed, links(message), evidence))


def hidden(raw: bytes, levels: tuple[str, ...]) -> str:
    """What is found of a person in one message, and all that redaction does to it."""
    return repr((find_leaks(raw, REPORTER), [_redacted(raw, level) for level in levels]))


def _redacted(raw: bytes, level: str) -> object:
    try:
        done = redact(raw, REPORTER, key=KEY, level=level, own_hops=1)
    except CannotRedact as refused:
        return str(refused)
    return done.raw, done.edits, done.not_hidden


def main() -> None:
    """Print one line for each message."""
    modules = [module for name, module in sys.modules.items() if name.startswith("complaints.")]
    print(sum(not (module.__file__ or "").endswith(".py") for module in modules))
    for number, (name, raw) in enumerate(messages()):
        said = everything(raw)
        if number % HIDDEN == 0:
            said += hidden(raw, ("identity",) if number % STRICT else ("identity", "strict"))
        print(f"{name!r}\t{hashlib.sha256(said.encode('utf-8', 'backslashreplace')).hexdigest()}")


if __name__ == "__main__":
    main()
