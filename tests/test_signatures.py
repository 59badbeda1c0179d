"""Who signed a message: every verdict, compared with dkimpy's own where both judge the same thing."""

import asyncio
import base64
import hashlib
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import dkim
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import (
    RSAPrivateKey,
    RSAPublicNumbers,
    generate_private_key,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from dkim.canonicalization import CanonicalizationPolicy
from dkim.crypto import EMSA_PKCS1_v1_5_encode, int2str
from hypothesis import given, settings
from hypothesis import strategies as st

from complaints.canonical import BodyHash, body_digests
from complaints.loopback import World, spams
from complaints.message import parse
from complaints.models import Json
from complaints.office import utc_now
from complaints.signatures import MOST_SIGNATURES, Signature, key_names, verify
from tests.house import house

DATA = Path(__file__).parents[1] / "../shared/data/messages"
NOW = datetime.now(UTC)
RAW = (
    b"Received: from esp.example (esp.example [198.51.100.7]) by mx.victim.example; Tue, 24 Nov 2026 01:02:03 +0000\r\n"
    b"From: Spammer <x@news.esp.example>\r\nTo: you@victim.example\r\nSubject: buy\r\n\tnow\r\n"
    b"Date: Tue, 24 Nov 2026 01:02:00 +0000\r\n\r\n"
    b"Buy  at\thttp://shop.example/ \r\n\r\nNow.\r\n"
)
NAMES = b"from:to:subject:date:message-id"
KEY = "sel._domainkey.esp.example"

Signer = Callable[[bytes, str], bytes]


@cache
def rsa(bits: int = 2048) -> RSAPrivateKey:
    return generate_private_key(public_exponent=65537, key_size=bits)


ED25519 = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"a key of ours").digest())


def with_rsa(data: bytes, algorithm: str = "sha256") -> bytes:
    return rsa().sign(data, PKCS1v15(), hashes.SHA256() if algorithm == "sha256" else hashes.SHA1())


def with_ed25519(data: bytes, algorithm: str) -> bytes:
    return ED25519.sign(hashlib.sha256(data).digest())


@cache
def weak() -> tuple[int, int]:
    """A modulus of 512 bits and its private exponent."""

    def prime(n: int) -> int:
        while any(pow(base, n - 1, n) != 1 for base in (2, 3, 5, 7)):
            n += 2
        return n

    p, q = (
        prime(int.from_bytes(hashlib.sha256(seed).digest(), "big") | (3 << 254) | 1) for seed in (b"p", b"q")
    )
    return p * q, pow(65537, -1, (p - 1) * (q - 1))


def with_weak(data: bytes, algorithm: str) -> bytes:
    modulus, exponent = weak()
    padded = EMSA_PKCS1_v1_5_encode(hashlib.new(algorithm, data), 64)
    return bytes(int2str(pow(int.from_bytes(padded, "big"), exponent, modulus), 64))


def text_of(der: bytes) -> str:
    return base64.b64encode(der).decode()


def rsa_record(more: str = "", *, form: PublicFormat = PublicFormat.SubjectPublicKeyInfo) -> str:
    return f"v=DKIM1; {more}p={text_of(rsa().public_key().public_bytes(Encoding.DER, form))}"


def ed25519_record() -> str:
    return f"v=DKIM1; k=ed25519; p={text_of(ED25519.public_key().public_bytes_raw())}"


def weak_record() -> str:
    der = (
        RSAPublicNumbers(65537, weak()[0])
        .public_key()
        .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    )
    return f"p={text_of(der)}"


