"""Credentials as `gitintegration init` is given them: by a prompt, a file or stdin, never as an argument of a process."""

from __future__ import annotations

import base64
import getpass
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from gitintegration.core.text import plain
from gitintegration.errors import GitIntegrationError, Reason

if TYPE_CHECKING:
    from gitintegration.git.url import RemoteURL

_MOST = 64 << 10
"""Bytes of a credential."""


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class LoginFlags:
    """How to log in to the git server.

    Parameters
    ----------
    token_file
        File with the token, or the password of --username; - reads stdin. Default: it is asked for.
    username
        For servers that ask for one.
    identity_file
        Private key, of an ssh address.
    known_hosts_file
        The server's host keys, of an ssh address.
    secret
        Name of a Secret that is there already.
    anonymous
        Without credentials.
    """

    token_file: str | None = None
    username: str | None = None
    identity_file: Path | None = None
    known_hosts_file: Path | None = None
    secret: str | None = None
    anonymous: Annotated[bool, Parameter(negative=())] = False


@dataclass(frozen=True, slots=True)
class Given:
    """A Secret that is there, the keys of one to be made, or neither: without credentials."""

    secret: str = ""
    data: Mapping[str, str] | None = None

    def __repr__(self) -> str:
        """Without what it holds."""
        return f"Given({self.secret!r}, keys {sorted(self.data or ())})"


def given(flags: LoginFlags, url: RemoteURL, *, stored: bool) -> Given | None:
    """What was given; None: what is `stored` already. Raises GitIntegrationError where that is not enough, or can't be read."""
    if flags.secret:
        return Given(flags.secret)
    if flags.anonymous:
        return Given()
    if url.is_ssh:
        return _key(flags, stored=stored)
    if flags.token_file is not None:
        token = _read(flags.token_file)
    elif sys.stdin.isatty():
        empty = "those that are stored" if stored else "without credentials"
        token = getpass.getpass(f"Token or password for {plain(url.host)} (empty: {empty}): ").strip()
    elif stored:
        return None
    else:
        words = "nobody can be asked for credentials here: give --token-file, --secret or --anonymous"
        raise GitIntegrationError(Reason.InvalidSpec, words)
    if not token:
        return None if stored else Given()
    return Given(data={"username": flags.username, "password": token} if flags.username else {"token": token})


def _key(flags: LoginFlags, *, stored: bool) -> Given | None:
    if flags.identity_file and flags.known_hosts_file:
        return Given(data={"identity": _file(flags.identity_file), "known_hosts": _file(flags.known_hosts_file)})
    if stored and not (flags.identity_file or flags.known_hosts_file):
        return None
    words = "an ssh address needs --identity-file and --known-hosts-file (ssh-keyscan HOST shows its keys), or --secret"
    raise GitIntegrationError(Reason.InvalidSpec, words)


def _read(name: str) -> str:
    """Raises GitIntegrationError where there is no text in it."""
    text = sys.stdin.read(_MOST + 1) if name == "-" else _file(Path(name))
    if len(text) > _MOST or not text.strip():
        raise GitIntegrationError(Reason.InvalidSecret, f"--token-file {name} holds no token")
    return text.strip()


def _file(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(_MOST + 1)
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise GitIntegrationError(Reason.InvalidSecret, f"{path} can't be read: {why}") from None
    if len(text) > _MOST or not text.strip():
        raise GitIntegrationError(Reason.InvalidSecret, f"{path} is empty, or too large to be a credential")
    return text


def secret_of(name: str, data: Mapping[str, str], host: str, more: Mapping[str, Any]) -> dict[str, Any]:
    """The Secret that holds these keys, for one host alone. `more`: of its metadata."""
    from gitintegration.api.base_model import ALLOWED_HOSTS

    annotations = {ALLOWED_HOSTS: host, **more.get("annotations", {})}
    encoded = {key: base64.b64encode(text.encode()).decode() for key, text in data.items()}
    metadata = {**more, "name": name, "annotations": annotations}
    return {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": metadata, "data": encoded}
