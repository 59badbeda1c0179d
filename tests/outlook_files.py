"""Files as Outlook makes them: a .msg ([MS-OXMSG] in a compound file, [MS-CFB]) and a winmail.dat ([MS-OXTNEF]).

`msg(...)` and `tnef(...)` leave bytes; properties are named by their number, texts are Unicode.
"""

import struct
from dataclasses import dataclass, field
from typing import Any

SECTOR, MINI, SMALL = 512, 64, 4096
FREE, END, FAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
HEADERS, BODY, HTML, RTF, CODEPAGE = 0x007D, 0x1000, 0x1013, 0x1009, 0x3FDE
SUBJECT, SENDER = 0x0037, 0x0C1A
DATA, NAME, LONG_NAME, MIME, METHOD = 0x3701, 0x3704, 0x3707, 0x370E, 0x3705
Properties = dict[int, Any]


@dataclass
class _Entry:
    """A storage (with `children`) or a stream (with `content`) of a compound file."""

    name: str
    content: bytes = b""
    children: "list[_Entry] | None" = None
    number: int = 0
    left: int = FREE
    right: int = FREE
    child: int = FREE
    start: int = END


@dataclass
class _Sectors:
    size: int
    chains: list[int] = field(default_factory=list)
    content: bytearray = field(default_factory=bytearray)

    def put(self, content: bytes) -> int:
        """Append a stream; return its first sector."""
        if not content:
            return END
        first, count = len(self.chains), -(-len(content) // self.size)
        self.chains += [*range(first + 1, first + count), END]
        self.content += content.ljust(count * self.size, b"\0")
        return first


def _tree(entries: list[_Entry]) -> int:
    """Make a search tree of siblings, by length and then upper case ([MS-CFB] 2.6.4); return its root."""
    if not entries:
        return FREE
    middle = len(entries) // 2
    root = entries[middle]
    root.left, root.right = _tree(entries[:middle]), _tree(entries[middle + 1 :])
    return root.number


def compound_file(children: list[_Entry]) -> bytes:
    root = _Entry("Root Entry", children=children)
    every: list[_Entry] = []
    waiting = [root]
    while waiting:
        entry = waiting.pop()
        entry.number = len(every)
        every.append(entry)
        waiting += entry.children or []
    for entry in every:
        entry.child = _tree(sorted(entry.children or [], key=lambda one: (len(one.name), one.name.upper())))
    big, small = _Sectors(SECTOR), _Sectors(MINI)
    for entry in every:
        if entry.children is None:
            entry.start = (small if len(entry.content) < SMALL else big).put(entry.content)
    root.start, root.content = big.put(bytes(small.content)), bytes(small.content)
    mini_fat = b"".join(struct.pack("<I", one) for one in small.chains)
    mini_start = big.put(mini_fat.ljust(-(-len(mini_fat) // SECTOR) * SECTOR, b"\xff"))
    directory = b"".join(map(_record, every))
    directory_start = big.put(directory.ljust(-(-len(directory) // SECTOR) * SECTOR, b"\0"))
    fats = 1
    while fats * SECTOR // 4 < len(big.chains) + fats:
        fats += 1
    first_fat = len(big.chains)
    table = [*big.chains, *[FAT] * fats]
    table += [FREE] * (fats * SECTOR // 4 - len(table))
    mini_sectors = -(-len(mini_fat) // SECTOR)
    head = struct.pack(
        "<8s16sHHHHH6xIIIIIIIIII", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", bytes(16), 0x3E, 3, 0xFFFE, 9, 6,
        0, fats, directory_start, 0, SMALL, mini_start, mini_sectors, END, 0, first_fat,
    )  # fmt: skip
    more = [*range(first_fat + 1, first_fat + fats)]
    difat = [*more, *[FREE] * (108 - len(more))]
    return head + struct.pack("<108I", *difat) + bytes(big.content) + struct.pack(f"<{len(table)}I", *table)


def _record(entry: _Entry) -> bytes:
    name = entry.name.encode("utf-16-le") + b"\0\0"
    kind = 5 if entry.name == "Root Entry" else 1 if entry.children is not None else 2
    return struct.pack(
        "<64sHBBIII16sI8x8xIQ", name, len(name), kind, 1, entry.left, entry.right, entry.child, bytes(16),
        0, entry.start if kind != 1 else 0, len(entry.content),
    )  # fmt: skip


def _streams(properties: Properties, head: int) -> list[_Entry]:
    entries, table = [], b""
    for number, value in properties.items():
        if isinstance(value, int):
            table += struct.pack("<HHIQ", 3, number, 6, value)
            continue
        if isinstance(value, dict):  # an attached message ([MS-OXMSG] 2.2.2.1)
            entries.append(_Entry(f"__substg1.0_{number:04X}000D", children=_streams(value, 24)))
            continue
        kind, content = (0x1F, value.encode("utf-16-le")) if isinstance(value, str) else (0x102, value)
        table += struct.pack("<HHIII", kind, number, 6, len(content) + 2 * (kind == 0x1F), 0)
        entries.append(_Entry(f"__substg1.0_{number:04X}{kind:04X}", content))
    return [*entries, _Entry("__properties_version1.0", bytes(head) + table)]


def msg(properties: Properties, *attachments: Properties) -> bytes:
    """Return a .msg file of these properties, with attachments of those."""
    places = [
        _Entry(f"__attach_version1.0_#{n:08X}", children=_streams({METHOD: 1, **one}, 8))
        for n, one in enumerate(attachments)
    ]
    return compound_file([*_streams(properties, 32), *places])


def tnef(*attachments: Properties | tuple[str, bytes], key: int = 0x0163) -> bytes:
    """Return a winmail.dat: each attachment a message of such properties, or a file with its name."""
    return struct.pack("<IH", 0x223E9F78, key) + b"".join(
        [
            _attribute(1, 0x9006, 8, struct.pack("<I", 0x10000)),
            _attribute(1, 0x9007, 6, struct.pack("<II", 1252, 0)),
            *(_attached(one) for one in attachments),
        ]
    )


def _attribute(level: int, name: int, kind: int, content: bytes) -> bytes:
    check = sum(content) & 0xFFFF
    return struct.pack("<BHHI", level, name, kind, len(content)) + content + struct.pack("<H", check)


def _attached(one: Properties | tuple[str, bytes]) -> bytes:
    start = _attribute(2, 0x9002, 6, bytes(14))
    if isinstance(one, tuple):
        return start + _attribute(2, 0x8010, 1, one[0].encode() + b"\0") + _attribute(2, 0x800F, 6, one[1])
    inside = tnef() + _attribute(1, 0x9003, 6, _mapi(one))
    identity = bytes.fromhex("0703020000000000c000000000000046")  # IID_IMessage
    return start + _attribute(2, 0x9005, 6, _mapi({METHOD: 5}, (0x0D, DATA, identity + inside)))


def _mapi(properties: Properties, *more: tuple[int, int, bytes]) -> bytes:
    found = []
    for number, value in properties.items():
        if isinstance(value, int):
            found.append(struct.pack("<HHI", 3, number, value))
        else:
            kind, content = (
                (0x1F, f"{value}\0".encode("utf-16-le")) if isinstance(value, str) else (0x102, value)
            )
            found.append(_variable(kind, number, content))
    found += [_variable(*one) for one in more]
    return struct.pack("<I", len(found)) + b"".join(found)


def _variable(kind: int, number: int, content: bytes) -> bytes:
    head = struct.pack("<HHII", kind, number, 1, len(content))
    return head + content.ljust(-(-len(content) // 4) * 4, b"\0")
