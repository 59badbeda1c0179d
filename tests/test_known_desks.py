"""Known desks: what the shipped and the operator's rows do to an answer, over real sockets; mistakes in a file."""

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abuse_lookup import ConfigError, Lookup
from abuse_lookup.desk_rows import WHAT, read_desks
from abuse_lookup.desks import SHIPPED, KnownDesks, shipped_desks
from abuse_lookup.knowledge import text_of
from abuse_lookup.target import Target, organisational_domain
from tests.house import house
from tests.test_lookup import CLOUD, best, look_up, looking

NAMED = """
[domains."right.example"]
mx = ["mx.right.example"]
[domains."mx.right.example"]
addresses = ["192.0.2.25"]
"""
PAGES = '[domains."shop.pages.example"]\naddresses = ["198.51.100.9"]\n[domains."pages.example"]\n'
ROOT = 'source = "our own experience"\ndate = 2026-11-20\n'


def own(tmp_path: Path, *rows: str) -> Path:
    file = tmp_path / "desks.toml"
    file.write_text("\n".join(row + "\n" + ROOT for row in rows))
    return file


def addresses(found: Lookup) -> list[str | None]:
    return [contact.address or contact.form for contact in found.contacts]


# -- what rows do ------------------------------------------------------------------------------------


def test_a_platform_answers_for_its_users_and_nobody_asks_who_registered_its_name(tmp_path: Path) -> None:
    row = '[[platform]]\nprovider = "Pages"\nkind = "site"\nsuffixes = ["pages.example"]\naddress = "desk@right.example"'
    seen = look_up(CLOUD + PAGES + NAMED, "https://shop.pages.example/x", desks=own(tmp_path, row))
    [found] = seen.found
    assert addresses(found) == ["desk@right.example", "abuse@cloud.example"]
    first = found.contacts[0]
    assert (first.scope, first.source, first.server, first.confidence) == ("host", "known", "Pages", "high")
    assert first.why == "Pages runs every site under pages.example (our own experience, 2026-11-20)."
    assert first.as_of == datetime(2026, 11, 20, tzinfo=UTC)
    assert {contact.scope for contact in found.contacts} == {"host"}
    assert [reason.scope for reason in first.also] == ["domain"], "it answers for its name, too"
    assert [server for _, server in seen.asked()] == ["rdap.ripe.example"]


def test_who_hands_out_a_name_comes_after_the_desk_of_the_machine(tmp_path: Path) -> None:
    row = '[[platform]]\nprovider = "Names"\nkind = "name"\nsuffixes = ["pages.example"]\naddress = "desk@right.example"'
    [found] = look_up(CLOUD + PAGES + NAMED, "shop.pages.example", desks=own(tmp_path, row)).found
    assert [(c.address, c.scope) for c in found.contacts] == [
        ("abuse@cloud.example", "host"),
        ("desk@right.example", "domain"),
    ]
    assert "can take one back" in found.contacts[1].why


def test_an_override_of_a_network_answers_without_a_question_and_covers_it(tmp_path: Path) -> None:
    row = '[[override]]\nnetworks = ["198.51.100.0/28"]\naddress = "desk@right.example"\nwhy = "The customer answers."'
    seen = look_up(CLOUD + NAMED, "198.51.100.3", "198.51.100.30", desks=own(tmp_path, row))
    inside, outside = seen.found
    assert best(inside) == ("desk@right.example", "network", "known", "high")
    assert inside.contacts[0].why == "The customer answers (our own experience, 2026-11-20)."
    assert inside.network == "198.51.100.0/28"
    assert best(outside)[0] == "abuse@cloud.example"
    assert len(seen.asked()) == 1


def test_an_override_holds_beside_the_cached_answer_for_the_network_around(tmp_path: Path) -> None:
    row = '[[override]]\nnetworks = ["198.51.100.0/28"]\naddress = "desk@right.example"\nwhy = "The customer answers"'
    around, inside = look_up(CLOUD + NAMED, "198.51.100.30", "198.51.100.3", desks=own(tmp_path, row)).found
    assert (best(around)[0], best(inside)[0]) == ("abuse@cloud.example", "desk@right.example")


