"""A real Postfix in a folder of its own, on a free port, beside whatever the machine runs.

Takes extra main.cf lines; leaves a running mail system that discards what it gets, or relays it where it is
told. Needs root, because Postfix does.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
daemon_directory = /usr/lib/postfix/sbin
command_directory = /usr/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = mx.postfix.example
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
default_transport = discard:
relay_transport = discard:
local_transport = discard:
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_client_connection_count_limit = 0
smtp_dns_support_level = disabled
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
"""
MASTER = """
{port}    inet  n - n - 200   smtpd
pickup    unix  n - n 60 1    pickup
cleanup   unix  n - n - 0     cleanup
qmgr      unix  n - n 300 1   qmgr
rewrite   unix  - - n - -     trivial-rewrite
bounce    unix  - - n - 0     bounce
defer     unix  - - n - 0     bounce
trace     unix  - - n - 0     bounce
verify    unix  - - n - 1     verify
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n - -     proxymap
smtp      unix  - - n - -     smtp
lmtp      unix  - - n - -     lmtp
discard   unix  - - n - -     discard
error     unix  - - n - -     error
retry     unix  - - n - -     error
anvil     unix  - - n - 1     anvil
scache    unix  - - n - 1     scache
tlsmgr    unix  - - n 1000? 1 tlsmgr
postlog   unix-dgram n - n - 1 postlogd
"""


def missing() -> str:
    """Why Postfix cannot be run here; "" when it can."""
    if shutil.which("postfix", path="/usr/sbin:/usr/bin") is None:
        return "Postfix is not installed (Debian: apt-get install postfix)"
    return "" if os.geteuid() == 0 else "Postfix is started by root only"


@dataclass(frozen=True)
class Postfix:
    """A running Postfix."""

    port: int
    folder: Path

    def deliver_now(self) -> None:
        """Try again at once to deliver what waits in the queue."""
        command = ["/usr/sbin/postqueue", "-c", str(self.folder / "conf"), "-f"]
        subprocess.run(command, check=True, capture_output=True, timeout=60)

    def log(self) -> str:
        """What it has written into its log."""
        path = self.folder / "log"
        return path.read_text() if path.exists() else ""


@contextmanager
def running(main: str = "") -> Iterator[Postfix]:
    """Run Postfix; `main` is added to main.cf."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with TemporaryDirectory(prefix="postfix-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # its daemons are not root
        for part in ("conf", "queue", "data"):
            (folder / part).mkdir()
        shutil.chown(folder / "data", "postfix")
        (folder / "conf/main.cf").write_text(MAIN.format(folder=folder) + main)
        (folder / "conf/master.cf").write_text(MASTER.format(port=port))
        server = Postfix(port, folder)
        command = ["/usr/sbin/postfix", "-c", str(folder / "conf")]
        started = subprocess.run([*command, "start"], capture_output=True, text=True, check=False, timeout=60)
        try:
            assert started.returncode == 0, started.stderr + server.log()
            _await_greeting(port)
            yield server
        finally:
            subprocess.run([*command, "stop"], capture_output=True, check=False, timeout=60)


def _await_greeting(port: int) -> None:
    ends = time.monotonic() + 20
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                assert connection.recv(3) == b"220"
                return
        except ConnectionRefusedError:
            assert time.monotonic() < ends, "Postfix does not answer"
            time.sleep(0.05)
