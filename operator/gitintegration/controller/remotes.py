"""From a spec and its Secrets to a remote. Pure but for the types it makes; every refusal names the key to mend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from gitintegration import messages
from gitintegration.api.integration import CredentialType, GitIntegrationSpec
from gitintegration.controller.secrets import Secret
from gitintegration.errors import CredentialError, Reason, SpecError
from gitintegration.forge.github_app import GitHubApp
from gitintegration.git import openpgp
from gitintegration.git.remote import Anonymous, Auth, Basic, Bearer, Proxy, Remote, SshKey, Tls
from gitintegration.git.url import RemoteURL, parse_base, parse_url
from gitintegration.git.verifying import Trust, keys_of
from gitintegration.messages import nearly

_APP_ID = 64
"""Characters of an App's id, or of an installation's."""
_LOGIN = 16 << 10
"""Bytes of a token, a user name or a password; a server takes no longer header."""
_IDENTITY = ("identity", "ssh-privatekey", "sshPrivateKey")
_OPENPGP, _OPENPGP_KEYS = "git.asc", ".asc"
"""The private key, and how files of public keys end."""
_SIGNERS = "allowed_signers"
_LOGINS = ("token", "bearerToken", "username", "password", "ca.crt", "tls.crt", "tls.key")
_APP_KEYS = ("githubAppID", "githubAppPrivateKey", "githubAppInstallationID", "githubAppBaseURL")
_GITHUB = "https://api.github.com"
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
    if len(app_id) > _APP_ID or not app_id.isprintable():
        raise CredentialError(
            Reason.InvalidSecret, messages.SECRET_VALUE(key="githubAppID", words="is no id of a GitHub App")
        )
    if not app_id or not key:
        lacks = "githubAppPrivateKey" if app_id else "githubAppID"
        words = messages.SECRET_NO_APP(key=lacks, near=nearly([lacks], list(secret)))
        raise CredentialError(Reason.InvalidSecret, words)
    if not (installation.isascii() and installation.isdigit() and len(installation) <= _APP_ID):
        words = messages.SECRET_NO_INSTALLATION(near=nearly(["githubAppInstallationID"], list(secret)))
        raise CredentialError(Reason.InvalidSecret, words)
    if url.is_ssh:
        words = messages.URL_INVALID(words="is ssh, and a GitHub App logs in over https: use the https address")
        raise SpecError(Reason.InvalidSpec, words)
    return GitHubApp(app_id, installation, key + "\n", _app_base(base, url))


def _app_base(base: str, url: RemoteURL) -> str:
    """Where the App's assertion goes, which its Secret alone decides, and its tokens stay with the repositories of that place."""
    parts = parse_base(base or _GITHUB)
    if parts is None:
        wrong = messages.SECRET_VALUE(key="githubAppBaseURL", words="must be like https://HOST/api/v3")
        raise CredentialError(Reason.InvalidSecret, wrong)
    if parts[1] not in (url.host, f"api.{url.host}"):
        words = (
            f"the GitHub App of the Secret is asked for tokens at {parts[1]}, and they are not sent to {url.host}: for GitHub "
            "Enterprise the Secret needs the key `githubAppBaseURL` (https://HOST/api/v3)"
        )
        raise CredentialError(Reason.InvalidSecret, words)
    return base or _GITHUB


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


def build_remote(spec: GitIntegrationSpec, secret: Mapping[str, str], proxy: Proxy | None, *, name: str = "") -> Remote:
    """`secret` holds the keys of the Secret, `name` is its own; empty where the spec names none."""
    url = parse_url(spec.repository_url)
    auth = _sendable(_auth(spec, url, secret))
    return Remote(
        url=url,
        auth=auth,
        tls=tls_of(secret),
        proxy=proxy,
        timeout=spec.sync.timeout_seconds,
        secret=name,
        key=_key_of(auth, secret),
    )


def _key_of(auth: Auth, secret: Mapping[str, str]) -> str:
    """Where in the Secret the credential is."""
    match auth:
        case SshKey():
            return next(key for key in _IDENTITY if key in secret)
        case Bearer():
            return "bearerToken"
        case Basic(_, password):
            if "githubAppID" in secret and secret.get("username") == "x-access-token":
                return "githubAppPrivateKey"
            return "token" if password == secret.get("token", "").strip() else "password"
    return ""


def _sendable(auth: Auth) -> Auth:
    """The same. Raises CredentialError for what no header can carry."""
    match auth:
        case Basic(user, password):
            _header(f"{user}:{password}")
            if ":" in user:
                raise CredentialError(
                    Reason.InvalidSecret, messages.SECRET_VALUE(key="username", words="holds a colon")
                )
        case Bearer(token):
            _header(token)
            if not token.isascii():
                raise CredentialError(
                    Reason.InvalidSecret, messages.SECRET_VALUE(key="bearerToken", words="is no token")
                )
    return auth


