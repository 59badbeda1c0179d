"""A compiled wheel (scripts/compile) made ready to run beside this checkout, without being installed."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def made_in(folder: Path) -> Path:
    """Have a wheel made there; return the folder (raises CalledProcessError, having said what is missing)."""
    subprocess.run(["sh", "scripts/compile", str(folder)], cwd=ROOT, stdout=sys.stderr, check=True)
    return folder


def wheel_in(folder: Path) -> Path:
    """Return the one wheel of a folder, or the file itself (raises ValueError where there is none)."""
    wheels = [folder] if folder.is_file() else sorted(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise ValueError(f"{folder} has {len(wheels)} wheels: make one with sh scripts/compile {folder}")
    return wheels[0]


def made_ready(folder: Path | None, unpacked: Path) -> None:
    """Unpack the wheel of a folder, or one that is made for it (raises SystemExit where that cannot be)."""
    try:
        unpack(wheel_in(folder or made_in(unpacked.with_name("wheel"))), unpacked)
    except (ValueError, subprocess.CalledProcessError) as error:
        print(error, file=sys.stderr)
        sys.exit(69)


def unpack(wheel: Path, folder: Path) -> int:
    """Unpack a wheel; return how many of its modules are compiled.

    Raises ValueError when it was made of other sources than those of this checkout.
    """
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            source = ROOT / name
            if name.endswith(".py") and not (source.exists() and source.read_bytes() == archive.read(name)):
                raise ValueError(f"{wheel} was made before {name} was changed: sh scripts/compile again")
        archive.extractall(folder)
    return len(list((folder / "complaints").rglob("*.so")))


def command(program: str) -> list[str]:
    """Return a command that runs Python text without this folder on its path; give it `environment`."""
    return [sys.executable, "-P", "-c", program]


def environment(*folders: Path) -> dict[str, str]:
    """Return the environment in which packages are looked for in these folders first."""
    path = os.pathsep.join(map(str, folders))
    return {**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "0"}