def test_the_smallest_network_wins_and_the_operators_row_before_any_shipped_one(tmp_path: Path) -> None:
    wide, near = (
        f'[[override]]\nnetworks = ["{net}"]\naddress = "{who}@right.example"\nwhy = "Because"'
        for net, who in (("104.16.0.0/12", "wide"), ("104.16.1.0/24", "near"))
    )
    known = KnownDesks(own(tmp_path, wide, near))
    found = [
        known.override(Target.parse(text))
        for text in ("104.16.1.9", "104.17.0.9", "104.16.0.0/16", "104.0.0.0/8")
    ]
    assert [answer and answer.value.findings[0].address for answer in found] == [
        "near@right.example",
        "wide@right.example",
        "wide@right.example",
        None,
    ]


def test_the_operators_row_wins_over_a_shipped_one_about_the_same_or_less(tmp_path: Path) -> None:
    rows = (
        '[[platform]]\nprovider = "Mine"\nkind = "site"\nsuffixes = ["github.io"]\naddress = "desk@right.example"',
        '[[proxy]]\nprovider = "Mine"\nnetworks = ["104.16.0.0/12"]\naddress = "desk@right.example"',
        '[[override]]\nmailboxes = ["abuse@cloudflare.com"]\naddress = "desk@right.example"\nwhy = "Mine"',
    )
    known = KnownDesks(own(tmp_path, *rows))
    found = (
        known.platform("x.github.io"),
        known.proxy(Target.parse("104.16.1.1")),
        known.mailbox("abuse@cloudflare.com"),
    )
    assert [desk and desk.address for desk in found] == ["desk@right.example"] * 3


def test_an_override_of_an_as_number_and_of_a_domain(tmp_path: Path) -> None:
    rows = (
        '[[override]]\nasns = [64496]\naddress = "desk@right.example"\nwhy = "They answer"',
        '[[override]]\ndomains = ["pages.example"]\naddress = "desk@right.example"\nwhy = "They answer"',
    )
    world = CLOUD + "asn = 64496\n" + PAGES + NAMED
    number, domain = look_up(world, "AS64496", "shop.pages.example", desks=own(tmp_path, *rows)).found
    assert best(number) == ("desk@right.example", "network", "known", "high")
    assert ("desk@right.example", "domain") in [(c.address, c.scope) for c in domain.contacts]
    assert "abuse@pages.example" not in addresses(domain), "a guess beside somebody who is known"


def test_a_mailbox_that_moved_is_replaced_wherever_a_registry_names_it(tmp_path: Path) -> None:
    row = '[[override]]\nmailboxes = ["Abuse@Cloud.example"]\naddress = "desk@right.example"\nwhy = "They moved"'
    [found] = look_up(CLOUD + NAMED, "198.51.100.3", desks=own(tmp_path, row)).found
    assert best(found) == ("desk@right.example", "network", "known", "high")
    assert "RDAP names it" in found.contacts[0].why
    assert "instead of abuse@cloud.example: They moved" in found.contacts[0].why
    [rejected] = found.rejected
    assert (rejected.address, "desk@right.example is right" in rejected.why) == ("abuse@cloud.example", True)
    assert found.network == "198.51.100.0/26"


def test_of_a_host_the_moved_mailbox_is_replaced_once(tmp_path: Path) -> None:
    row = '[[override]]\nmailboxes = ["abuse@cloud.example"]\naddress = "desk@right.example"\nwhy = "They moved"'
    [found] = look_up(CLOUD + PAGES + NAMED, "shop.pages.example", desks=own(tmp_path, row)).found
    assert best(found) == ("desk@right.example", "host", "known", "high")
    assert found.contacts[0].also == ()
    assert [item.address for item in found.rejected].count("abuse@cloud.example") == 1


def test_a_mailbox_whose_domain_is_gone_is_replaced_too(tmp_path: Path) -> None:
    row = '[[override]]\nmailboxes = ["abuse@gone.example"]\naddress = "desk@right.example"\nwhy = "They were bought"'
    world = (
        CLOUD.replace("abuse@cloud.example", "abuse@gone.example")
        + NAMED
        + '[domains."gone.example"]\nmx = ["."]\n'
    )
    [found] = look_up(world, "198.51.100.3", desks=own(tmp_path, row)).found
    assert best(found) == ("desk@right.example", "network", "known", "medium")
    assert "takes no mail" in found.contacts[0].why


