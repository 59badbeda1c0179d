"""A real Postfix in a folder of its own, on a free port, beside whatever the machine runs.

Takes extra main.cf and master.cf lines; leaves a running mail system that discards what it gets, or relays it
where it is told. Needs root, because Postfix does.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
smtpd_recipient_restrictions =
smtpd_client_connection_count_limit = 0
smtp_dns_support_level = disabled
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
"""
MASTER = """
{port}    inet  n - n - 200   smtpd
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


@contextmanager
def running(folder: Path, main: str = "") -> Iterator[int]:
    """Run Postfix in `folder` and give its port; `main` is added to main.cf."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    for name in ("conf", "queue", "data"):
        (folder / name).mkdir()
    # Its daemons are not root: they have to be let through the folders above the queue.
    for above in [folder, *folder.parents]:
        if above.owner() == "root" and above != Path("/"):
            above.chmod(above.stat().st_mode | 0o111)
    shutil.chown(folder / "data", "postfix")
    (folder / "conf/main.cf").write_text(MAIN.format(folder=folder) + main)
    (folder / "conf/master.cf").write_text(MASTER.format(port=port))
    postfix = ["/usr/sbin/postfix", "-c", str(folder / "conf")]
    started = subprocess.run([*postfix, "start"], capture_output=True, text=True, check=False, timeout=60)
    try:
        assert started.returncode == 0, started.stderr + log(folder)
        _await_greeting(port)
        yield port
    finally:
        subprocess.run([*postfix, "stop"], capture_output=True, check=False, timeout=60)


def log(folder: Path) -> str:
    """What Postfix wrote into its log."""
    path = folder / "log"
    return path.read_text() if path.exists() else ""


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
