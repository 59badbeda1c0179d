"""Telling what came back: takes a mail sent to an address of a report, leaves what it is and what it says.

Four kinds: a bounce (RFC 3464, or one of the older forms), an automatic mail (RFC 3834), a desk's answer,
and an answer whose first line is a verdict. Every reading of content is tolerant and bounded; nothing
raises.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from selectolax.lexbor import LexborHTMLParser

from complaints.encodings import printable
from complaints.message import Message, parse

LONGEST_TEXT = 20_000
"""Characters of text kept."""
_SEARCHED = 200_000
VERDICTS = {
    "received": "received",
    "in progress": "in progress",
    "working on it": "in progress",
    "resolved": "resolved",
    "fixed": "resolved",
    "closed": "resolved",
    "done": "resolved",
    "not ours": "not ours",
    "not us": "not ours",
    "not our customer": "not ours",
    "not our network": "not ours",
    "wrong address": "not ours",
    "innocent": "innocent",
    "innocent bystander": "innocent",
    "stop": "stop",
    "unsubscribe": "stop",
    "opt out": "stop",
    "optout": "stop",
    "no more reports": "stop",
}
"""What the first line of an answer may say, and the verdict it is."""

_DELIVERY_STATUS = {"message/delivery-status", "message/global-delivery-status"}
_SUCCESS = {"delivered", "relayed", "expanded"}
_NOTIFICATION = {"message/disposition-notification", "message/feedback-report"}
_ENCLOSED = {"message/rfc822", "message/global", "text/rfc822-headers", "message/rfc822-headers"}


def _phrases(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


# How mail systems that do not follow RFC 3464 name themselves and what they write: read off bounces
# of about 90 of them, written from 1996 to 2025.
_MAILER = _phrases(
    r"mailer-?daemon",
    r"mail(?:er|\s)?[-_. ]?(?:administrator|delivery|system|router|gateway|subsystem)",
    r"post-?(?:master|office)",
    r"^<?(?:bounce|uucp|mdaemon|smtp|exchange|antispam|mmdf|qmail|autoreply-null)[^@]{0,30}@",
    r"mail\s*server",
    r"no-?reply@.*mailer",
)
_BOUNCE_SUBJECT = _phrases(
    r"undeliver",
    r"non[- ]?deliver",
    r"not\s+(?:be\s+)?deliver",
    r"deliver[a-z]*\s+(?:\w+\s+){0,4}(?:fail|status|error|problem|delay|notif|report|incomplete)",
    r"(?:fail|error|problem)[a-z]*\s+(?:\w+\s+){0,4}(?:deliver|mail|send|notice)",
    r"returned?\s+(?:e-?)?mail",
    r"mail\s+(?:\w+\s+){0,2}return",
    r"mail\s+(?:system\s+error|failure)",
    r"warning:\s+(?:could\s+not|message)",
    r"(?:message|mail)\s+(?:rejected|bounced)",
    r"\bndn\b",
    r"\bndr\b",
    r"unzustellbar",
    r"konnte\s+nicht",
    r"mail\s+disabled",
    r"could\s*n.t\s+send",
    r"message\s+status",
    r"unknown\s+(?:user|address|recipient)",
    r"no\s+se\s+puede\s+entregar",
    r"non\s+remis",
    r"avis\s+de\s+non",
    r"mail\s+delivery",
    r"user\s+unknown",
    r"address\s+(?:unknown|not\s+found|does)",
    r"^failure\b",
    r"bounced?\b",
    r"permanent(?:ly)?\s+(?:fail|error)",
    r"cannot\s+be\s+delivered",
    r"mailbox\s+(?:full|unavailable|quota)",
    r"over\s*quota",
)
_FAILED_RECIPIENT = re.compile(
    r"(?:rfc822|utf-8|x-\w+|smtp|dns|unknown)?\s*;?\s*<?([^\s<>;\"]{1,64}@[^\s<>;\"]{1,255})>?", re.IGNORECASE
)
_ADDRESS = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9-]{0,62}\.){1,10}[A-Za-z]{2,24}"
)
_ENHANCED = re.compile(r"(?<![\d.v])([245]\.\d{1,3}\.\d{1,3})(?![\d.])")
_FAILURE = re.compile(r"(?<![\d.v])([45]\.\d{1,3}\.\d{1,3})(?![\d.])")
_REPLY_CODE = re.compile(r"(?<![\d.:-])([45]\d\d)(?=[ -](?:[A-Za-z<#('\"]|[45]\.\d))")
_PERMANENT = _phrases(
    r"user\s+(?:is\s+)?unknown",
    r"unknown\s+(?:user|address|recipient|mailbox|local)",
    r"no\s+(?:such|mailbox)",
    r"does\s*n.t\s+(?:exist|have)",
    r"not\s+exist",
    r"permanent",
    r"fatal",
    r"cannot\s+be\s+delivered",
    r"could\s+not\s+be\s+(?:delivered|sent)",
    r"was\s+not\s+delivered",
    r"not\s+(?:listed|found|known)",
    r"undeliver",
    r"disabled",
    r"rejected",
    r"refused",
    r"inactive",
    r"invalid",
    r"unrouteable",
    r"(?:delivery|mail)\s+(?:\w+\s+)?fail",
    r"failed",
    r"giving\s+up",
    r"returned",
    r"unable\s+to\s+deliver",
    r"over\s*quota",
    r"mailbox\s+full",
    r"denied",
    r"unavailable",
    r"terminated",
    r"expired",
)
_DELAYED = _phrases(
    r"will\s+(?:be\s+retried|keep\s+trying|continue|be\s+re-?sent|retry)",
    r"delayed",
    r"still\s+trying",
    r"do\s+not\s+(?:need\s+to\s+)?resend",
    r"temporar",
    r"this\s+is\s+a\s+warning\s+message\s+only",
    r"no\s+action\s+is\s+required",
    r"not\s+yet\s+been\s+delivered",
)
_AUTOMATIC_SUBJECT = _phrases(
    r"^\W*(?:re:\s*)?auto(?:matic(?:ally)?|mated|matische|matique)?[- :]?\s*"
    r"(?:repl|respon|antwort|answer|generated|r\u00e9ponse|acknowledg)",
    r"^\W*(?:re:\s*)?(?:auto:\s|out\s+of\s+(?:the\s+)?office|vacation|abwesen|on\s+leave|away\s+from)",
    r"^\W*(?:re:\s*)?(?:r\u00e9ponse\s+automatique|respuesta\s+autom)",
    r"^\W*(?:re:\s*)?(?:ticket|case|request|incident)\b.{0,40}(?:received|opened|created|registered)",
)
_AUTOMATIC_FIELDS = (
    "x-autoreply",
    "x-autorespond",
    "x-autoresponse",
    "x-auto-response-suppress-reply",
    "x-mail-autoreply",
)
_LIST_FIELDS = ("list-id", "list-unsubscribe", "list-post", "list-help", "list-owner", "list-subscribe")
_BULK = re.compile(r"bulk|list|junk|auto_?reply", re.IGNORECASE)
_MESSAGE_ID = re.compile(r"<[^<>\s]{1,400}@[^<>\s]{1,255}>")
_QUOTED_HEADER = re.compile(r"^[ >\t]*Message-ID:\s*(<[^<>\s]{1,400}>)", re.IGNORECASE | re.MULTILINE)
_BLANK_LINES = re.compile(r"\n{3,}")


@dataclass(frozen=True, kw_only=True)
class Returned:
    """What a returned mail is.

    `kind` is bounce, automatic, answer or verdict. `status` is, of a bounce, the enhanced status code (RFC
    3463) or the reply code; of a verdict, the verdict word. `failed`: nothing will be delivered any more.
    `text` is plain text, safe to show, of at most `LONGEST_TEXT` characters. `original_message_id` is of
    our mail that this one is about.
    """

    kind: str
    status: str | None
    text: str
    recipient: str | None
    failed: bool
    original_message_id: str | None


def classify(raw: bytes, *, mail_from: str = "") -> Returned:
    """Tell what a mail that came back is. `mail_from` is its envelope sender, empty for the null sender."""
    message = parse(raw)
    text = _text(message)
    groups = list(_status_groups(message)) or list(_enclosed_groups(message))
    original = _original_message_id(message, text)
    if groups:
        return _from_groups(groups, text, original)
    if _is_old_bounce(message, mail_from):
        return _from_prose(message, text, original)
    if _is_automatic(message, mail_from):
        return _as("automatic", text, original)
    verdict = _verdict(text)
    return _as("verdict" if verdict else "answer", text, original, status=verdict)


def _as(kind: str, text: str, original: str | None, status: str | None = None) -> Returned:
    return Returned(
        kind=kind, status=status, text=text, recipient=None, failed=False, original_message_id=original
    )


# -- bounces ---------------------------------------------------------------------------------------


def _status_groups(message: Message) -> Iterator[Message]:
    """Yield the per-recipient groups of a delivery status (RFC 3464 §2.3)."""
    for part in message.leaves():
        if part.content_type in _DELIVERY_STATUS:
            for block in re.split(rb"\r?\n[ \t]*\r?\n|\r\r", part.content()[:_SEARCHED]):
                group = parse(block.strip(b"\r\n") + b"\n")
                if group.get("Action") or group.get("Status") or group.get("Final-Recipient"):
                    yield group


def _enclosed_groups(message: Message) -> Iterator[Message]:
    """Yield the groups of a delivery status that a filter wrapped once more.

    Only in a mail of a mail system: an answer may enclose our report, whose spam may be a bounce.
    """
    if _MAILER.search(message.get("From") or "") and _BOUNCE_SUBJECT.search(message.subject or ""):
        for part in message.leaves():
            if part.content_type in _ENCLOSED:
                yield from _status_groups(parse(part.content()))


def _from_groups(groups: list[Message], text: str, original: str | None) -> Returned:
    """Take the worst of the groups: failed, then delayed, then the rest."""
    group = min(groups, key=_severity)
    status = _ENHANCED.search(group.get("Status") or "") or _ENHANCED.search(
        group.get("Diagnostic-Code") or ""
    )
    diagnostic = (group.get("Diagnostic-Code") or "").partition(";")[2].strip()
    recipient = _recipient(group.get("Final-Recipient")) or _recipient(group.get("Original-Recipient"))
    explained = f"{diagnostic}\n\n{text}" if diagnostic and diagnostic not in text else text
    return Returned(
        kind="bounce",
        status=status[1] if status else None,
        text=explained[:LONGEST_TEXT],
        recipient=recipient,
        failed=_severity(group) == 0,
        original_message_id=original,
    )


def _severity(group: Message) -> int:
    action, status = (group.get("Action") or "").lower(), (group.get("Status") or "").strip()
    if "fail" in action or (action not in _SUCCESS and "delay" not in action and status.startswith("5")):
        return 0
    return 1 if "delay" in action or status.startswith("4") else 2


def _recipient(field: str | None) -> str | None:
    match = _FAILED_RECIPIENT.search(field or "")
    return match[1] if match else None


def _is_old_bounce(message: Message, mail_from: str) -> bool:
    """Tell a bounce that is no RFC 3464 report: from a mail system, about delivery, and nobody's answer."""
    if message.get("X-Failed-Recipients"):
        return True
    sender = message.get("From") or message.get("Sender") or ""
    from_system = _MAILER.search(sender) is not None or _MAILER.search(mail_from) is not None
    about_delivery = _BOUNCE_SUBJECT.search(message.subject or "") is not None
    if "replied" in (message.get("Auto-Submitted") or "").lower() and not about_delivery:
        return False
    answered = (message.subject or "").lower().startswith(("re:", "aw:")) and not from_system
    if from_system and about_delivery:
        return True
    body = _first_text(message)[:3000]
    says = _PERMANENT.search(body) is not None or _DELAYED.search(body) is not None
    return (
        says and not answered and (from_system or (about_delivery and (not mail_from or _encloses(message))))
    )


