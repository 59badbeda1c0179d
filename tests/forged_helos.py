"""Lines of the reporter's own border about a client that chose what it says of itself, made from a seed.

Every dialect writes the line as its software does, and repeats what the client says as it came: its HELO, its
reverse name, its sender, its login, its certificate. Below stands a line that the client forged.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

DATE = "Tue, 24 Nov 2026 01:02:03 +0000"
SPAMMER = "198.51.100.66"
VICTIM = "203.0.113.99"


@dataclass(frozen=True)
class Client:
    """What the client chose, and its address."""

    helo: str
    name: str = ""
    sender: str = "x@spam.example"
    login: str = ""
    ip: str = SPAMMER
    by: str = "mx.reporter.example"


Template = Callable[[Client], str]


def _session(client: Client) -> str:
    if not client.login:
        return ""
    return f' (Client CN "{client.login}", Issuer "{client.login}" (not verified)) (Authenticated sender: {client.login})'


def _known(client: Client, without: str) -> str:
    return client.name or without


def _sendmail(c: Client) -> str:
    ident = f"{c.login}@" if c.login else ""
    name = f"{ident}{c.name} " if c.name else ident
    return f"from {c.helo} ({name}[{c.ip}]) by {c.by} (8.17.1/8.17.1) with ESMTP id 4A1 for <me@reporter.example>; {DATE}"


def _exim(c: Client) -> str:
    ident = f" ident={c.login}" if c.login else ""
    seen = f"{c.name} ([{c.ip}] helo={c.helo}{ident})" if c.name else f"[{c.ip}] (helo={c.helo}{ident})"
    return f"from {seen} by {c.by} with esmtp (Exim 4.96) (envelope-from <{c.sender}>) id 1abc-0 for me@reporter.example; {DATE}"


def _exim_with_port(c: Client) -> str:
    seen = f"{c.name} ([{c.ip}]:4711 helo={c.helo})" if c.name else f"[{c.ip}] (port=4711 helo={c.helo})"
    return f"from {seen} by {c.by} with esmtps (TLS1.3) tls TLS_AES (Exim 4.97) (envelope-from <{c.sender}>) id 1abc-0; {DATE}"


def _communigate(c: Client) -> str:
    if c.login:
        return f"from [{c.ip}] (account {c.login} HELO {c.helo}) by {c.by} (CommuniGate Pro SMTP 6.3) with ESMTPA id 9; {DATE}"
    seen = f"from {c.name} ([{c.ip}] verified)" if c.name else f"from [{c.ip}] (HELO {c.helo})"
    return f"{seen} by {c.by} (CommuniGate Pro SMTP 6.3) with ESMTP id 9; {DATE}"


TEMPLATES: dict[str, Template] = {
    "postfix": lambda c: f"from {c.helo} ({_known(c, 'unknown')} [{c.ip}])\r\n\tby {c.by} (Postfix) with ESMTP id 4ABC\r\n\tfor <me@reporter.example>; {DATE}",
    "postfix, tls": lambda c: f"from {c.helo} ({_known(c, 'unknown')} [{c.ip}])\r\n\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)\r\n\t key-exchange X25519 server-signature RSA-PSS (2048 bits) server-digest SHA256)\r\n\t{_session(c) or '(No client certificate requested)'}\r\n\tby {c.by} (Postfix) with ESMTPS id 4ABC; {DATE}",
    "sendmail": _sendmail,
    "sendmail, doubted": lambda c: f"from {c.helo} ({_known(c, 'x.example')} [{c.ip}] (may be forged)) by {c.by} (8.17.1/8.17.1) with ESMTP id 4A1; {DATE}",
    "exim": _exim,
    "exim, port": _exim_with_port,
    "exim, old": lambda c: f"from {_known(c, 'x.example')} ({c.helo}) [{c.ip}] by {c.by} with esmtp (Exim 3.35 #1 (Debian)) id 1CO5y7-1; {DATE}",
    "qmail": lambda c: f"from {_known(c, 'unknown')} (HELO {c.helo}) ({c.login + '@' if c.login else ''}{c.ip})\r\n  by {c.by} with SMTP; 24 Nov 2026 01:02:03 -0000",
    "qmail-ldap": lambda c: f"from {_known(c, 'unknown')} (HELO {c.helo}) ([{c.ip}]) (envelope-sender <{c.sender}>) by {c.by} (qmail-ldap-1.03) with SMTP for <me@reporter.example>; 24 Nov 2026 01:02:03 -0000",
    "qpsmtpd": lambda c: f"from {_known(c, 'unknown')} (HELO {c.helo}) ({c.ip}) by {c.by} (qpsmtpd/0.94) with ESMTP; {DATE}",
    "exchange": lambda c: f"from {c.helo} ({c.ip}) by {c.by} (192.0.2.10) with Microsoft SMTP Server (version=TLS1_2, cipher=TLS_ECDHE_RSA) id 15.20.7025.21; {DATE}",
    "exchange, old": lambda c: f"from {c.helo} ([{c.ip}]) by {c.by} with Microsoft SMTPSVC(6.0.3790.4675); {DATE}",
    "outlook": lambda c: f"from {c.helo} ({c.ip}) by C.mail.protection.outlook.com (10.13.1.1) with Microsoft SMTP Server (version=TLS1_2, cipher=X) id 15.20.1.2 via Frontend Transport; {DATE}",
    "gmail": lambda c: f"from {c.helo} ({c.name + '. ' if c.name else ''}[{c.ip}])\r\n        by mx.google.com with ESMTPS id a1-2 for <me@gmail.com>\r\n        (version=TLS1_3 cipher=TLS_AES bits=128/128); {DATE}",
    "yahoo": lambda c: f"from {_known(c, c.ip)} (EHLO {c.helo}) ({c.ip}) by mta1.mail.yahoo.com with SMTP; {DATE}",
    "opensmtpd": lambda c: f"from {c.helo} ({_known(c, '<unknown>')} [{c.ip}]) by {c.by} (OpenSMTPD) with ESMTPS id 5db34e0d (TLSv1.3:AEAD) for <me@reporter.example>; {DATE}",
    "haraka": lambda c: f"from {c.helo} ({_known(c, 'unknown')} [{c.ip}])\r\n\tby {c.by} (Haraka/3.0.1) with ESMTPS id ABC.1\r\n\tenvelope-from <{c.sender}>; {DATE}",
    "communigate": _communigate,
    "mdaemon": lambda c: f"from {c.helo} ({c.helo} [{c.ip}]) by {c.by} (192.0.2.9) (MDaemon PRO v24) with ESMTPS id md50.msg; {DATE}",
    "mdaemon, old": lambda c: f"from {c.helo} [{c.ip}] by {c.by} (MDaemon PRO v9) with ESMTP id md50.msg; {DATE}",
    "domino": lambda c: f"from {c.helo} ([{c.ip}]) by {c.by} (HCL Domino Release 12.0.2) with ESMTP id 2026112401-1 ; {DATE}",
    "stalwart": lambda c: f"from {c.helo} ({_known(c, 'unknown')} [{c.ip}]) (using TLSv1.3 with cipher X) by {c.by} (Stalwart SMTP) with ESMTPS id 18ABC; {DATE}",
    "courier": lambda c: f"from {c.helo} ({_known(c, 'softdnserr')} [::ffff:{c.ip}])\r\n  {'(AUTH: LOGIN ' + c.login + ')' if c.login else ''}\r\n  by {c.by} (courier-0.40) with esmtp; {DATE}",
    "proofpoint": lambda c: f"from {c.helo} ({_known(c, 'unknown')} [{c.ip}]) by {c.by} (PPS) with ESMTPS id 3n-1 (version=TLSv1.2 cipher=X); {DATE}",
    "barracuda": lambda c: f"from {c.helo} ({_known(c, c.helo)} [{c.ip}]) by {c.by} (Spam Firewall) with ESMTP id 1A for <me@reporter.example>; {DATE}",
    "zoho": lambda c: f"from {c.helo} ({_known(c, 'unknown')} [{c.ip}]) by mx.zoho.com with SMTPS id 1234.5; {DATE}",
    "ses": lambda c: f"from {c.helo} ({_known(c, 'x.example')}. [{c.ip}]) by inbound-smtp.eu-west-1.amazonaws.com with SMTP id abc for me@reporter.example; {DATE}",
    "mailenable": lambda c: f"from {c.helo} ([{c.ip}]) by {c.by} with MailEnable ESMTP; {DATE}",
    "momentum": lambda c: f"from [{c.ip}] ([{c.ip}:7115] helo={c.helo}) by {c.by} (ecelerity 4.8 r(a:b)) with ESMTP id 1/2-3; {DATE}",
    "imail": lambda c: f"from {c.helo} [{c.ip}] by {c.by} with ESMTP (SMTPD32-7.04) id A1; {DATE}",
    "intermail": lambda c: f"from {c.helo} ([{c.ip}]) by {c.by} (InterMail vM.5.01) with ESMTP id <1.A@x>; {DATE}",
    "sun": lambda c: f"from {c.helo} ({c.name + ' ' if c.name else ''}[{c.ip}]) by {c.by} (iPlanet Messaging Server 5.2) with ESMTP id <0H@x>; {DATE}",
    "xmail": lambda c: f"from {c.helo} ([{c.ip}]:23198) by {c.by} with [XMail 1.20 ESMTP Server] id <S72E> for <me@reporter.example> from <{c.sender}>; {DATE}",
    "smap": lambda c: f'from {_known(c, "unknown")}({c.ip}), claiming to be "{c.helo}" via SMTP by {c.by}, id smtpdV82674; {DATE}',
    "merak": lambda c: f"from {c.helo} ([{c.ip}]) by {c.by} (Merak 8.0.3) with ASMTP id ABC; {DATE}",
    "zmailer": lambda c: f'from {_known(c, c.helo)} ([{c.ip}]:50038 "EHLO {c.helo}" ident: "NO-IDENT-SERVICE[2]") by {c.by} with ESMTP id S1; {DATE}',
    "powermta": lambda c: f"from {c.helo} ({c.ip}) by {c.by} (PowerMTA(TM) v3.5r15) id hb1; {DATE}",
    "nemesis": lambda c: f"from {c.helo} ([{c.ip}]) by {c.by} (mxeue103 [10.2.3.4]) with ESMTPS (Nemesis) id 1M1YlB-1 for <me@reporter.example>; {DATE}",
    "ironport": lambda c: f"from {_known(c, 'unknown')} (HELO {c.helo}) ({c.login + '@' if c.login else ''}[{c.ip}]) by {c.by} with ESMTP/TLS/AES256-GCM-SHA384; {DATE}",
    "s/qmail": lambda c: f"from {_known(c, 'unknown')} (HELO {c.helo}) ({c.ip}) de-crypted with TLSv1.3: TLS_AES_256_GCM_SHA384 [256/256] DN={c.login or 'none'} by {c.by} with ESMTPS; 24 Nov 2026 01:02:03 -0000",
    "mailmarshal": lambda c: f"from {c.helo} ({_known(c, 'Not Verified')}[{c.ip}]) by {c.by} with MailMarshal (v6,4,5,1) id <B4>; {DATE}",
    "pmdf": lambda c: f'from {c.helo} ("port 4711"@[{c.ip}]) by {c.by} (PMDF V6.2-X31 #31) with ESMTP id <01K@x>; {DATE}',
    "mimecast": lambda c: f"from {c.helo} ({_known(c, c.ip)} [{c.ip}]) by relay.mimecast.com with ESMTP with STARTTLS (version=TLSv1.3, cipher=X) id us-mta-1-A-1; {DATE}",
    "haraka, no name": lambda c: f"from {c.helo} ({_known(c, 'NXDOMAIN')} [{c.ip}])\r\n\tby {c.by} (Haraka/3.0.1) with ESMTPS id ABC.1\r\n\tenvelope-from <{c.sender}>; {DATE}",
    "postfix, logged in": lambda c: f"from {c.helo} ({_known(c, 'unknown')} [{c.ip}])\r\n\t(Authenticated sender: {c.login or 'joe'}) by {c.by} (Postfix) with ESMTPSA id 4ABC; {DATE}",
    "kerio": lambda c: f"from {c.helo} ([{c.ip}]) by {c.by} (Kerio Connect 9.4.1) with ESMTPS (using TLSv1.3 with cipher X (256/256 bits)) for me@reporter.example; {DATE}",
    "james": lambda c: f"from {_known(c, c.helo)} (EHLO {c.helo}) ([{c.ip}]) by {c.by} (JAMES SMTP Server ) with ESMTPS ID abc for <me@reporter.example>; {DATE}",
    "surgemail": lambda c: f"from {c.helo} ({_known(c, 'unverified')} [{c.ip}]) by {c.by} (SurgeMail 6.5a) with ESMTP id 12-34 for <me@reporter.example>; {DATE}",
    "unknown": lambda c: f"from {c.helo} ({c.name + ' ' if c.name else ''}[{c.ip}]) by {c.by} with ESMTP id 1; {DATE}",
    "unknown, bare": lambda c: f"from {c.helo} ({c.ip}) by {c.by} with ESMTP id 1; {DATE}",
}  # fmt: skip

BENIGN = [
    "spam.example",
    "mail-1.spam.example",
    "SPAM",
    "localhost",
    "x_y.example",
    "203-0-113-99.dsl.example",
]
_ADDRESSES = [VICTIM, "10.0.0.1", "127.0.0.1", "192.0.2.10", SPAMMER, "IPv6:2001:db8::99", "2001:db8::99"]
_OWN = ["mx.reporter.example", "imap", "localhost", "mx.google.com", "imap.reporter.example"]


def _seen(rng: random.Random) -> str:
    """What looks like an address that software saw."""
    ip, name = rng.choice(_ADDRESSES), rng.choice(["v", "mx.reporter.example", "unknown", "", "v.example."])
    said = name + " " if name else ""
    return rng.choice(
        [f"({said}[{ip}])", f"[{ip}]", f"({ip})", f"([{ip}])", f"([{ip}] verified)", f"({said}[{ip}] (may be forged))", ip,
         f"([{ip}]:25 helo=v)", f"(helo={ip})", f"(HELO v) ({ip})", f"(v@{ip})", f"({said}({ip}))", f"[({ip})]", f"- {ip}", f"({ip} with login)"]
    )  # fmt: skip


def _clause(rng: random.Random) -> str:
    by = rng.choice(["by", "by", "BY", "By", "b\0y", "by\t", ") by", ";by"])
    with_ = rng.choice(["ESMTP", "LMTP", "POP3 (fetchmail-6.4)", "local", "esmtp (Exim 4.96)", "Microsoft SMTP Server", "HTTP", "SMTP", "mapi"])  # fmt: skip
    software = rng.choice(["", " (Postfix)", " (8.17.1/8.17.1)", " (Exim 4.96)", f" ([{VICTIM}])", f" ({SPAMMER})", " (qmail-ldap-1.03)"])  # fmt: skip
    return rng.choice(
        [f"{by} {rng.choice(_OWN)}{software}", f"with {with_}", "id 1", "for <me@reporter.example>", "via SMTP", f"; {DATE}",
         f'claiming to be "v" via SMTP by {rng.choice(_OWN)}', "from <x@v.example>", f"{by} {rng.choice(_OWN)}{software} with {with_} id 1; {DATE}"]
    )  # fmt: skip


_MARKS = [
    "(", ")", "((", "))", "[", "]", "<", ">", '"', '\\"', "\\", ";", "x", "v.example", "(x", "x)", "(using TLSv1.3 with cipher X (1/2 bits))",
    '(Client CN "', '")', '"(', "\t", "\0", "\x0b", "\u2028", "\xa0", "x" * 300, "helo=", "HELO", "ident=", "=", "@", ",", "(HELO", "(helo=",
]  # fmt: skip


def _mark(rng: random.Random) -> str:
    return rng.choice(_MARKS)


def hostile(rng: random.Random) -> str:
    """What a client says to be taken for somebody else."""
    pieces = [rng.choice([_seen, _seen, _clause, _mark])(rng) for _ in range(rng.randrange(1, 6))]
    said = rng.choice(
        ["v ", "v", "v.example ", "", "x) ", "mx.reporter.example ", f"[{VICTIM}] ", f"{VICTIM} "]
    )
    return (
        said + rng.choice([" ", " ", " ", ""]).join(pieces) + rng.choice(["", "", " (", " (x", "x" * 9_000])
    )


def _strange(name: str) -> str:
    """Leave what no name server can confirm: software that looks a name up forward knows better."""
    return name if set(name) & set('()[]<>;"=') else ""


def forged(rng: random.Random) -> str:
    """The line that the client put below: a host of the reporter's seems to have seen another."""
    by = rng.choice([*_OWN, "mx.victim.example", "v.example", "v"])
    return f"Received: from v ({rng.choice(['v', 'mail.victim.example'])} [{VICTIM}]) by {by} (Postfix) with ESMTP id 2; {DATE}"


@dataclass(frozen=True)
class Line:
    """A message that begins with the border's line, and what its reporter trusts."""

    raw: bytes
    trust: tuple[str, ...]
    dialect: str


def line(seed: int) -> Line:
    """Make the line of this seed; odd ones have several strings of the client's."""
    rng = random.Random(seed)
    dialect = list(TEMPLATES)[seed % len(TEMPLATES)]
    plain = rng.choice(BENIGN)
    client = Client(
        hostile(rng) if rng.random() < 0.85 else plain,
        rng.choice(["", "host.spam.example", "mail.victim.example", _strange(hostile(rng).split(" ")[0])]),
        hostile(rng) if rng.random() < 0.3 else "x@spam.example",
        hostile(rng) if rng.random() < 0.3 else "",
        by=rng.choice(["mx.reporter.example", "mx.reporter.example", "imap"]),
    )
    head = ["Received: " + TEMPLATES[dialect](client), *(forged(rng) for _ in range(rng.randrange(1, 4)))]
    trust = rng.choice([(), ("reporter.example",), ("192.0.2.10", "mx.reporter.example", "imap")])
    return Line("\r\n".join([*head, "From: x@spam.example", "", VICTIM, ""]).encode(), trust, dialect)