def sign(
    raw: bytes = RAW, signer: Signer = with_rsa, *, drop: str = "", fold: bytes = b" ", **given: bytes
) -> bytes:
    """Put a signature on top of a message; `given` are tags. What is signed is computed by dkimpy."""
    headers, body = dkim.rfc822_parse(raw)
    policy = CanonicalizationPolicy.from_c_value(given.get("c", b"relaxed/relaxed"))
    algorithm = given.get("a", b"rsa-sha256").rpartition(b"-")[2].decode()
    canonical = policy.canonicalize_body(body)[: int(given["l"]) if given.get("l", b"x").isdigit() else None]
    digest = base64.b64encode(hashlib.new(algorithm, canonical).digest())
    tags = {
        "v": b"1",
        "a": b"rsa-sha256",
        "c": b"relaxed/relaxed",
        "d": b"esp.example",
        "s": b"sel",
        "h": NAMES,
        "bh": digest,
    }
    tags |= {name.rstrip("_"): value for name, value in given.items()}
    value = b" " + (b";" + fold).join(
        name.encode() + b"=" + text for name, text in tags.items() if name != drop
    )
    collected = bytearray()

    class Collector:
        def update(self, data: bytes) -> None:
            collected.extend(data)

    names = [name.strip().lower() for name in tags["h"].split(b":")]
    dkim.hash_headers(
        Collector(),
        policy,
        policy.canonicalize_headers(headers),
        names,
        (b"DKIM-Signature", value + b";" + fold + b"b="),
        None,
    )
    signed = base64.b64encode(signer(bytes(collected), algorithm))
    folded = b"\r\n\t ".join(signed[at : at + 60] for at in range(0, len(signed), 60))
    return b"DKIM-Signature:" + value + b";" + fold + b"b=" + (b"" if drop == "b" else folded) + b"\r\n" + raw


def check(raw: bytes, *records: str, grade: str = "A", at: datetime = NOW) -> Signature:
    [found] = verify(parse(raw), {KEY: records or (rsa_record(),)}, grade, at)
    return found


def dkimpy_passes(raw: bytes, record: str | None = None, at: int = 0) -> bool:
    try:
        return bool(dkim.DKIM(raw).verify(at, lambda name, timeout: (record or rsa_record()).encode()))
    except dkim.DKIMException:
        return False


SIGNED = sign()

