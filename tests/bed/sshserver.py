"""Real git over SSH: OpenSSH's sshd on loopback, with a writer's key and a reader's, and git-shell behind both.

It runs as whoever runs the tests, so that is the user to log in as. The scp-like form of an address has no place for a
port: for that, root listens on port 22 of a loopback address of its own as well.
"""

from __future__ import annotations

import getpass
import os
import random
import socket
import subprocess
import time
from pathlib import Path

import asyncssh

from tests.bed.build import sshd
from tests.bed.controlplane import die_with_parent, free_port
from tests.bed.gitserver import Repo

_SHELL = """#!/bin/sh
case "$SSH_ORIGINAL_COMMAND" in
  git-upload-pack*) ;;
  git-receive-pack*) [ "$1" = writer ] || { echo "ERROR: this key may not write here" >&2; exit 1; } ;;
esac
exec git-shell -c "$SSH_ORIGINAL_COMMAND"
"""
_CONFIG = """\
{listen}
HostKey {directory}/host
AuthorizedKeysFile {directory}/authorized_keys
AcceptEnv GIT_PROTOCOL
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
MaxStartups 200
"""


class SshServer:
    """Serves the repositories of a GitServer until `stop`."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.user = getpass.getuser()
        self.port = free_port()
        self.plain_host = f"127.{random.randint(10, 250)}.{random.randint(1, 250)}.{random.randint(2, 250)}"
        host, self.writer, self.reader = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(3))
        public = host.export_public_key().decode().strip()
        self.known_hosts = f"[127.0.0.1]:{self.port} {public}\n{self.plain_host} {public}\n"
        other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()
        self.wrong_known_hosts = f"[127.0.0.1]:{self.port} {other}\n"
        host.write_private_key(directory / "host")
        (directory / "host").chmod(0o600)
        shell = directory / "shell"
        shell.write_text(_SHELL)
        shell.chmod(0o755)
        lines = [
            f'restrict,command="{shell} {who}" {key.export_public_key().decode().strip()}'
            for who, key in (("writer", self.writer), ("reader", self.reader))
        ]
        (directory / "authorized_keys").write_text("\n".join(lines) + "\n")
        listen = [f"ListenAddress 127.0.0.1:{self.port}"]
        listen += [f"ListenAddress {self.plain_host}:22"] if self.takes_scp_like else []
        config = directory / "config"
        config.write_text(_CONFIG.format(listen="\n".join(listen), directory=directory))
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        self._log = directory / "log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sshd(), "-D", "-e", "-f", str(config)], stdout=log, stderr=log, preexec_fn=die_with_parent
            )
        self._wait()

    @property
    def takes_scp_like(self) -> bool:
        return os.geteuid() == 0

    def url(self, repo: Repo) -> str:
        return f"ssh://{self.user}@127.0.0.1:{self.port}{repo.path}"

    def scp_like(self, repo: Repo) -> str:
        return f"{self.user}@{self.plain_host}:{repo.path}"

    def secret(self, key: asyncssh.SSHKey | None = None, passphrase: str | None = None) -> dict[str, str]:
        """What a Secret for this server holds."""
        text = (key or self.writer).export_private_key(passphrase=passphrase).decode()
        return {"identity": text, "known_hosts": self.known_hosts, **({"password": passphrase} if passphrase else {})}

    def stop(self) -> None:
        self._process.kill()
        self._process.wait(10)

    def _wait(self) -> None:
        end = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                if self._process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"sshd does not start:\n{self._log.read_text()[-2000:]}") from None
                time.sleep(0.05)
            else:
                return