def _header(whole: str) -> None:
    if any(ord(ch) < 32 or ord(ch) == 127 for ch in whole):
        raise CredentialError(
            Reason.InvalidSecret, "the Secret's login holds a line break or another control character"
        )
    if len(whole.encode()) > _LOGIN:
        raise CredentialError(Reason.InvalidSecret, f"the Secret's login has more than {_LOGIN} bytes")


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
        words = messages.SPEC_FIELD(
            field="spec.credentials.type", words="ssh needs an ssh address in spec.repositoryURL"
        )
        raise SpecError(Reason.InvalidSpec, words)
    if token := secret.get("token", "").strip():
        if kind is not CredentialType.basic:
            user = secret.get("username", "").strip() or _TOKEN_USERS.get(spec.provider.value, "git")
            return Basic(user, token)
    elif bearer := secret.get("bearerToken", "").strip():
        return Bearer(bearer)
    elif kind is CredentialType.token:
        near = nearly(["token", "bearerToken"], list(secret))
        raise CredentialError(Reason.InvalidSecret, messages.SECRET_NO_TOKEN(near=near, key="token"))
    if "username" in secret or "password" in secret or kind is CredentialType.basic:
        if not secret.get("username") or "password" not in secret:
            lacks = "password" if secret.get("username") else "username"
            words = messages.SECRET_HALF_LOGIN(key=lacks, near=nearly([lacks], list(secret)))
            raise CredentialError(Reason.InvalidSecret, words)
        return Basic(secret["username"].strip(), secret["password"].strip("\n"))
    if spec.credentials and not any(key in secret for key in ("ca.crt", "tls.crt")):
        near = nearly([*_LOGINS, *_APP_KEYS, *_IDENTITY], list(secret))
        raise CredentialError(Reason.InvalidSecret, messages.SECRET_NO_LOGIN(near=near, key="token"))
    return Anonymous()


def _ssh(secret: Mapping[str, str]) -> SshKey:
    identity = next((secret[key] for key in _IDENTITY if key in secret), None)
    if identity is None:
        near = nearly(_IDENTITY, list(secret))
        raise CredentialError(Reason.InvalidSecret, messages.SECRET_NO_IDENTITY(near=near))
    if not secret.get("known_hosts", "").strip():
        near = nearly(["known_hosts"], list(secret))
        raise CredentialError(Reason.InvalidSecret, messages.SECRET_NO_HOST_KEYS(near=near))
    return SshKey(f"{identity.strip()}\n".encode(), secret["known_hosts"].encode(), secret.get("password") or None)


def openpgp_key_of(secret: Mapping[str, str]) -> tuple[bytes, str | None] | None:
    """The OpenPGP key that commits are signed with, and its passphrase; None where there is none."""
    key = secret.get(_OPENPGP)
    return (key.encode(), secret.get("passphrase") or None) if key is not None else None


def signing_key_of(secret: Mapping[str, str]) -> tuple[bytes, str | None]:
    """The SSH key that commits are signed with, and its passphrase. Raises CredentialError."""
    identity = next((secret[key] for key in _IDENTITY if key in secret), None)
    if identity is None:
        near = nearly([_OPENPGP, *_IDENTITY], list(secret))
        raise CredentialError(Reason.InvalidSecret, messages.SIGNING_NO_KEY(near=near))
    return f"{identity.strip()}\n".encode(), secret.get("passphrase") or secret.get("password") or None


def openpgp_files(data: Mapping[str, str]) -> dict[str, str]:
    """The files of public OpenPGP keys, by name. What the operator itself signs with is none of them."""
    names = [name for name in data if name.endswith(_OPENPGP_KEYS)]
    return {name: data[name] for name in names if name != _OPENPGP or not openpgp.is_private(data[name])}


def trust_of(data: Mapping[str, str], authors: Sequence[str], own: str | openpgp.PublicKey) -> Trust:
    """Whose commits are taken, but for OpenPGP keys, out of a Secret or a ConfigMap. Raises BadFile, also where neither kind is there."""
    signers = data.get(_SIGNERS)
    if signers is None and not openpgp_files(data):
        near = nearly([_SIGNERS], list(data))
        raise openpgp.BadFile(_SIGNERS, f"is not there, and no key that ends in `{_OPENPGP_KEYS}`{near}")
    trust = Trust(signers or "", tuple(authors), own)
    try:
        keys_of(trust)
    except ValueError as error:
        raise openpgp.BadFile(_SIGNERS, f"can't be used: {error}") from None
    return trust


def proxy_of(proxy: Mapping[str, str]) -> Proxy:
    """The proxy of a Secret. Raises CredentialError."""
    address = proxy.get("address", "").strip()
    if parse_base(address) is None:
        raise CredentialError(Reason.InvalidSecret, messages.PROXY_ADDRESS())
    user, password = proxy.get("username") or None, proxy.get("password") or None
    if user is not None:
        _sendable(Basic(user, password or ""))
    return Proxy(address, user, password)
