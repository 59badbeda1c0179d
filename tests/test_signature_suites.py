"""Signatures of messages whose verdicts are known, from other verifiers' own suites."""

import zipfile
from pathlib import Path

import dkim
import pytest

from complaints.message import parse
from complaints.signatures import Keys, Signature, key_names, verify

DATA = Path(__file__).parents[1] / "../shared/data/messages"

# Public keys as facts. The first ones are what the suite's makers published for it (Mail::DKIM, t/FAKE_DNS.dat);
# test6 is not in that list.
SHORT = "p=MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBALgSoqXVSEmfcIsOzw7oRuCCOwsmtX/SJnTWxYyj2leFxfS/AVJ+dYfY+hXqMsT7l+MZvvh/R1WzN4MO/kI/7XsCAwEAAQ=="
PERL: Keys = {
    "test1._domainkey.messiah.edu": [f"v=DKIM1; t=y; s=email; {SHORT}"],
    "test3._domainkey.messiah.edu": [f"v=DKIM1; g=jl*g; {SHORT}"],
    "test4._domainkey.messiah.edu": [f"v=DKIM1; g=; {SHORT}"],
    "test5._domainkey.messiah.edu": [f"v=DKIM1; t=s; {SHORT}"],
    "test3._domainkey.blackhole.messiah.edu": None,
    "test3._domainkey.blackhole2.messiah.edu": None,
}
# What gmail.com published in 2012, and the examples of RFC 8463 appendix A.2.
OTHERS: Keys = {
    "20120113._domainkey.gmail.com": [
        ("k=rsa; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA1Kd87/UeJjenpabgbFwh+eBCsSTrqmwIYYvywlbhbqoo2DymndFkbjOVIPIldNs/"
        "m40KF+yzMn1skyoxcTUGCQs8g3FgD2Ap3ZB5DekAo5wMmk4wimDO+U8QzI3SD07y2+07wlNWwIt8svnxgdxGkVbbhzY8i+RQ9DpSVpPbF7ykQxtKXkv/"
        "ahW3KjViiAH+ghvvIhkx4xYSIc9oSwVmAl5OctMEeWUwg8Istjqz8BZeTWbf41fbNhte7Y+YqZOwq1Sd0DbvYAD9NOZK9vlfuac0598HY+vtSBczUiKE"
        "RHv1yRbcaQtZFh5wtiRrN04BLUTD21MycBX5jYchHjPY/wIDAQAB")
    ],
    "brisbane._domainkey.football.example.com": ["v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="],
    "test._domainkey.football.example.com": [
        ("v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx"
        "/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB")
    ],
}  # fmt: skip

# Signatures of that suite that fit the bytes. All are of the historic kind rsa-sha1 or of 512 bits, so none is a pass.
FITTING = {
    "good_1878523", "good_qp_1", "good_qp_2", "good_qp_3", "goodkey_4",
    # Bad for Mail::DKIM because of g= in the key record, which RFC 6376 has taken away (appendix C.2)
    "badkey_9", "badkey_12", "badkey_13",
}  # fmt: skip
# dkimpy does not know that i= is quoted-printable (RFC 6376 §2.11), nor what t=s of a key record means (§3.6.1).
DKIMPY_DIFFERS = {"good_qp_2", "good_qp_3", "badkey_10"}


def messages(suite: str) -> dict[str, bytes]:
    path = DATA / f"{suite}.zip"
    if not path.is_file():
        pytest.skip(f"../shared/data/messages/{suite}.zip absent")
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name.endswith(".eml")}


def found_in(raw: bytes, keys: Keys) -> tuple[Signature, ...]:
    message = parse(raw)
    return verify(message, {name: keys.get(name, ()) for name in key_names(message)})


def dkimpy_fits(raw: bytes, at: int) -> bool:
    def record(name: bytes, timeout: int) -> bytes:
        return "".join(PERL.get(name.decode().rstrip("."), ()) or ()).encode()

    try:
        return bool(dkim.DKIM(raw, minkey=0).verify(at, record))
    except dkim.DKIMException:
        return False


def test_mail_dkims_corpus_gets_the_verdicts_of_its_makers_and_of_dkimpy() -> None:
    fitting = set()
    for path, raw in messages("dkim-arc").items():
        name = Path(path).stem
        for at, signature in enumerate(found_in(raw, PERL)):
            assert signature.result in {"policy", "fail", "neutral", "permerror", "temperror"}, name
            assert not signature.candidate
            if signature.result == "policy":
                fitting.add(name)
            if name not in DKIMPY_DIFFERS:
                assert dkimpy_fits(raw, at) is (signature.result == "policy"), name
            if name.startswith("badkey_1") and "blackhole" in (signature.domain or ""):
                assert signature.result == "temperror"
    assert fitting == FITTING


def test_an_untouched_message_of_gmail_and_the_example_of_rfc_8463_pass() -> None:
    suites = messages("mime-mimekit") | messages("rspamd")
    for name in ("dkim/gmail.eml", "dkim/related.eml", "ed25519.eml"):
        raw = suites[name]
        found = found_in(raw, OTHERS)
        assert [(one.result, one.aligned, one.candidate) for one in found] == [("pass", True, True)] * len(
            found
        )
        for old, new in ((b"\nSubject: ", b"\nSubject: x"), (b"\r\n\r\n", b"\r\n\r\nx"), (b"\n\n", b"\n\nx")):
            if old in raw:
                assert {one.result for one in found_in(raw.replace(old, new, 1), OTHERS)} == {"fail"}, (
                    name,
                    old,
                )


def test_no_real_message_is_checked_with_an_error_or_passes_with_another_key() -> None:
    for suite in (
        "mail-parser",
        "mime-misc",
        "mime-ruby-mail",
        "mime-stalwart",
        "rspamd",
        "spamassassin-tdata",
    ):
        for name, raw in messages(suite).items():
            message = parse(raw)
            keys = {key: [f"v=DKIM1; {SHORT}"] for key in key_names(message)}
            results = {one.result for one in verify(message, keys)}
            assert results <= {"fail", "not checkable", "neutral", "permerror", "not checked"}, name