def test_a_mailbox_that_is_never_to_be_used_is_rejected_and_others_are_asked_for(tmp_path: Path) -> None:
    row = '[[override]]\nmailboxes = ["abuse@cloud.example"]\nuse = "never"\nwhy = "It answers with abuse"'
    seen = look_up(CLOUD, "198.51.100.3", desks=own(tmp_path, row))
    assert "abuse@cloud.example" not in addresses(seen.found[0])
    assert "It answers with abuse" in seen.found[0].rejected[0].why
    assert {kind for kind, _ in seen.asked()} == {"rdap", "whois"}, "WHOIS may know another one"


def test_beside_a_mailbox_that_may_answer_use_the_form_stands_the_form() -> None:
    world = (
        CLOUD.replace("abuse@cloud.example", "abuse@cloudflare.com")
        + '[domains."cloudflare.com"]\nmx = ["mx.cloudflare.com"]\n'
    )
    world += '[domains."mx.cloudflare.com"]\naddresses = ["192.0.2.25"]\n'
    [found] = look_up(world, "198.51.100.3").found
    assert addresses(found) == ["abuse@cloudflare.com", "https://www.cloudflare.com/abuse/form"]
    assert all("wants complaints on its web form" in contact.why for contact in found.contacts)
    assert found.rejected == ()


def test_behind_a_proxy_its_desk_and_the_registrar_are_named_and_why(tmp_path: Path) -> None:
    row = '[[proxy]]\nprovider = "Shield"\nnetworks = ["198.51.100.0/27"]\naddress = "desk@right.example"'
    [found] = look_up("demo", "www.pills.example", desks=own(tmp_path, row)).found
    by_scope = {
        contact.address: (contact.scope, contact.confidence, contact.why) for contact in found.contacts
    }
    assert list(by_scope) == [
        "desk@right.example",
        "abuse@cloud.example",
        "abuse@thrifty.example",
        "abuse@pills.example",
    ]
    for desk in ("desk@right.example", "abuse@cloud.example"):
        assert by_scope[desk][0] == "host"
        assert "Shield only passes traffic on" in by_scope[desk][2]
        assert "not visible" in by_scope[desk][2]
    scope, confidence, why = by_scope["abuse@thrifty.example"]
    assert (scope, confidence) == ("registrar", "medium")
    assert "Shield hides the host" in why


def test_a_name_with_a_host_of_its_own_beside_the_proxy_leaves_the_registrar_where_it_is(
    tmp_path: Path,
) -> None:
    row = '[[proxy]]\nprovider = "Shield"\nnetworks = ["198.51.100.0/28"]\naddress = "desk@right.example"'
    world = CLOUD + NAMED + PAGES.replace('"198.51.100.9"', '"198.51.100.9", "198.51.100.30"')
    world = world.replace(
        "[networks", '[registrars.loopback]\nabuse = "abuse@registrar.example"\n[networks', 1
    )
    world += '[domains."registrar.example"]\nmx = ["mx.right.example"]\n'
    [found] = look_up(world, "shop.pages.example", desks=own(tmp_path, row)).found
    assert "desk@right.example" in addresses(found)
    assert [(c.address, c.confidence) for c in found.contacts if c.scope == "registrar"] == [
        ("abuse@registrar.example", "low")
    ]


def test_the_rows_of_a_proxy_hold_for_its_network_only_even_from_the_cache(tmp_path: Path) -> None:
    row = '[[proxy]]\nprovider = "Shield"\nnetworks = ["198.51.100.0/28"]\naddress = "desk@right.example"'
    seen = look_up(CLOUD + NAMED, "198.51.100.30", "198.51.100.3", "198.51.100.31", desks=own(tmp_path, row))
    assert ["desk@right.example" in addresses(found) for found in seen.found] == [False, True, False]
    assert len(seen.asked()) == 1


# -- the operator's file -----------------------------------------------------------------------------


