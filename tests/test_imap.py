"""A batch over a folder of a real IMAP server (Dovecot): what is read, what is moved, and what may break."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from complaints import imap
from complaints.imap import Folder, Place, Wish
from complaints.mailboxes import Mail, NothingKept, SourceError
from tests import dovecot
from tests.dovecot import PASSWORD, USER, Dovecot
from tests.house import House, spam
from tests.test_batch import Server, home, server, statuses, world
from tests.test_cli import good, plaint

__all__ = ["home", "server", "world"]  # fixtures of the tests of a batch
KEYWORD = "$Reported"


@pytest.fixture(scope="module")
def there() -> Iterator[Dovecot]:
    if why := dovecot.missing():
        pytest.skip(why)
    with dovecot.running() as running:
        yield running


@pytest.fixture
def junk(world: House, there: Dovecot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., str]:
    """A fresh folder with these mails; returns its URL."""
    monkeypatch.setenv("PLAINT_CA_FILE", str(there.ca_file))
    monkeypatch.setenv("PLAINT_IMAP_PASSWORD", PASSWORD)

    def made(*mails: bytes, scheme: str = "imaps") -> str:
        with there.client() as client:
            for name in ("Junk", "Done"):
                if client.folder_exists(name):
                    client.delete_folder(name)
                client.create_folder(name)
            for mail in mails:
                client.append("Junk", mail)
        port = there.tls_port if scheme == "imaps" else there.port
        return f"{scheme}://{USER}@localhost:{port}/Junk"

    return made


def flags(there: Dovecot, folder: str = "Junk") -> list[list[str]]:
    """The flags of each mail in a folder, but \\Recent."""
    with there.client() as client:
        client.select_folder(folder, readonly=True)
        found = client.fetch(client.search(), ["FLAGS"])
        kept = [[flag.decode() for flag in found[uid][b"FLAGS"]] for uid in sorted(found)]
        return [sorted(set(one) - {"\\Recent"}) for one in kept]


def opened(url: str, there: Dovecot, wish: Wish = Wish(), password: str = PASSWORD) -> Folder:  # noqa: B008 - frozen
    return Folder(Place.parse(url), password, wish, there.ca_file)


def read(folder: Folder, most: int = 100_000) -> list[Mail]:
    return list(folder.mails(most, NothingKept(), None))


@pytest.mark.parametrize("scheme", ["imaps", "imap"])
def test_a_folder_is_handed_in_unread_and_gone_on_with(
    scheme: str, junk: Callable[..., str], there: Dovecot, server: list[str]
) -> None:
    url = junk(spam(subject=f"{scheme} one"), spam(subject=f"{scheme} two"), scheme=scheme)
    lines = good("batch", url, "--json", *server).documents
    assert statuses(lines) == ["accepted"] * 2
    assert [line["file"] for line in lines] == [f"{url.replace(f'{USER}@', '')}/;UID={n}" for n in (1, 2)]
    assert flags(there) == [[], []], "nothing is seen"
    assert good("batch", url, "--json", "--resume", *server).documents == []
    assert statuses(good("batch", url, "--json", *server).documents) == ["duplicate"] * 2


def test_only_what_was_taken_is_moved_or_flagged(
    junk: Callable[..., str], there: Dovecot, server: list[str]
) -> None:
    url = junk(spam(subject="to be moved"), b"\r\n", spam(subject="too"))
    assert plaint("batch", url, "--flag", KEYWORD, "--json", *server).code == 1
    assert flags(there) == [[KEYWORD], [], [KEYWORD]]
    plaint("batch", url, "--move-to", "Done", *server)
    assert (flags(there), flags(there, "Done")) == ([[]], [[KEYWORD]] * 2)


def test_a_folder_to_move_to_that_is_absent_is_told_before_anything_is_handed_in(
    junk: Callable[..., str], there: Dovecot, server: list[str]
) -> None:
    ran = plaint("batch", junk(spam(subject="not yet")), "--move-to", "Absent", "--json", *server)
    assert (ran.code, ran.documents) == (65, [])
    assert "there is no folder Absent" in ran.err


def test_nothing_is_moved_while_the_server_has_not_confirmed(
    junk: Callable[..., str], there: Dovecot, world: House
) -> None:
    url = junk(spam(subject="stays"))
    with Server([(429, {"Retry-After": "3600"})]).up() as where:
        assert plaint("batch", url, "--move-to", "Done", *where).code == 75
    assert (flags(there), flags(there, "Done")) == ([[]], [])


def test_a_mail_too_large_is_never_fetched(junk: Callable[..., str], there: Dovecot) -> None:
    with opened(junk(b"Subject: large\r\n\r\n" + b"x" * 70_000, spam()), there) as folder:
        large, small = read(folder, 60_000)
    assert large.raw is None
    assert large.why is not None
    assert "at most 60,000" in large.why.says
    assert small.raw == spam() or small.raw is not None


def test_a_mail_of_the_night_is_found_wherever_the_server_is(
    junk: Callable[..., str], there: Dovecot
) -> None:
    url, came = junk(), datetime(2026, 11, 1, 23, 0, tzinfo=UTC)
    with there.client() as client:
        client.append("Junk", spam(), msg_time=came)
    since = datetime(2026, 11, 2, 0, 30, tzinfo=timezone(timedelta(hours=2)))  # that is before it came
    with opened(url, there) as folder:
        assert len(list(folder.mails(100_000, NothingKept(), since))) == 1


def test_a_connection_that_breaks_is_made_again(
    junk: Callable[..., str], there: Dovecot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imap, "MOST_MAILS", 1)
    monkeypatch.setattr(imap, "FIRST_PAUSE", 0.01)
    with opened(
        junk(*(b"Subject: %d\r\n\r\nA\r\n" % n for n in range(3))), there, Wish(flag=KEYWORD)
    ) as folder:
        mails = folder.mails(1_000, NothingKept(), None)
        found = [next(mails)]
        there.cut()
        found += mails
        there.cut()
        folder.settle(found)
    assert [mail.raw for mail in found] == [b"Subject: %d\r\n\r\nA\r\n" % n for n in range(3)]
    assert flags(there) == [[KEYWORD]] * 3


def test_a_folder_made_anew_meanwhile_is_another_one(
    junk: Callable[..., str], there: Dovecot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imap, "MOST_MAILS", 1)
    monkeypatch.setattr(imap, "FIRST_PAUSE", 0.01)
    with opened(junk(spam(), spam(subject="another")), there) as folder:
        mails = folder.mails(100_000, NothingKept(), None)
        next(mails)
        with there.client() as client:
            client.delete_folder("Junk")
            client.create_folder("Junk")
        there.cut()
        with pytest.raises(SourceError, match="made anew"):
            list(mails)


def test_a_server_that_cannot_prove_its_name_gets_no_password(
    junk: Callable[..., str], server: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    urls = [junk(scheme=scheme) for scheme in ("imaps", "imap")]
    monkeypatch.delenv("PLAINT_CA_FILE")
    for url in urls:
        ran = plaint("batch", url, *server)
        assert ran.code == 69
        assert "certificate" in ran.err


@pytest.mark.parametrize(
    ("url", "password", "code"),
    [("", "wrong", 77), ("/absent", PASSWORD, 65), ("imaps://alice:secret@localhost/Junk", PASSWORD, 2)],
)
def test_what_the_server_refuses_has_its_exit_code(
    url: str,
    password: str,
    code: int,
    junk: Callable[..., str],
    server: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PLAINT_IMAP_PASSWORD", password)
    url = url if url.startswith("imaps") else junk() + url
    ran = plaint("batch", url, *server)
    assert ran.code == code, ran.err
    assert "secret" not in ran.err
    assert "b'" not in ran.err, "a person reads it"


def test_a_password_comes_from_a_file_and_nobody_is_asked_in_a_script(
    junk: Callable[..., str], server: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = junk()
    monkeypatch.delenv("PLAINT_IMAP_PASSWORD")
    assert plaint("batch", url, *server).code == 2
    (tmp_path / "password").write_bytes(b"\xff\xfe")
    ran = plaint("batch", url, "--password-file", str(tmp_path / "password"), *server)
    assert (ran.code, "UTF-8" in ran.err) == (2, True), ran.err
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    assert good("batch", url, "--password-file", str(tmp_path / "password"), *server).out == b""
