"""The verbs on consent receipts: getting one from a server or a data directory, and checking one offline."""
# ruff: noqa: PLC0415 - what a verb needs is imported when it runs

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from complaints.on_complaints import on_complaints
from complaints.terminal import UNUSABLE, fail, put

if TYPE_CHECKING:
    from complaints.client import Client


@on_complaints
def receipt(
    work: "Client",
    complaint: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="A complaint; without it, everything you decided.")
    ] = None,
) -> None:
    """Print the signed receipt of your consents and withdrawals (JSON, ISO/IEC TS 27560)."""
    put(work.receipt(complaint), True, list)


def verify_receipt(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A receipt; - is standard input.")],
    report: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="A report (`plaint preview`), or the mail its desk got: is it consented to here?",
        ),
    ] = None,
    key: Annotated[
        str, typer.Option(metavar="KEY", help="The service's public key, as its page /privacy shows it.")
    ] = "",
) -> None:
    """Check a consent receipt, and reports against it, without asking anybody."""
    from complaints.receipts import ReceiptError, read, verify

    try:
        document = read(sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes())
        found = verify(document, {str(name): name.read_bytes() for name in report or []}, key)
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}", UNUSABLE)
    except ReceiptError as error:
        fail(f"{file}: does not hold: {error}", UNUSABLE)
    except (ValueError, RecursionError) as error:
        fail(f"{file}: this is no JSON: {error}", UNUSABLE)
    for line in found:
        typer.echo(line)
