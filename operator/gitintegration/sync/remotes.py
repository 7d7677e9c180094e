"""From a spec and its Secrets to a remote. Pure but for the types it makes; every refusal names the key to mend."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from gitintegration.api.integration import CredentialType, GitIntegrationSpec
from gitintegration.errors import CredentialError, Reason, SpecError
from gitintegration.git.remote import Anonymous, Auth, Basic, Bearer, Proxy, Remote, SshKey, Tls
from gitintegration.git.url import RemoteURL, parse_url

_IDENTITY = ("identity", "ssh-privatekey", "sshPrivateKey")
_TOKEN_USERS = {"github": "x-access-token", "gitlab": "oauth2", "bitbucket": "x-token-auth"}


def secret_data(secret: Mapping[str, Any] | None, name: str) -> dict[str, str]:
    """The decoded keys of a Secret. Raises CredentialError where it is missing or no text."""
    if secret is None:
        raise CredentialError(Reason.SecretNotFound, f"Secret {name!r} is not there; it is noticed once it is created")
    try:
        return {k: base64.b64decode(v).decode() for k, v in (secret.get("data") or {}).items()}
    except (binascii.Error, UnicodeDecodeError):
        raise CredentialError(Reason.InvalidSecret, f"Secret {name!r} holds a key that is no text") from None


def build_remote(spec: GitIntegrationSpec, secret: Mapping[str, str], proxy: Mapping[str, str] | None) -> Remote:
    """`secret` and `proxy` are decoded Secrets (empty and None where the spec names none)."""
    url = parse_url(spec.repository_url)
    return Remote(
        url=url,
        auth=_auth(spec, url, secret),
        tls=Tls(secret.get("ca.crt"), secret.get("tls.crt"), secret.get("tls.key")),
        proxy=_proxy(proxy) if proxy is not None else None,
        timeout=spec.sync.timeout_seconds,
    )


def _auth(spec: GitIntegrationSpec, url: RemoteURL, secret: Mapping[str, str]) -> Auth:
    kind = spec.credentials.type if spec.credentials else None
    if url.is_ssh:
        return _ssh(secret)
    if kind is CredentialType.ssh:
        raise SpecError(Reason.InvalidSpec, "spec.credentials.type ssh needs an ssh address in spec.repositoryURL")
    if token := secret.get("token", "").strip():
        if kind is not CredentialType.basic:
            user = secret.get("username", "").strip() or _TOKEN_USERS.get(spec.provider.value, "git")
            return Basic(user, token)
    elif bearer := secret.get("bearerToken", "").strip():
        return Bearer(bearer)
    elif kind is CredentialType.token:
        raise CredentialError(Reason.InvalidSecret, "the Secret has no key `token` (or `bearerToken`)")
    if "username" in secret or "password" in secret or kind is CredentialType.basic:
        if not secret.get("username") or "password" not in secret:
            raise CredentialError(Reason.InvalidSecret, "the Secret needs both keys `username` and `password`")
        return Basic(secret["username"].strip(), secret["password"].strip("\n"))
    if spec.credentials and not any(key in secret for key in ("ca.crt", "tls.crt")):
        raise CredentialError(
            Reason.InvalidSecret, "the Secret has none of `token`, `bearerToken`, `username` and `password`, `tls.crt`"
        )
    return Anonymous()


def _ssh(secret: Mapping[str, str]) -> SshKey:
    identity = next((secret[key] for key in _IDENTITY if key in secret), None)
    if identity is None:
        raise CredentialError(Reason.InvalidSecret, "an ssh address needs the key `identity` in the Secret")
    if not secret.get("known_hosts", "").strip():
        raise CredentialError(
            Reason.InvalidSecret, "the Secret needs the key `known_hosts`: an unknown host key is refused"
        )
    return SshKey(f"{identity.strip()}\n".encode(), secret["known_hosts"].encode(), secret.get("password") or None)


def _proxy(proxy: Mapping[str, str]) -> Proxy:
    address = proxy.get("address", "").strip()
    if not address.startswith(("http://", "https://")) or "@" in address:
        raise CredentialError(
            Reason.InvalidSecret, "the proxy Secret's key `address` must be http://host:port, without a credential"
        )
    return Proxy(address, proxy.get("username") or None, proxy.get("password") or None)
