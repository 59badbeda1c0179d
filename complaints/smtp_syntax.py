"""Commands as they may be: takes a line, leaves an address with its parameters, or what is wrong with it.

Strict where a difference could be abused, lenient where real clients are known to be loose (RFC 5321 §4.1.2).
"""

import re

COMMAND_OCTETS = 4096
"""Longest command: RFC 5321 §4.5.3.1.4 asks for 512, its extensions and UTF-8 addresses for more."""
_HTTP = (b"GET", b"POST", b"PUT", b"HEAD", b"PATCH", b"DELETE", b"OPTIONS", b"CONNECT", b"TRACE", b"PRI")
FAREWELLS = dict.fromkeys(_HTTP, "554 5.5.1 This is SMTP, not HTTP; closing the connection") | {
    b"BDAT": "502 5.5.1 BDAT is not offered; closing the connection"
}
"""Verbs after which comes content, not commands (of BDAT: RFC 3030 §2), and what is said to them at last."""
MOVES_MAIL = frozenset([b"MAIL", b"RCPT", b"DATA"])
_VERBS = MOVES_MAIL | {b"RSET", b"NOOP", b"QUIT", b"VRFY", b"EXPN", b"HELP", b"STARTTLS"}
_KNOWN = {False: _VERBS | {b"EHLO", b"HELO"}, True: _VERBS | {b"LHLO"}}
_WITHOUT_ARGUMENT = frozenset([b"DATA", b"RSET", b"QUIT", b"STARTTLS"])
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
# A source route is read over (RFC 5321 §3.3, appendix C); some clients leave the brackets out.
_PATH = re.compile(
    r'\s*(?:<(?:@[^\s<>:]*:)?("(?:[^"\\]|\\.)*"@[^\s<>"]+|[^\s<>"]*)>|([^\s<>"]+))'
    r"((?:\s.*)?)"
)
_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([!-<>-~]+))?")


def command_problem(line: bytes, verb: bytes, rest: str, greeted: bool, lmtp: bool) -> str:
    """Reply to a command that cannot be obeyed whatever its argument says, or say "".

    `verb`, in upper case, and `rest` are the two halves of `line`. LMTP greets with LHLO and nothing else
    (RFC 2033 §4.1).
    """
    if len(line) > COMMAND_OCTETS:
        return f"500 5.5.2 Commands are of at most {COMMAND_OCTETS} octets"
    known = verb in _KNOWN[lmtp]
    if not (known and rest.isprintable()) and _CONTROL.search(
        line
    ):  # the first says it of nearly all, sooner
        return "500 5.5.2 Control character in the command; only CR LF together end a line"
    if not known:
        return "500 5.5.1 Command not known"
    if verb in _WITHOUT_ARGUMENT and rest.strip():
        return f"501 5.5.4 {verb.decode()} takes no argument"
    if not greeted and verb in MOVES_MAIL:
        return f"503 5.5.1 Say {'LHLO' if lmtp else 'EHLO'} first"
    return ""


def parse_path(argument: str, keyword: str) -> tuple[str, dict[str, str]] | None:
    """Split `FROM:<ann@a.example> SIZE=9` into the address and {"SIZE": "9"}; None if it is no such thing.

    `keyword` is `FROM:` or `TO:`. The address is given as it was written; `<>` is the empty string. Names and
    values of parameters are upper case, a missing value is the empty string.
    """
    if argument[: len(keyword)].upper() != keyword:
        return None
    match = _PATH.fullmatch(argument, len(keyword))
    if match is None:
        return None
    path, bare, words = match.groups()
    parameters: dict[str, str] = {}
    for word in words.split():
        parameter = _PARAMETER.fullmatch(word)
        if parameter is None:
            return None
        parameters[parameter[1].upper()] = (parameter[2] or "").upper()
    return bare or path or "", parameters


def mail_problem(parameters: dict[str, str], max_bytes: int) -> str:
    """Reply to MAIL parameters that cannot be met, or say "".

    Known are SIZE (RFC 1870 §6), BODY (RFC 6152 §2) and SMTPUTF8 (RFC 6531 §3.4).
    """
    if unknown := parameters.keys() - {"SIZE", "BODY", "SMTPUTF8"}:
        return f"555 5.5.4 MAIL parameter {min(unknown)[:40]} is not known"
    size = parameters.get("SIZE", "0")
    if not (size.isdecimal() and len(size) <= 20):
        return "501 5.5.4 SIZE takes a number of octets"
    if int(size) > max_bytes:
        return too_big(max_bytes)
    if parameters.get("BODY", "7BIT") not in {"7BIT", "8BITMIME"}:
        return "501 5.5.4 BODY is 7BIT or 8BITMIME"
    if parameters.get("SMTPUTF8"):
        return "501 5.5.4 SMTPUTF8 takes no value"
    return ""


def too_big(max_bytes: int) -> str:
    """Reply to a message over the limit."""
    return f"552 5.3.4 Mail of at most {max_bytes} octets is taken; send less in one mail"


def address_problem(address: str, *, utf8: bool, code: int) -> str:
    """Reply to an address whose octets are not allowed in this transaction, or say "".

    `utf8` says that the client declared SMTPUTF8; `code` is 550 for MAIL, 553 for RCPT (RFC 6531 §3.5).
    """
    if address.isascii():
        return ""
    try:
        address.encode()
    except UnicodeEncodeError:
        return f"{code} 5.6.7 The address is not UTF-8"
    return "" if utf8 else f"{code} 5.6.7 Non-ASCII addresses need SMTPUTF8 on the MAIL command"
