"""Compiles the modules that read a spam with mypyc, while a wheel is built; see scripts/compile.

Nothing is compiled unless the hook is enabled (`HATCH_BUILD_HOOK_ENABLE_CUSTOM=1`), and never inside the
checkout: no object file there can outlive the source that it was made of. Needs a C compiler, the headers of
this Python, mypy and setuptools. Which modules: `modules` of the hook in pyproject.toml.
"""

import contextlib
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from mypyc.build import mypycify
from setuptools import Distribution
from setuptools.command.build_ext import build_ext


class CompiledReading(BuildHookInterface[Any]):
    """Puts the compiled modules into the wheel, each beside its source."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and say that the wheel is for this system and this Python (raises SystemExit)."""
        if version == "editable":
            sys.exit("an editable install stays plain Python: build a compiled wheel with sh scripts/compile")
        folder = Path(tempfile.mkdtemp(prefix="plaint-compile-"))
        with contextlib.chdir(self.root):
            built = compiled([f"complaints/{name}.py" for name in self.config["modules"]], folder)
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        for file in built.rglob("*.so"):
            build_data["force_include"][str(file)] = file.relative_to(built).as_posix()
        self._folder = folder

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002 - the interface
        """Remove what was compiled: it is in the wheel now."""
        for path in sorted(self._folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        self._folder.rmdir()


def compiled(sources: list[str], folder: Path) -> Path:
    """Compile modules into a folder; leave what is to lie where the wheel begins (raises SystemExit)."""
    extensions = mypycify(
        [f"--cache-dir={folder / 'types'}", *sources],
        opt_level="2",
        debug_level="0",
        group_name="plaint",
        target_dir=str(folder / "c"),
    )
    command = build_ext(Distribution({"name": "plaint", "ext_modules": extensions}))
    command.build_lib, command.build_temp = str(folder / "lib"), str(folder / "objects")
    command.ensure_finalized()
    command.run()
    return folder / "lib"
