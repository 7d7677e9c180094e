"""Repository addresses. Only https, http, ssh:// and user@host:path are let in, and never with a credential in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from gitintegration import messages
from gitintegration.errors import Reason, SpecError

_SCP = re.compile(r"^(?:(?P<user>[A-Za-z0-9._-]+)@)?(?P<host>[A-Za-z0-9.-]+):(?P<path>(?!//).+)$")
_PORTS = {"https": 443, "http": 80, "ssh": 22}
_HOST = re.compile(r"[A-Za-z0-9._:-]+")


@dataclass(frozen=True, slots=True)
class RemoteURL:
    """An address taken apart. `path` begins with a slash except in the scp-like form, where it may be relative."""

    scheme: str
    host: str
    port: int
    path: str
    user: str | None = None

    @property
    def is_ssh(self) -> bool:
        return self.scheme == "ssh"

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        user = f"{self.user}@" if self.user else ""
        return f"{self.scheme}://{user}{host}{port}/{quote(self.path.lstrip('/'))}"


def _invalid(message: str) -> SpecError:
    return SpecError(Reason.InvalidURL, messages.URL_INVALID(words=message))


def parse_url(text: str) -> RemoteURL:
    """The address in `text`. Raises SpecError with reason InvalidURL; its message never repeats the text."""
    if any(ch.isspace() or ord(ch) < 32 for ch in text):
        raise _invalid("holds white space or control characters")
    if "://" not in text:
        return _parse_scp(text)
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise _invalid("is not a URL: look at its port and brackets") from None
    if parts.scheme not in _PORTS:
        raise _invalid("use https://, http://, ssh:// or user@host:path")
    if parts.password or (parts.username and parts.scheme != "ssh"):
        raise _invalid("holds a credential: put it into the Secret that spec.credentials.secretRef names")
    if not parts.hostname or not _HOST.fullmatch(parts.hostname) or parts.hostname.startswith("-"):
        raise _invalid("names no host")
    if parts.query or parts.fragment or not parts.path.strip("/"):
        raise _invalid("must end in the path of a repository, without ? or #")
    return RemoteURL(parts.scheme, parts.hostname, port or _PORTS[parts.scheme], parts.path, parts.username)


def _parse_scp(text: str) -> RemoteURL:
    match = _SCP.match(text)
    if not match or match["host"].startswith("-") or match["path"].startswith("-"):
        raise _invalid("use https://, http://, ssh:// or user@host:path")
    return RemoteURL("ssh", match["host"].lower(), _PORTS["ssh"], match["path"], match["user"])


def parse_base(text: str) -> tuple[str, str] | None:
    """Scheme and host of an http address that holds no credential, query or fragment; None where it is none."""
    if not text.isascii() or not text.isprintable() or set(text) & set(" \\@?#"):
        return None
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname or not _HOST.fullmatch(parts.hostname):
        return None
    return parts.scheme, parts.hostname
