"""Which forge serves a repository, and where its API is. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from gitintegration import messages
from gitintegration.api.integration import Provider
from gitintegration.errors import CredentialError, GitIntegrationError, Reason, SpecError
from gitintegration.git.remote import Basic, Bearer, Proxy, Remote, Tls
from gitintegration.git.url import RemoteURL

_ONLY_AT = {
    Provider.bitbucket: ("bitbucket.org", "altssh.bitbucket.org"),
    Provider.azuredevops: ("dev.azure.com", "ssh.dev.azure.com"),
}
"""Forges whose API is at one place: a token for another host's repository is none of theirs."""
_HOSTS = {
    "github.com": Provider.github,
    "ssh.github.com": Provider.github,
    "gitlab.com": Provider.gitlab,
    "codeberg.org": Provider.gitea,
    "bitbucket.org": Provider.bitbucket,
    "altssh.bitbucket.org": Provider.bitbucket,
    "dev.azure.com": Provider.azuredevops,
    "ssh.dev.azure.com": Provider.azuredevops,
}


@dataclass(frozen=True, slots=True)
class ForgeTarget:
    """One repository at its forge. `api` is the repository's own address there."""

    provider: Provider
    api: str
    owner: str
    """The first part of the repository's path: where branches of it are."""
    web: str
    """The repository's page."""
    login: Basic | Bearer = field(repr=False)
    tls: Tls = field(default_factory=Tls)
    proxy: Proxy | None = None
    timeout: float = 60.0
    secret: str = ""
    """The Secret that the login is of."""


def provider_of(provider: Provider, url: RemoteURL) -> Provider | None:
    """The forge that the spec names, or that a well-known host is."""
    return provider if provider is not Provider.generic else _HOSTS.get(url.host)


def is_data_center(provider: Provider, url: RemoteURL) -> bool:
    """Whether it is Bitbucket Data Center, which anybody may run at an address of his own: told by the provider, or by the path."""
    if provider is Provider.bitbucket:
        return url.host not in _ONLY_AT[provider]
    clones = "scm" in url.path.split("/")[:-2] or (url.is_ssh and url.port == 7999)
    return provider is Provider.generic and clones and url.host not in _HOSTS


def host_of_forge(target: ForgeTarget) -> str:
    """The host that its repositories are at."""
    return urlsplit(target.web).hostname or ""


def target_of(provider: Provider, remote: Remote, api_token: str | None) -> ForgeTarget:
    """Where pull requests of this remote are made. `api_token`: the Secret's key `token`, where it has one.

    Raises SpecError where no forge is known, CredentialError where nothing serves to log in there.
    """
    url = remote.url
    known = provider_of(provider, url)
    if known is None:
        raise SpecError(Reason.InvalidSpec, messages.FORGE_UNKNOWN(host=url.host))
    if url.host not in _ONLY_AT.get(known, (url.host,)):
        words = f"{known.value} is at {_ONLY_AT[known][0]}, and spec.repositoryURL at {url.host}: its token stays there"
        raise SpecError(Reason.InvalidSpec, messages.SPEC_FIELD(field="spec.provider", words=words))
    path = url.path.strip("/").removesuffix(".git")
    api, web = _addresses(known, url, path)
    login = _login(known, remote, api_token)
    return ForgeTarget(
        known, api, path.split("/")[0], web, login, remote.tls, remote.proxy, remote.timeout, remote.secret
    )


def target_if_known(provider: Provider, remote: Remote, api_token: str | None) -> ForgeTarget | None:
    """The same, for what serves without a forge as well."""
    try:
        return target_of(provider, remote, api_token)
    except GitIntegrationError:
        return None


def _addresses(provider: Provider, url: RemoteURL, path: str) -> tuple[str, str]:
    port = "" if url.is_ssh or url.port in (80, 443) else f":{url.port}"
    host = f"[{url.host}]" if ":" in url.host else url.host
    root = f"{'https' if url.is_ssh else url.scheme}://{host}{port}"
    match provider:
        case Provider.github:
            base = "https://api.github.com" if url.host in ("github.com", "ssh.github.com") else f"{root}/api/v3"
            return f"{base}/repos/{quote(path)}", f"{root}/{path}"
        case Provider.gitlab:
            return f"{root}/api/v4/projects/{quote(path, safe='')}", f"{root}/{path}"
        case Provider.gitea:
            return f"{root}/api/v1/repos/{quote(path)}", f"{root}/{path}"
        case Provider.bitbucket:
            return f"https://api.bitbucket.org/2.0/repositories/{quote(path)}", f"https://bitbucket.org/{path}"
        case Provider.azuredevops:
            parts = [part for part in path.split("/") if part not in ("_git", "v3")]
            if len(parts) != 3:
                words = "is no address of Azure DevOps, which has https://dev.azure.com/ORG/PROJECT/_git/REPO"
                raise SpecError(Reason.InvalidURL, messages.URL_INVALID(words=words))
            org, project, repo = (quote(part) for part in parts)
            base = f"https://dev.azure.com/{org}/{project}"
            return f"{base}/_apis/git/repositories/{repo}", f"{base}/_git/{repo}"
    words = "pull requests need github, gitlab, gitea, bitbucket or azuredevops"
    raise SpecError(Reason.InvalidSpec, messages.SPEC_FIELD(field="spec.provider", words=words))


def _login(provider: Provider, remote: Remote, api_token: str | None) -> Basic | Bearer:
    if provider is Provider.azuredevops and api_token:
        return Basic("", api_token)
    if api_token:
        return Bearer(api_token)
    if isinstance(remote.auth, Basic | Bearer):
        if isinstance(remote.auth, Basic) and remote.auth.username == "x-access-token":
            return Bearer(remote.auth.password)
        return remote.auth
    raise CredentialError(Reason.InvalidSecret, messages.FORGE_NO_TOKEN().of_secret(remote.secret))