# Each changed message, what it must be called, and whether dkimpy knows the rule too.
CASES: dict[str, tuple[bytes, str]] = {
    **{
        f"{head}/{body}{' folded' if fold else ''}": (sign(c=f"{head}/{body}".encode(), fold=b"\r\n\t" if fold else b" "), "pass")
        for head in ("simple", "relaxed") for body in ("simple", "relaxed") for fold in (False, True)
    },
    "c= left out": (sign(c=b"simple/simple", drop="c"), "pass"),
    "one word in c=": (sign(c=b"relaxed"), "pass"),
    "changed body": (sign().replace(b"Now.", b"New."), "fail"),
    "words moved apart, relaxed": (sign().replace(b"Buy  at", b"Buy \t at"), "pass"),
    "words moved apart, simple": (sign(c=b"relaxed/simple").replace(b"Buy  at", b"Buy \t at"), "fail"),
    "added to the body": (sign() + b"PS\r\n", "fail"),
    "blank lines at the end": (sign() + b"\r\n\r\n\r\n", "pass"),
    "blank lines at the end, simple": (sign(c=b"simple/simple") + b"\r\n\r\n\r\n", "pass"),
    "the last line end lost": (sign()[:-2], "pass"),
    "changed Subject": (sign().replace(b"buy\r\n\tnow", b"buy later"), "fail"),
    "Subject folded anew, relaxed": (sign().replace(b"buy\r\n\tnow", b" buy   now"), "pass"),
    "Subject folded anew, simple": (sign(c=b"simple/relaxed").replace(b"buy\r\n\tnow", b"buy now"), "fail"),
    "changed From": (sign().replace(b"x@news", b"y@news"), "fail"),
    "changed field that is not signed": (sign().replace(b"198.51.100.7", b"198.51.100.8"), "pass"),
    "a second From on top": (sign() .replace(b"From:", b"From: bank@bank.example\r\nFrom:"), "fail"),
    "a second From below": (sign().replace(b"Date:", b"From: bank@bank.example\r\nDate:"), "fail"),
    "a second Subject, signed once": (sign().replace(b"From:", b"Subject: x\r\nFrom:"), "pass"),
    "a second Subject, signed twice": (sign(h=NAMES + b":subject:from").replace(b"From:", b"Subject: x\r\nFrom:"), "fail"),
    "signed twice and there once": (sign(h=NAMES + b":subject:from"), "pass"),
    "a field signed before it was added": (sign().replace(b"From:", b"Message-ID: <a@b>\r\nFrom:"), "fail"),
    "empty body": (sign(RAW.partition(b"Buy  at")[0]), "pass"),
    "empty body, simple": (sign(RAW.partition(b"Buy  at")[0], c=b"simple/simple"), "pass"),
    "no body": (sign(RAW.partition(b"\r\n\r\n")[0] + b"\r\n"), "pass"),
    "bytes above ASCII": (sign(RAW.replace(b"Now", "nÿ\x00".encode("latin-1"))), "pass"),
    "a bare CR": (sign(RAW.replace(b"Now", b"No\rw")), "pass"),
    "line ends lost their CR": (sign().replace(b"\r\n", b"\n"), "pass"),
    "a line of an mbox on top": (b"From x@esp.example Tue Nov 24 01:02:03 2026\r\n" + sign(), "pass"),
    "white space in h=": (sign(h=b"from :\r\n\tto : subject"), "pass"),
    "capitals in h=": (sign(h=b"From:To:SUBJECT"), "pass"),
    "i= of the domain": (sign(i=b"@esp.example"), "pass"),
    "i= of a host below": (sign(i=b"x@news.esp.example"), "pass"),
    "i= of somebody else": (sign(i=b"x@bank.example"), "permerror"),
    "i= that only ends alike": (sign(i=b"x@notesp.example"), "permerror"),
    "x= in time": (sign(t=b"1700000000", x=str(int(time.time()) + 90_000).encode()), "pass"),
    "x= long ago": (sign(t=b"1700000000", x=b"1700001000"), "policy"),
    "x= before t=": (sign(t=b"1700000000", x=b"1600000000"), "neutral"),
    "x= is no number": (sign(x=b"soon"), "neutral"),
    "t= in the future": (sign(t=str(int(time.time()) + 90_000).encode()), "policy"),
    "l= of the whole body": (sign(l=b"37"), "pass"),
    "l= is no number": (sign(l=b"-1"), "neutral"),
    "v=2": (sign(v=b"2"), "neutral"),
    "unknown algorithm": (sign(a=b"rsa-sha256").replace(b"a=rsa-sha256", b"a=rsa-md5"), "neutral"),
    "unknown c=": (sign().replace(b"c=relaxed/relaxed", b"c=nofws"), "neutral"),
    "q= of another protocol": (sign(q=b"http"), "neutral"),
    **{f"{tag}= left out": (sign(drop=tag), "neutral") for tag in ("v", "a", "d", "s", "h", "bh", "b")},
    "a tag twice": (sign(s_=b"sel; s=sel"), "neutral"),
    "no tags": (b"DKIM-Signature: hello\r\n" + RAW, "neutral"),
    "an empty field": (b"DKIM-Signature:\r\n" + RAW, "neutral"),
    "b= of somebody else's key": (sign(signer=lambda data, _: rsa(1024).sign(data, PKCS1v15(), hashes.SHA256()) * 2), "fail"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_every_case_has_its_verdict_and_dkimpys_agrees(name: str) -> None:
    raw, verdict = CASES[name]
    found = check(raw)
    assert found.result == verdict, found.why
    assert found.candidate is (verdict == "pass")
    assert (verdict == "pass") is dkimpy_passes(raw)


@pytest.mark.parametrize(
    ("raw", "verdict", "words"),
    [
        (sign(h=b"to:subject:date"), "permerror", "does not cover the From field"),
        (sign(l=b"38"), "neutral", "covers 38 octets of a body that has 37"),
        (sign(d=b"esp example"), "neutral", "no domain and selector"),
        (sign(a=b"rsa-sha1"), "policy", "historic"),
        (sign(a=b"rsa-sha1").replace(b"Now.", b"New."), "fail", "body is not"),
    ],
)
def test_where_dkimpy_is_more_lenient_than_the_rfc(raw: bytes, verdict: str, words: str) -> None:
    found = check(raw)
    assert (found.result, found.candidate) == (verdict, False)
    assert words in found.why


def test_a_pass_says_who_signed_what_and_makes_the_signer_a_candidate() -> None:
    assert check(sign()) == Signature(
        "esp.example", "sel", "pass",
        "esp.example signed these bytes: From, Subject, Date, To and the body (key sel._domainkey.esp.example).",
        aligned=True, candidate=True, covers=("from", "to", "subject", "date", "message-id"),
    )  # fmt: skip


def test_a_signature_over_a_part_of_the_body_makes_nobody_a_candidate() -> None:
    raw = sign(l=b"10") + b"added"
    assert dkimpy_passes(raw)
    found = check(raw)
    assert (found.result, found.candidate) == ("pass", False)
    assert "only 10 of the body's 44 octets" in found.why
    nothing = check(sign(l=b"0"))
    assert (nothing.result, nothing.candidate) == ("pass", False)
    assert check(sign(l=b"10").replace(b"Buy", b"Sell")).result == "fail"


@pytest.mark.parametrize(
    ("records", "verdict", "words"),
    [
        ([], "permerror", "There is no key at sel._domainkey.esp.example"),
        (None, "temperror", "no answer for sel._domainkey.esp.example; it may later"),
        (["v=DKIM1; p="], "permerror", "revoked"),
        (["v=spf1 -all"], "permerror", "no DKIM key"),
        (["v=DKIM1; k=rsa"], "permerror", "no DKIM key"),
        (["v=DKIM2; p=MAo="], "permerror", "no DKIM key"),
        (["v=DKIM1; p=MAo="], "permerror", "cannot be read"),
        (["v=DKIM1; p=M"], "permerror", "cannot be read"),
        (["v=DKIM1; p=" + text_of(b"0\x06\x02\x01\x01\x02\x01\x01")], "permerror", "cannot be read"),
        ([ed25519_record()], "permerror", "not for signatures of this kind"),
        (["k=rsa; t; p=MAo="], "permerror", "no DKIM key"),
        (["\ufffd" * 70_000], "permerror", "no DKIM key"),
        ([rsa_record("h=sha1; ")], "permerror", "not for signatures of this kind"),
        ([rsa_record("s=chat; ")], "permerror", "not for mail"),
        ([rsa_record("h = sha1:sha256; s = chat : email; n=a note; t=x; ")], "pass", "signed these bytes"),
        ([rsa_record("s=*; g=; ")], "pass", "signed these bytes"),
        ([rsa_record(form=PublicFormat.PKCS1)], "pass", "signed these bytes"),
        ([rsa_record().replace("v=DKIM1; ", "").replace("p=", "p = ").replace("A", "A\r\n ")], "pass", "signed these bytes"),
        (["v=spf1 -all", rsa_record()], "pass", "signed these bytes"),
        (["v=DKIM1; p="] * 3 + [rsa_record()], "permerror", "revoked"),
    ],
)  # fmt: skip
def test_what_the_dns_says_of_the_key_decides(records: list[str] | None, verdict: str, words: str) -> None:
    [found] = verify(parse(sign()), {KEY: records}, "A", NOW)
    assert (found.result, found.candidate) == (verdict, verdict == "pass")
    assert words in found.why


def test_a_key_under_test_counts_like_no_signature() -> None:
    found = check(sign(), rsa_record("t=y; "))
    assert (found.result, found.candidate) == ("pass", False)
    assert "test (t=y)" in found.why


def test_a_key_for_the_domain_alone_does_not_speak_for_hosts_below() -> None:
    strict = rsa_record("t=s; ")
    assert check(sign(i=b"x@esp.example"), strict).result == "pass"
    assert check(sign(i=b"x@news.esp.example"), strict).result == "permerror"


def test_ed25519_signatures_are_checked() -> None:
    raw = sign(signer=with_ed25519, a=b"ed25519-sha256")
    assert check(raw, ed25519_record()).result == "pass"
    assert check(raw.replace(b"Now.", b"New."), ed25519_record()).result == "fail"
    assert check(raw.replace(b"buy", b"bye"), ed25519_record()).result == "fail"
    assert check(raw, "v=DKIM1; k=ed25519; p=AAAA").result == "permerror"
    assert check(raw, rsa_record()).result == "permerror"


def test_a_short_key_proves_nothing() -> None:
    raw = sign(signer=with_weak)
    found = check(raw, weak_record())
    assert (found.result, found.candidate) == ("policy", False)
    assert "512 bits" in found.why
    assert check(raw.replace(b"Now.", b"New."), weak_record()).result == "fail"
    assert not dkimpy_passes(raw, weak_record())


def test_time_is_when_the_message_was_received() -> None:
    raw = sign(t=b"1700000000", x=b"1700100000")
    received = datetime.fromtimestamp(1_700_050_000, UTC)
    assert check(raw, at=received).result == "pass"
    assert check(raw, at=received + timedelta(days=30)).result == "policy"
    assert check(raw, at=received - timedelta(days=30)).result == "policy"
    [without] = verify(parse(raw), {KEY: [rsa_record()]}, "A", None)
    assert without.result == "pass"


def test_damage_on_the_way_in_is_not_held_against_the_signer() -> None:
    for grade in "BCD":
        assert check(sign(), grade=grade).result == "pass"
        broken = check(sign().replace(b"Now.", b"New."), grade=grade)
        assert (broken.result, broken.candidate) == ("not checkable", False)
        assert f"grade {grade}" in broken.why


def test_a_message_without_its_end_is_not_checkable() -> None:
    whole = RAW.replace(b"Date:", b"Content-Type: multipart/mixed; boundary=b\r\nDate:").replace(
        b"Now.", b"--b\r\n\r\nhello\r\n--b--"
    )
    assert check(sign(whole)).result == "pass"
    assert check(sign(whole).replace(b"--b--", b"")).result == "not checkable"
    assert check(sign(whole).replace(b"hello", b"hallo")).result == "fail"


def test_lines_that_an_mbox_quoted_are_read_as_they_were() -> None:
    raw = sign(RAW + b"\r\nFrom here on\r\n> no quote\r\n>From there\r\n")
    quoted = raw.replace(b"\nFrom here", b"\n>From here").replace(b">From there", b">>From there")
    assert check(raw).result == check(quoted).result == "pass"
    assert check(quoted.replace(b">From here", b">From hell")).result == "fail"
    assert (
        check(sign(RAW.replace(b"Buy", b"From")).replace(b"\r\nFrom  at", b"\r\n>From  at")).result == "pass"
    )


def test_nothing_is_checked_without_keys_and_nothing_is_said_without_signatures() -> None:
    [found] = verify(parse(sign()), None)
    assert (found.domain, found.selector, found.result) == ("esp.example", "sel", "not checked")
    [unasked] = verify(parse(sign()), {})
    assert unasked.result == "not checked"
    assert verify(parse(RAW), {}) == ()


def test_signatures_are_judged_one_by_one() -> None:
    inner = sign()
    outer = sign(inner, s=b"two", d=b"list.example", h=b"from:dkim-signature")
    assert key_names(parse(outer)) == ("two._domainkey.list.example", KEY)
    keys = {KEY: [rsa_record()], "two._domainkey.list.example": [rsa_record()]}
    above, below = verify(parse(outer), keys, "A", NOW)
    assert (above.domain, above.result, above.aligned) == ("list.example", "pass", False)
    assert (below.domain, below.result, below.aligned) == ("esp.example", "pass", True)
    above, below = verify(parse(outer.replace(b"buy", b"bye")), keys, "A", NOW)
    assert (above.result, below.result) == ("pass", "fail")
    assert [dkimpy_passes(outer, at=at) for at in (0, 1)] == [True, True]


@pytest.mark.parametrize(
    ("sender", "aligned"),
    [
        (b"x@esp.example", True),
        (b"x@a.b.esp.example", True),
        (b'"y@bank.example" <x@ESP.example>', True),
        (b"x@bank.example", False),
        (b"x@esp.example.bank.example", False),
        (b"x@esp.example, y@bank.example", False),
        (b'"x@esp.example" <y@bank.example>', False),
        (b"a (x@bank.example (y) \\)) <x@esp.example> (z)", True),
        (b"<y@bank.example> <x@esp.example>", False),
        (b'"a\\" <y@bank.example>" x@esp.example', True),
        (b"nobody", False),
    ],
)
def test_alignment_is_by_the_organisation_of_the_one_author(sender: bytes, aligned: bool) -> None:
    raw = RAW.replace(b"Spammer <x@news.esp.example>", sender)
    assert check(sign(raw)).aligned is aligned
    twice = raw.replace(b"To:", b"From: z@esp.example\r\nTo:")
    assert not check(sign(twice)).aligned


def test_names_are_asked_for_in_small_letters_and_only_where_they_are_names() -> None:
    assert key_names(parse(sign(d=b"ESP.Example.", s=b"Sel"))) == (KEY,)
    assert key_names(parse(sign(d="bücher.example".encode(), s=b"a.b"))) == (
        "a.b._domainkey.xn--bcher-kva.example",
    )
    for bad in (
        b"esp..example",
        b"-x.example",
        b"a" * 64 + b".example",
        b".".join([b"a" * 50] * 5),
        b"com",
        b"a/b.example",
        b"a\x00b.example",
    ):
        assert key_names(parse(sign(d=bad))) == (), bad
    many = b"".join(sign(b"", with_rsa, s=b"s%d" % n) for n in range(40))
    assert len(key_names(parse(many + RAW))) == MOST_SIGNATURES
    found = verify(parse(many + RAW), {})
    assert len(found) == 16
    assert "topmost" in found[-1].why


def eight(raw: bytes = RAW, **given: bytes) -> bytes:
    return b"".join(sign(b"", with_rsa, drop="", fold=b" ", **given) for _ in range(8)) + raw


HOSTILE = {
    "many blank lines": eight(RAW + b"\n" * (8 << 20) + b"x", c=b"simple/simple"),
    "many spaces": eight(RAW + b" " * (8 << 20) + b"x"),
    "many short runs": eight(RAW + b"  x" * (3 << 20)),
    "eight lengths": b"".join(sign(b"", l=b"%d" % n, c=b"simple/" + way) for n in range(4) for way in (b"simple", b"relaxed")) + RAW + b"a b\r\n" * (1 << 20),
    "spaces in the signature": eight().replace(b"; bh=", b"; " + b" \r\n" * 5_000 + b"bh="),
    "spaces in b=": eight().replace(b"; b=", b"; b" + b" " * 14_000 + b"="),
    "semicolons": (b"DKIM-Signature: " + b";" * 16_000 + b"\r\n") * 8 + RAW,
    "a signature of a megabyte": b"DKIM-Signature: v=1; " + b"a" * (1 << 20) + b"\r\n" + RAW,
    "many names": eight(h=b"from:" + b":".join(b"x-%d" % n for n in range(499))),
    "a name many times": eight(b"To: a\r\n" * 4_000 + RAW, h=b"from:" + b"to:" * 498 + b"to"),
    "a header of spaces": eight(b"To:" + b" \t" * 200_000 + b"\r\n" + RAW),
    "a header of folds": eight(b"To: a" + b"\r\n " * 150_000 + b"\r\n" + RAW),
    "a header of four megabytes": eight(b"To: a" + b" b" * (2 << 20) + b"\r\n" + RAW),
    "an author of angles": eight(RAW.replace(b"Spammer", b"<" * 16_000)),
    "an author of brackets": eight(RAW.replace(b"Spammer", b'(<["' * 3_000)),
}  # fmt: skip


@pytest.mark.parametrize("shape", HOSTILE)
def test_hostile_shapes_take_less_than_a_second(shape: str) -> None:
    message = parse(HOSTILE[shape])
    huge = RSAPublicNumbers(65537, (1 << 16_383) + 1).public_key()
    record = f"p={text_of(huge.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))}"
    for records in ([rsa_record()], [record] * 3):
        begun = time.process_time()
        names = key_names(message)
        assert len(verify(message, dict.fromkeys(names, records), "A", NOW)) in {1, 8}
        assert time.process_time() - begun < 1


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=60),
    st.integers(0, 700),
    st.integers(0, 20),
    st.text(max_size=60),
    st.sampled_from("ABCD"),
)
def test_checking_never_raises(junk: bytes, at: int, cut: int, record: str, grade: str) -> None:
    raw = SIGNED
    message = parse(raw[:at] + junk + raw[at + cut :])
    key_names(message)
    for found in verify(message, {KEY: [record, rsa_record()]}, grade, NOW):
        assert found.result in {
            "pass",
            "fail",
            "neutral",
            "permerror",
            "temperror",
            "policy",
            "not checkable",
            "not checked",
        }
        assert found.why.isprintable()


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=120))
def test_any_key_record_is_read(record: bytes) -> None:
    for text in (record.decode("latin-1"), f"p={text_of(record)}", f"k=ed25519; p={text_of(record)}"):
        assert check(SIGNED, text).result == "permerror"


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from([b"a", b" ", b"\t", b"\r\n", b"\n", b"\r", b"b  ", b"\r\n\r\n", b" \t \r\n"]), max_size=12), st.integers(1, 4), st.booleans())  # fmt: skip
def test_bodies_are_hashed_as_by_dkimpy_wherever_they_are_cut_into_chunks(
    pieces: list[bytes], chunk: int, relaxed: bool
) -> None:
    body = b"".join(pieces)
    lines = body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    # Mail always ends in a line end; dkimpy leaves white space before a missing one
    whole = lines if not lines or lines.endswith(b"\r\n") else lines + b"\r\n"
    policy = CanonicalizationPolicy.from_c_value(b"relaxed/relaxed" if relaxed else b"simple/simple")
    expected = policy.canonicalize_body(whole)
    wanted = BodyHash(relaxed=relaxed, algorithm="sha256", limit=None)
    parts = [BodyHash(relaxed=relaxed, algorithm="sha1", limit=n) for n in range(0, len(expected) + 1, 3)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("complaints.canonical._CHUNK", chunk)
        digests, sizes = body_digests(b"head" + body, 4, [wanted, *parts])
    assert sizes == {relaxed: len(expected)}
    assert digests[wanted] == hashlib.sha256(expected).digest()
    for part in parts:
        assert digests[part] == hashlib.sha1(expected[: part.limit]).digest()


def test_the_stage_asks_for_the_keys_and_waits_for_no_lame_name_server(tmp_path: Path) -> None:
    lame = '[dns]\n"_domainkey.six.example" = "timeout"\n'

    async def run() -> dict[str, list[Json]]:
        async with house(tmp_path, world=World.load("demo").extended(lame), lookup_seconds=2) as home:
            signed = spams(home.internet.world, utc_now())
            documents = await home.waiting(signed["01-bank-phishing.eml"], signed["05-parcel-fee-ipv6.eml"])
            return {document["source_ip"]: document["evidence"]["signatures"] for document in documents}

    found = asyncio.run(run())
    [cloud], [six] = found["198.51.100.23"], found["2001:db8:1::25"]
    assert (cloud["domain"], cloud["result"], cloud["aligned"], cloud["candidate"]) == ("cloud.example", "pass", False, True)  # fmt: skip
    assert (six["domain"], six["result"], six["candidate"]) == ("six.example", "temperror", False)
