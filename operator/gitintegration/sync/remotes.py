"""From a spec and its Secrets to a remote. Pure but for the types it makes; every refusal names the key to mend."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from gitintegration.api.integration import CredentialType, GitIntegrationSpec
from gitintegration.errors import CredentialError, Reason, SpecError
from gitintegration.forge.github_app import GitHubApp
from gitintegration.git.remote import Anonymous, Auth, Basic, Bearer, Proxy, Remote, SshKey, Tls
from gitintegration.git.url import RemoteURL, parse_url
from gitintegration.sync.secrets import Secret

_IDENTITY = ("identity", "ssh-privatekey", "sshPrivateKey")
_APP_KEYS = ("githubAppID", "githubAppPrivateKey", "githubAppInstallationID", "githubAppBaseURL")
_TOKEN_USERS = {"github": "x-access-token", "gitlab": "oauth2", "bitbucket": "x-token-auth"}


def app_of(spec: GitIntegrationSpec, secret: Mapping[str, str]) -> GitHubApp | None:
    """The GitHub App that the Secret holds, or None where it is to be logged in otherwise. Raises CredentialError."""
    credentials = spec.credentials
    kind = credentials.type if credentials else None
    if credentials is None or not (kind is CredentialType.github_app or (kind is None and "githubAppID" in secret)):
        return None
    url = parse_url(spec.repository_url)
    app_id, key, installation, base = (secret.get(name, "").strip() for name in _APP_KEYS)
    installation = credentials.installation_id or installation
    if not app_id or not key:
        words = "a GitHub App needs the keys `githubAppID` and `githubAppPrivateKey` in the Secret"
        raise CredentialError(Reason.InvalidSecret, words)
    if not installation.isdigit():
        words = (
            "a GitHub App needs its installation: spec.credentials.installationID, or the key `githubAppInstallationID`"
        )
        raise CredentialError(Reason.InvalidSecret, words)
    if url.is_ssh:
        raise SpecError(
            Reason.InvalidSpec, "a GitHub App logs in over https: use the https address in spec.repositoryURL"
        )
    port = "" if url.port in (80, 443) else f":{url.port}"
    told = "https://api.github.com" if url.host == "github.com" else f"{url.scheme}://{url.host}{port}/api/v3"
    if base and not base.startswith(("https://", "http://")):
        raise CredentialError(Reason.InvalidSecret, "githubAppBaseURL must be like https://HOST/api/v3")
    return GitHubApp(app_id, installation, key + "\n", base or told)


def check_hosts(
    spec: GitIntegrationSpec, secret: Secret | None, proxy: Secret | None, through: Proxy | None, *, required: bool
) -> None:
    """Whether each Secret may be sent where it would go. Raises CredentialError that names the host.

    What goes over http without TLS, the proxy reads as well.
    """
    url = parse_url(spec.repository_url)
    proxied = urlsplit(through.address).hostname or "" if through else ""
    if secret is not None:
        secret.check_host(url.host, required=required)
        if through is not None and url.scheme == "http":
            secret.check_host(proxied)
    if proxy is not None:
        proxy.check_host(proxied, required=required)


def build_remote(spec: GitIntegrationSpec, secret: Mapping[str, str], proxy: Proxy | None) -> Remote:
    """`secret` holds the keys of the Secret; empty where the spec names none."""
    url = parse_url(spec.repository_url)
    return Remote(
        url=url,
        auth=_auth(spec, url, secret),
        tls=tls_of(secret),
        proxy=proxy,
        timeout=spec.sync.timeout_seconds,
    )


def tls_of(secret: Mapping[str, str]) -> Tls:
    """What the Secret says of trust."""
    return Tls(secret.get("ca.crt"), secret.get("tls.crt"), secret.get("tls.key"))


def token_of(secret: Mapping[str, str]) -> str | None:
    """What serves to log in to the forge's API as well."""
    return secret.get("token", "").strip() or None


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


def proxy_of(proxy: Mapping[str, str]) -> Proxy:
    """The proxy of a Secret. Raises CredentialError."""
    address = proxy.get("address", "").strip()
    if not address.startswith(("http://", "https://")) or "@" in address:
        raise CredentialError(
            Reason.InvalidSecret, "the proxy Secret's key `address` must be http://host:port, without a credential"
        )
    return Proxy(address, proxy.get("username") or None, proxy.get("password") or None)
