"""A real Dovecot in a folder of its own, on free ports, beside whatever the machine runs.

Leaves a running IMAP server with one user, TLS from the first byte and STARTTLS, with a certificate of a CA
that nobody else knows. It runs as whoever runs the tests, and as nobody where that is root.
"""

import grp
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import trustme
from imapclient import IMAPClient

from complaints.demo import free_port

USER, PASSWORD = "alice", "correct-horse"
CONFIG = """
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = imap
listen = 127.0.0.1
ssl = required
ssl_cert = <{folder}/server.pem
ssl_key = <{folder}/server.key
ssl_min_protocol = TLSv1.2
mail_location = maildir:{folder}/mail/%u
mail_uid = {uid}
mail_gid = {gid}
first_valid_uid = 0
first_valid_gid = 0
default_internal_user = {login}
default_internal_group = {login_group}
default_login_user = {login}
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}/home/%u
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {tls_port}
    ssl = yes
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
"""


def missing() -> str:
    """Why Dovecot cannot be run here; "" when it can."""
    found = shutil.which("dovecot", path="/usr/sbin:/usr/bin:/usr/local/sbin")
    return "" if found else "Dovecot is not installed (Debian: apt-get install dovecot-imapd)"


@dataclass(frozen=True)
class Dovecot:
    """A running Dovecot."""

    port: int
    tls_port: int
    folder: Path

    @property
    def ca_file(self) -> Path:
        """Its CA."""
        return self.folder / "ca.pem"

    def client(self) -> IMAPClient:
        """Its user, logged in."""
        import ssl

        server = IMAPClient(
            "localhost", self.tls_port, ssl_context=ssl.create_default_context(cafile=self.ca_file)
        )
        server.login(USER, PASSWORD)
        return server

    def cut(self) -> None:
        """Break every connection that there is."""
        master = int((self.folder / "run/master.pid").read_text())
        listing = subprocess.run(
            ["ps", "-o", "pid=,comm=", "--ppid", str(master)], capture_output=True, text=True, check=True
        )
        for line in listing.stdout.splitlines():
            number, name = line.split(None, 1)
            if name.strip() == "imap":
                os.kill(int(number), signal.SIGKILL)


@contextmanager
def running() -> Iterator[Dovecot]:
    """Run Dovecot."""
    with TemporaryDirectory(prefix="dovecot-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        for part in ("mail", "home"):
            (folder / part).mkdir()
        ca = trustme.CA()
        ca.cert_pem.write_to_path(folder / "ca.pem")
        certificate = ca.issue_cert("localhost")
        certificate.private_key_pem.write_to_path(folder / "server.key")
        certificate.cert_chain_pems[0].write_to_path(folder / "server.pem")
        server = Dovecot(free_port(), free_port(), folder)
        login = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        who = pwd.getpwnam(login)
        values = {"uid": who.pw_uid, "gid": who.pw_gid, "password": PASSWORD, "login": login}
        values["login_group"] = grp.getgrgid(who.pw_gid).gr_name
        for part in ("mail", "home"):
            shutil.chown(folder / part, who.pw_uid, who.pw_gid)
        config = folder / "dovecot.conf"
        config.write_text(CONFIG.format(folder=folder, port=server.port, tls_port=server.tls_port, **values))
        command = ["/usr/sbin/dovecot", "-F", "-c", str(config)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
            try:
                _await_greeting(server.port, process)
                yield server
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(20)


def _await_greeting(port: int, process: "subprocess.Popen[bytes]") -> None:
    ends = time.monotonic() + 20
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                assert connection.recv(4) == b"* OK"
                return
        except ConnectionRefusedError:
            assert process.poll() is None, process.stderr and process.stderr.read()
            assert time.monotonic() < ends, "Dovecot does not answer"
            time.sleep(0.05)
