"""A child process with limits, for libraries that read what strangers made.

The parent gives bytes to a module of ours and takes what it said (`run`). The child sets its limits before it
reads a byte (`limit_space`), and once its libraries are loaded it can open nothing more and its time runs
(`close_the_door`).
"""

import os
import resource
import signal
import subprocess
import sys
import tempfile
from typing import IO

__all__ = ["close_the_door", "limit_space", "run"]


def run(module: str, given: bytes, *, seconds: float, most: int) -> bytes:
    """Let `module` work on `given`; return at most `most` bytes of what it said, whatever became of it.

    `seconds` of wall time end it, however busy the machine; its own limit is processor time.
    """
    command = [sys.executable, "-I", "-m", module]
    with _unnamed() as said:
        with subprocess.Popen(  # noqa: S603 - ourselves
            command, stdin=subprocess.PIPE, stdout=said, stderr=subprocess.DEVNULL, cwd="/", env={}
        ) as child:
            try:
                child.communicate(given, timeout=seconds)
            except subprocess.TimeoutExpired:
                child.kill()
        said.seek(0)
        return said.read(most)


def _unnamed() -> IO[bytes]:
    """A file without a name, in memory where the system can: what is in it is somebody's mail, in clear."""
    if hasattr(os, "memfd_create"):  # Linux
        return os.fdopen(os.memfd_create("said"), "w+b")
    return tempfile.TemporaryFile()


def limit_space(memory: int, output: int) -> None:
    """In the child: bytes of address space and of what it may say; what goes beyond fails there and then."""
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (output, output))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (2, 2))


def close_the_door(seconds: float) -> None:
    """In the child: start the clock, and open no file or socket any more.

    The clock counts processor time, so that a busy machine changes no evidence.
    """
    signal.setitimer(signal.ITIMER_PROF, seconds)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