def _from_prose(message: Message, text: str, original: str | None) -> Returned:
    """Read a bounce written for people: status and recipient stand in its first part."""
    own = _first_text(message)[:_SEARCHED]
    notice = (
        re.split(r"^[ >\t-]*(?:Received|Return-Path|From|Message-ID):", own, maxsplit=1, flags=re.MULTILINE)[
            0
        ]
        or own
    )
    enhanced, code = (
        _FAILURE.search(notice) or _FAILURE.search(own),
        _REPLY_CODE.search(notice) or _REPLY_CODE.search(own),
    )
    status = enhanced[1] if enhanced else code[1] if code else None
    said = f"{message.subject or ''}\n{notice}"
    permanent = status.startswith("5") if status else _PERMANENT.search(said) is not None
    delayed = _DELAYED.search(said) is not None and not (status or "").startswith("5")
    return Returned(
        kind="bounce",
        status=status,
        text=text,
        recipient=_named(message, notice),
        failed=permanent and not delayed,
        original_message_id=original,
    )


def _named(message: Message, notice: str) -> str | None:
    """Return the failed recipient a bounce for people names."""
    if declared := message.get("X-Failed-Recipients"):
        return declared.partition(",")[0].strip() or None
    addressed = {
        address.lower() for name in ("To", "From") for address in _ADDRESS.findall(message.get(name) or "")
    }
    named = [address for address in _ADDRESS.findall(notice) if address.lower() not in addressed]
    bracketed = re.findall(r"<(" + _ADDRESS.pattern + r")>", notice)
    others = [address for address in bracketed if address.lower() not in addressed]
    named = [address for address in named if not _MAILER.search(address)]
    return next((address.strip("'") for address in others or named), None)


