"""A child process with limits, for libraries that read what strangers made.

The parent gives bytes to a module of ours and takes what it said (`run`). The child sets its limits before it
reads a byte (`limit_space`), and once its libraries are loaded it can open nothing more and its time runs
(`close_the_door`).

Loading the libraries takes a hundred times as long as most files do. So where the system can, a process that
never sees a stranger's byte loads them (`prepare` of the module), and forks a child for every file; it ends
with whoever started it, or when nothing was asked of it for a while.
"""

import atexit
import gc
import importlib
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import IO

__all__ = ["close_the_door", "limit_space", "make_ready", "run", "stop"]

IDLE = 60.0
"""Seconds without a question after which a maker of children ends."""
_PATIENCE = 30.0  # seconds for a maker to load what it needs
_CAN_FORK = hasattr(os, "memfd_create") and hasattr(os, "pidfd_open")  # Linux
_makers: dict[str, tuple[socket.socket, "subprocess.Popen[bytes]"]] = {}
_starting = threading.Lock()


def run(module: str, given: bytes, *, seconds: float, most: int) -> bytes:
    """Let `module` work on `given`; return at most `most` bytes of what it said, whatever became of it.

    `seconds` of wall time end it, however busy the machine; its own limit is processor time.
    """
    with _unnamed() as said, _unnamed() as asked:
        asked.write(given)
        asked.seek(0)
        child = _forked(module, asked, said) if _CAN_FORK else None
        if child is not None:
            _await(child, seconds)
        else:
            command = [sys.executable, "-I", "-m", module]
            with subprocess.Popen(  # noqa: S603 - ourselves
                command, stdin=asked, stdout=said, stderr=subprocess.DEVNULL, cwd="/", env={}
            ) as started:
                try:
                    started.wait(timeout=seconds)
                except subprocess.TimeoutExpired:
                    started.kill()
        said.seek(0)
        return said.read(most)


def make_ready(module: str) -> socket.socket:
    """Start the maker of `module`'s children, if there is none: processes forked from this one share it."""
    with _starting:
        if module not in _makers:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            command = [sys.executable, "-I", "-m", "complaints.confined", module]
            with theirs:
                maker = subprocess.Popen(  # noqa: S603 - ourselves
                    command,
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    cwd="/",
                    env={},
                )
            _makers[module] = ours, maker
            atexit.unregister(stop)
            atexit.register(stop)
        return _makers[module][0]


def stop() -> None:
    """End the makers that this process started, and wait for them."""
    with _starting:
        for ours, maker in _makers.values():
            ours.close()
            with suppress(ChildProcessError, subprocess.TimeoutExpired):
                maker.wait(_PATIENCE)
        _makers.clear()


def _forked(module: str, asked: IO[bytes], said: IO[bytes]) -> int | None:
    """A child that reads `asked` and writes `said`, as a descriptor of its process; None: none is made."""
    for _ in range(2):
        maker = make_ready(module)
        answer, theirs = socket.socketpair()
        answer.settimeout(_PATIENCE)
        with answer, theirs, suppress(OSError):
            socket.send_fds(maker, [b"+"], [asked.fileno(), said.fileno(), theirs.fileno()])
            theirs.close()
            if descriptors := socket.recv_fds(answer, 1, 1)[1]:
                return descriptors[0]
        _forget(module, maker)
    return None


def _forget(module: str, gone: socket.socket) -> None:
    """A maker ended: it had nothing to do for long, or was killed."""
    with _starting:
        if module in _makers and _makers[module][0] is gone:
            ours, maker = _makers.pop(module)
            ours.close()
            maker.poll()


def _await(child: int, seconds: float) -> None:
    waiting = select.poll()
    waiting.register(child, select.POLLIN)
    try:
        if not waiting.poll(seconds * 1000):
            signal.pidfd_send_signal(child, signal.SIGKILL)
            waiting.poll()
    finally:
        os.close(child)


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


def _make_children(name: str) -> None:
    """The maker's whole life: load `name`, and fork a child for each (asked, said, answer) that comes in."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C on the terminal is for whoever started it
    module = importlib.import_module(name)
    module.prepare()
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=os.dup(0)) as wishes:
        wishes.settimeout(IDLE)
        with suppress(OSError):  # a time-out
            while (wish := socket.recv_fds(wishes, 1, 3))[0]:
                asked, said, answer = wish[1]
                if (pid := os.fork()) == 0:
                    _be_child(module.main, asked, said)
                with socket.socket(fileno=answer) as answering, suppress(OSError):
                    child = os.pidfd_open(pid)
                    socket.send_fds(answering, [b"+"], [child])
                    os.close(child)
                for descriptor in (asked, said):
                    os.close(descriptor)
                with suppress(ChildProcessError):
                    while os.waitpid(-1, os.WNOHANG)[0]:
                        pass
    with suppress(ChildProcessError):
        while True:
            os.wait()


def _be_child(main: Callable[[], None], asked: int, said: int) -> None:
    """Work on one file, with nothing else open than that and what is said."""
    try:
        os.dup2(asked, 0)
        os.dup2(said, 1)
        os.closerange(3, 256)  # the maker has a few open
        main()
        sys.stdout.flush()
    finally:
        os._exit(0)


if __name__ == "__main__":
    _make_children(sys.argv[1])