def test_a_changed_file_is_used_and_registries_are_not_asked_again(tmp_path: Path) -> None:
    file = own(tmp_path)

    async def run() -> tuple[list[Lookup], int]:
        async with looking(CLOUD + PAGES + NAMED, desks=file) as (lookup, net):
            found = [await lookup.find_contacts(target) for target in ("198.51.100.3", "shop.pages.example")]
            before = len([q for q in net.questions if q.protocol in {"rdap", "whois"}])
            own(
                tmp_path,
                '[[override]]\nmailboxes = ["abuse@cloud.example"]\naddress = "desk@right.example"\nwhy = "They moved"',
                '[[platform]]\nprovider = "P"\nkind = "site"\nsuffixes = ["pages.example"]\nform = "https://p.example/"',
            )
            lookup.known._next_look = 0.0
            found += [await lookup.find_contacts(target) for target in ("198.51.100.3", "shop.pages.example")]
            return found, len([q for q in net.questions if q.protocol in {"rdap", "whois"}]) - before

    found, again = asyncio.run(run())
    assert [addresses(one)[0] for one in found[:3]] == ["abuse@cloud.example"] * 2 + ["desk@right.example"]
    assert addresses(found[3]) == ["https://p.example/", "desk@right.example"]
    assert again == 0


def test_a_kept_answer_that_names_only_what_is_never_to_be_used_now_is_asked_for_anew(tmp_path: Path) -> None:
    file = own(tmp_path)

    async def run() -> tuple[list[Lookup], list[str]]:
        async with looking(CLOUD, desks=file) as (lookup, net):
            found = [await lookup.find_contacts("198.51.100.3")]
            before = len(net.questions)
            own(tmp_path, '[[override]]\nmailboxes = ["abuse@cloud.example"]\nuse = "never"\nwhy = "Dead"')
            lookup.known._next_look = 0.0
            found += [await lookup.find_contacts(target) for target in ("198.51.100.3", "198.51.100.4")]
            return found, [q.protocol for q in net.questions[before:] if q.protocol in {"rdap", "whois"}]

    (before, after, again), asked = asyncio.run(run())
    assert addresses(before) == ["abuse@cloud.example"]
    assert [item.address for item in after.rejected] == ["abuse@cloud.example"]
    assert "whois" in asked, "whoever else may know is asked"
    assert after.contacts == again.contacts


def reread(known: KnownDesks) -> bool:
    """Look at the file again now, however short the last look is ago."""
    known._next_look = 0.0
    return known.changed()


