"""The copies of one spam for several desks: the same bytes as when each is made by itself."""

from collections.abc import Iterator

import pytest

from complaints.redact import Identity, Redacted, copies, redact
from complaints.redact.copies import Copies
from tests.hiding_places import CARRIERS, SPELLINGS
from tests.redaction_places import TOKEN_PLACES, TOKENS

KEYS = (b"the key of desk one", b"the key of desk two", b"the key of desk three", b"the key of desk four")
ALICE = Identity(("alice.reporter@victim.example",), ("Alice Miller",))


def mails() -> Iterator[bytes]:
    for carrier, make in CARRIERS.items():
        for number, spell in enumerate(SPELLINGS.values()):
            if number % 9 == len(carrier) % 9:
                yield make(spell(ALICE.addresses[0]))
    for number, place in enumerate(TOKEN_PLACES.values()):
        yield place(TOKENS[number % len(TOKENS)])


@pytest.mark.parametrize("level", ["identity", "strict"])
def test_every_desk_gets_what_it_would_get_alone(level: str) -> None:
    tried = 0
    for raw in mails():
        several = Copies(raw, ALICE, level, 0)
        for key in KEYS:
            alone = redact(raw, ALICE, key=key, level=level)
            copy = several.under(key)
            assert (copy.raw, copy.edits, copy.not_hidden) == (alone.raw, alone.edits, alone.not_hidden)
            swap = several.swap(key)
            assert swap is None or (several.first and swap(several.first.raw) == alone.raw)
        tried += 1
    assert tried > 130


@pytest.mark.parametrize(
    ("spelling", "searches"),
    [("plain", 1), ("percent", 1), ("base64", len(KEYS)), ("sha256", len(KEYS)), ("hex", len(KEYS))],
)
def test_the_spam_is_searched_once_unless_a_pseudonym_stands_in_an_encoding(
    spelling: str, searches: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def counted(raw: bytes, identity: Identity, *, key: bytes, level: str, own_hops: int) -> Redacted:
        made.append(key)
        return redact(raw, identity, key=key, level=level, own_hops=own_hops)

    monkeypatch.setattr(copies, "redact", counted)
    several = Copies(CARRIERS["HTML"](SPELLINGS[spelling](ALICE.addresses[0])), ALICE, "identity", 0)
    raws = {several.under(key).raw for key in KEYS}
    assert len(raws) == len(KEYS)
    assert len(made) == searches


def test_a_link_in_a_link_is_known_to_be_swapped_after_the_second_search() -> None:
    raw = TOKEN_PLACES["link in a link"](TOKENS[1])
    several = Copies(raw, ALICE, "strict", 0)
    for key in KEYS:
        several.under(key)
    assert [several.swap(key) is not None for key in KEYS] == [False, True, True, True]
