"""mail-parser's full parse, timed in a process of its own, for bench/evidence.py.

Reads lines "name TAB raw bytes in base64", as bench/relays.pl does, then parses each message; writes the JSON
{"messages", "seconds" (of processor)}. Needs nothing of Plaint: any Python that has mail-parser can run it.
"""

import base64
import json
import logging
import sys
import time

import mailparser


def main() -> None:
    """Read all, parse some to warm up, then time all."""
    logging.disable(logging.CRITICAL)
    waiting = [base64.b64decode(line.split("\t")[1]) for line in sys.stdin]
    for raw in waiting[:10]:
        parse(raw)
    began = time.process_time()
    for raw in waiting:
        parse(raw)
    print(json.dumps({"messages": len(waiting), "seconds": time.process_time() - began}))


def parse(raw: bytes) -> None:
    """Parse one message; some break mail-parser, and count as parsed."""
    try:
        mailparser.parse_from_bytes(raw)
    except Exception as error:  # noqa: BLE001 - whatever is raised has ended the parse
        print(f"mail-parser raised {type(error).__name__}", file=sys.stderr)


if __name__ == "__main__":
    main()