def test_a_broken_edit_leaves_the_last_good_rows_and_says_what_is_wrong(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    row = '[[override]]\nmailboxes = ["abuse@cloud.example"]\nuse = "never"\nwhy = "Dead"'
    file = own(tmp_path, row)
    known = KnownDesks(file)
    file.write_text(row.replace("mailboxes", "mailboxs") + "\n" + ROOT)
    assert not reread(known)
    assert known.mailbox("abuse@cloud.example") is not None
    assert f"{file}: [[override]] number 1: `mailboxs` is not known here" in known.problem
    assert known.problem in caplog.text
    file.write_text("")
    assert reread(known)
    assert known.problem == ""
    assert known.mailbox("abuse@cloud.example") is None


def test_a_file_may_come_and_go(tmp_path: Path) -> None:
    file = tmp_path / "desks.toml"
    known = KnownDesks(file)
    assert not reread(known)
    own(tmp_path, '[[override]]\nasns = [64496]\naddress = "desk@right.example"\nwhy = "They answer"')
    assert reread(known)
    assert known.override(Target.parse("AS64496")) is not None
    file.unlink()
    assert reread(known)
    assert known.override(Target.parse("AS64496")) is None


def test_a_file_that_is_wrong_at_the_start_stops_with_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "desks.toml"
    file.write_text("[[override]\n")
    with pytest.raises(ConfigError, match="must be TOML"):
        KnownDesks(file)


def test_looking_for_a_change_costs_next_to_nothing(tmp_path: Path) -> None:
    known = KnownDesks(own(tmp_path))
    started = time.process_time()
    for _ in range(100_000):
        known.changed()
    assert time.process_time() - started < 0.5


GOOD = (
    '[[platform]]\nprovider = "Pages"\nkind = "site"\nsuffixes = ["pages.example"]\naddress = "desk@right.example"\n'
    + ROOT
)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("platform", "plattform", "there is no [[plattform]]; there are platform, proxy, form, override"),
        ("[[platform]]", "[platform]", "two brackets"),
        ("provider", "provder", "`provder` is not known here; there are address, date, form, kind, provider"),
        ('provider = "Pages"\n', "", "`provider` is missing"),
        ('kind = "site"', 'kind = "sight"', "`kind` is 'sight'; there are site, file"),
        (
            '["pages.example"]',
            '"pages.example"',
            '`suffixes` must be a list of host names such as "pages.example"',
        ),
        ('["pages.example"]', '["pages.example", "not a host"]', "`suffixes` must hold host names"),
        ('["pages.example"]', '["example"]', "`suffixes` must hold host names"),
        ('["pages.example"]', "[]", "`suffixes` is missing"),
        ("desk@right.example", "desk at right", "`address` must be a mail address, not 'desk at right'"),
        (
            'address = "desk@right.example"',
            'form = "http://right.example/x"',
            "`form` must be an https:// address",
        ),
        ('address = "desk@right.example"\n', "", "needs exactly one of `address` or `form`"),
        (
            'address = "',
            'form = "https://right.example/"\naddress = "',
            "needs exactly one of `address` or `form`",
        ),
        ("2026-11-20", '"yesterday"', "`date` must be a date such as 2026-11-26 without quotes"),
        ("date = 2026-11-20\n", "", "`date` is missing"),
        ('source = "our own experience"', 'source = ""', "`source` is missing"),
        ('source = "our own experience"', 'source = "a\\u001b[31m"', "`source` must be one line of text"),
        ('source = "our own experience"', "source = 7", "`source` must be one line of text"),
    ],
)
def test_every_mistake_names_the_file_the_row_the_field_and_what_to_do(old: str, new: str, says: str) -> None:
    assert GOOD.count(old) >= 1
    with pytest.raises(ConfigError) as caught:
        read_desks(
            GOOD.replace(old, new) if old.startswith("[[") else GOOD + GOOD.replace(old, new), "mine.toml"
        )
    message = str(caught.value)
    assert message.startswith("mine.toml: ")
    assert says in message
    assert "number 2" in message or "[[" in says or "brackets" in says


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ('[[override]]\nnetworks = ["192.0.2.1/24"]\naddress = "a@b.example"\nwhy = "W"', "`networks` must hold CIDRs"),
        ('[[override]]\nasns = ["AS1"]\naddress = "a@b.example"\nwhy = "W"', "`asns` must hold numbers"),
        ('[[override]]\naddress = "a@b.example"\nwhy = "W"', "needs `networks` or `asns` or `domains` or `mailboxes`"),
        ('[[override]]\nmailboxes = ["a@b.example"]\nuse = "always"\nwhy = "W"', '`use` can only be "never"'),
        ('[[override]]\nnetworks = ["192.0.2.0/24"]\nuse = "never"\nwhy = "W"', "`use` is for `mailboxes` only"),
        ('[[override]]\nmailboxes = ["a@b.example"]\nuse = "never"', "`why` is missing"),
        ('[[form]]\nprovider = "P"\nmailboxes = ["a@b.example"]\naddress = "c@b.example"', "`address` is not known here"),
        ('[[proxy]]\nprovider = "P"', "needs `networks` or `asns`"),
    ],
)  # fmt: skip
def test_a_row_says_what_it_is_about_and_who_is_right(row: str, says: str) -> None:
    with pytest.raises(ConfigError, match=r"mine.toml: \[\[\w+\]\] number 1") as caught:
        read_desks(f"{row}\n{ROOT}", "mine.toml")
    assert says in str(caught.value)