def _encloses(message: Message) -> bool:
    return any(part.content_type in _ENCLOSED for part in message.leaves())


# -- automatic mail and answers ----------------------------------------------------------------------


def _is_automatic(message: Message, mail_from: str) -> bool:
    """Tell mail that no person wrote for us (RFC 3834 §2, §5; RFC 2919; RFC 8098)."""
    submitted = (message.get("Auto-Submitted") or "no").partition(";")[0].strip().lower()
    suppress = (message.get("X-Auto-Response-Suppress") or "").lower()
    return (
        submitted != "no"
        or not mail_from.strip("<> ")
        or any(message.fields(name) for name in _LIST_FIELDS)
        or any(message.fields(name) for name in _AUTOMATIC_FIELDS)
        or _BULK.search(message.get("Precedence") or "") is not None
        or suppress.strip() == "all"
        or _MAILER.search(mail_from) is not None
        or _AUTOMATIC_SUBJECT.search(message.subject or "") is not None
        or any(part.content_type in _NOTIFICATION for part in message.leaves())
    )


def _verdict(text: str) -> str | None:
    """Return the verdict when the first line of an answer is nothing but one."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    if first.lstrip().startswith((">", "|")):
        return None  # our own words, quoted
    words = re.sub(r"[\W_]+", " ", first).strip().lower()
    return VERDICTS.get(words.removeprefix("verdict "))


def _original_message_id(message: Message, text: str) -> str | None:
    """Find the Message-ID of ours it is about: enclosed, referred to, or quoted."""
    for part in message.leaves():
        if part.content_type in _ENCLOSED:
            enclosed = _MESSAGE_ID.search(parse(part.content()[:_SEARCHED]).get("Message-ID") or "")
            if enclosed:
                return enclosed[0]
    for name in ("In-Reply-To", "References"):
        referred = _MESSAGE_ID.findall(message.get(name) or "")
        if referred:
            return str(referred[-1])
    quoted = _QUOTED_HEADER.search(text)
    return quoted[1] if quoted else None


# -- text --------------------------------------------------------------------------------------------


def _text(message: Message) -> str:
    """Return the mail's own text for display: plain text, else HTML without its tags; controls replaced."""
    return _BLANK_LINES.sub("\n\n", _first_text(message)).strip()[:LONGEST_TEXT]


def _first_text(message: Message) -> str:
    parts = list(message.leaves())
    plain = next((part for part in parts if part.content_type == "text/plain" and part.text().strip()), None)
    if plain is not None:
        return _clean(plain.text()[:_SEARCHED])
    rich = next((part for part in parts if part.content_type == "text/html"), None)
    if rich is None and not any(part.content_type in _ENCLOSED for part in parts):
        # A structure too broken to have parts: what stands there is better than nothing.
        return _clean(message.raw[message.body :][:_SEARCHED].decode("utf-8", "replace"))
    if rich is not None:
        tree = LexborHTMLParser(rich.text()[:_SEARCHED])
        tree.strip_tags(["script", "style", "head"])
        return _clean(tree.text(separator="\n", strip=True))
    return ""


def _clean(text: str) -> str:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(printable(line).rstrip() for line in lines)
