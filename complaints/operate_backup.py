"""The operator's verbs on backups: one file that holds everything, and tells of nobody without the keys."""
# ruff: noqa: PLC0415 - what a verb needs is imported when it runs

from pathlib import Path
from typing import Annotated

import typer

from complaints.operate import DataOption, opened
from complaints.terminal import UNUSABLE, fail, say


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write; it must not be there.")],
    data: DataOption = None,
) -> None:
    """Write everything into one file, while the service runs. It opens only with the secrets folder."""
    from complaints import backup as backups
    from complaints import backup_keys

    with opened(data) as office:
        try:
            count = backups.write(office, file)
        except backups.BackupError as error:
            fail(str(error), UNUSABLE)
        keys = backup_keys.place(office.vault)
    say(
        f"wrote {file}: {_reporters(count)}. It opens with master.key and {keys.name} of {keys.parent}: "
        "copy that folder to a place of its own, each time over the copy before, and keep no older one"
    )


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `plaint backup` wrote.")],
    keys: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Its keys; else backup.keys in the data directory's secrets."),
    ] = None,
    data: DataOption = None,
) -> None:
    """Restore a backup into an empty database, but for whoever was erased since. Sends nothing."""
    from complaints import backup as backups
    from complaints import backup_keys

    with opened(data) as office:
        try:
            told = backups.restore(office, file, keys or backup_keys.place(office.vault))
        except backups.BackupError as error:
            fail(f"nothing was restored: {error}", UNUSABLE)
    say(
        f"restored {_reporters(told['reporters'])}; erased since, so that nothing of them can be read: "
        f"{told['erased_since']}. Reports that may have left since, and leave only by plaint resend: "
        f"{told['unconfirmed']}"
    )


def _reporters(count: int) -> str:
    return f"{count} reporter{'' if count == 1 else 's'}"