@given(
    st.integers(0, len(GOOD) - 1),
    st.sampled_from(['"', "[", "]", "\n", "#", "=", "1", "\x00", "é", "{}", "''", ""]),
    st.integers(0, 9),
)
def test_whatever_is_typed_into_the_file_is_rows_or_a_mistake_that_is_named(
    at: int, typed: str, gone: int
) -> None:
    rows, problem = [], "mine.toml: none"
    try:
        rows = read_desks(GOOD[:at] + typed + GOOD[at + gone :], "mine.toml")
    except ConfigError as error:
        problem = str(error)
    assert problem.startswith("mine.toml: ")
    assert all(desk.sentence and desk.document() for desk in rows)


def test_the_rows_in_the_data_directory_are_those_of_the_service(tmp_path: Path) -> None:
    row = '[[override]]\nnetworks = ["198.51.100.0/27"]\naddress = "abuse@savanna.example"\nwhy = "They answer for it"'
    (tmp_path / "data").mkdir()
    own(tmp_path / "data", row)

    async def main() -> None:
        async with house(tmp_path) as home:
            [complaint] = await home.waiting()
            ticked = [report for report in complaint["reports"] if report["ticked"]]
            assert [report["to"] for report in ticked] == ["abuse@savanna.example"]
            assert ticked[0]["why"] == "They answer for it (our own experience, 2026-11-20)."

    asyncio.run(main())


# -- the shipped rows --------------------------------------------------------------------------------


def test_every_shipped_row_can_be_read_and_no_two_are_about_the_same_thing() -> None:
    about = [(desk.table == "proxy", one) for desk in shipped_desks().desks for one in desk.about]
    assert len(about) == len(set(about))
    assert len(about) > 400


def test_shipped_rows_are_not_from_the_future_and_name_a_source_one_can_follow() -> None:
    for desk in shipped_desks().desks:
        assert (
            datetime(2026, 11, 1, tzinfo=UTC).date() <= desk.date <= datetime(2026, 11, 30, tzinfo=UTC).date()
        ), desk.place
        assert len(desk.source) > 15, desk.place


def test_a_suffix_is_a_name_that_somebody_registered_never_a_public_suffix() -> None:
    for desk in shipped_desks().desks:
        for suffix in desk.suffixes:
            assert organisational_domain(suffix), f"{desk.place}: {suffix}"


def test_every_kind_of_platform_is_explained_and_used() -> None:
    used = {desk.kind for desk in shipped_desks().desks if desk.table == "platform"}
    assert used == set(WHAT)
    assert all("{provider}" in text and "{name}" in text for text in WHAT.values())


def test_the_data_files_say_what_their_fields_mean() -> None:
    for name in SHIPPED:
        assert text_of(name).startswith("# ")


@pytest.mark.parametrize(
    ("host", "desk"),
    [
        ("someone.github.io", "https://support.github.com/contact/report-abuse"),
        ("bucket.s3.eu-west-1.amazonaws.com", "trustandsafety@support.aws.com"),
        ("u1.ct.sendgrid.net", "abuse@sendgrid.com"),
        ("a.b.c.workers.dev", "https://www.cloudflare.com/abuse/form"),
        ("forms.gle", "https://support.google.com/docs/answer/2463296"),
        ("evil.ddns.net", "https://www.noip.com/abuse"),
        ("gmail.com", "https://support.google.com/mail/contact/abuse"),
        ("www.msn.com", None),
        ("notgithub.io", None),
        ("github.io.evil.example", None),
        ("google.com", None),
    ],
)
def test_a_platform_is_known_by_whole_labels_of_its_suffix(host: str, desk: str | None) -> None:
    found = KnownDesks().platform(host)
    assert (found and (found.address or found.form)) == desk


@pytest.mark.parametrize(
    ("address", "provider"),
    [
        ("104.16.132.229", "Cloudflare"),
        ("2606:4700::6810:84e5", "Cloudflare"),
        ("151.101.1.6", "Fastly"),
        ("13.224.1.1", "Amazon CloudFront"),
        ("23.45.1.1", "Akamai"),
        ("45.60.1.1", "Imperva"),
        ("192.0.2.1", None),
        ("2001:db8::1", None),
        ("AS13335", "Cloudflare"),
    ],
)
def test_a_proxy_is_known_by_its_published_networks(address: str, provider: str | None) -> None:
    found = KnownDesks().proxy(Target.parse(address))
    assert (found and found.provider) == provider
