"""Links that neither begin with http nor lead anywhere else.

Takes a reference with a scheme of its own: a calendar to subscribe to, a document to open in Word, a share to
search; leaves where it leads. Nothing is fetched.
"""

import re
from urllib.parse import unquote

from complaints.urls import LONGEST, Target, read_one, read_url

_HOSTED = frozenset(
    {"webcal", "webcals", "feed", "feeds", "intent", "googlechrome", "googlechromes", "smb", "cifs", "nfs"}
    | {"sftp", "ftps", "ws", "wss", "dav", "davs", "ldap", "ldaps", "rtmp", "rtsp", "mms", "gopher"}
    | {"itms", "itms-apps", "itms-appss", "ssh", "telnet", "vnc", "rdp"}
)
"""Schemes that name a host as http does (RFC 3986 §3.2)."""
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]{1,30}):(?=//)", re.IGNORECASE)
_INNER = re.compile(r"([?&][^=&#]{1,40}=)?(https?(?::[/\\]{2}|%3a(?:%2f|/){2})[^|\"<>\s]+)", re.IGNORECASE)
_SHARE = re.compile(r"(?:\\\\|%5c%5c|//)([^\\/%&?#\s]{4,253})((?:\\|%5c|/)[^&\s]*)?", re.IGNORECASE)
_INSIDE = ("jar:", "wyciwyg:")


def read_scheme(text: str) -> Target | None:
    """Return where a link of such a scheme leads, None for one that names no host."""
    text = text[:LONGEST]
    if text[:13].lower() == "x-safari-http":
        return read_url(text[9:])
    inner = _INNER.search(text, text.find(":") + 1)
    if inner is not None:
        url = inner[2].partition("&")[0] if inner[1] else inner[2]
        if text[:9].lower().startswith(_INSIDE):
            url = url.partition("!")[0]
        return read_url(url if "://" in url[:9] else unquote(url))
    scheme = _SCHEME.match(text)
    if scheme is not None and scheme[1].lower() in _HOSTED:
        found = read_one("http" + text[scheme.end() - 1 :])
        return found and found._replace(url=scheme[1] + found.url[4:])
    if text[:10].lower() == "search-ms:" and (share := _SHARE.search(text, 10)):
        found = read_one(f"http://{share[1]}{unquote(share[2] or '').replace(chr(92), '/')}")
        return found and found._replace(url="file" + found.url[4:])
    return None
