"""What integrations log in with: their Secrets, watched, and the tokens of GitHub Apps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gitintegration.api.integration import GitIntegrationSpec
from gitintegration.cluster.informer import Informer, Informers
from gitintegration.cluster.integrations import Integrations
from gitintegration.cluster.kinds import ResourceKind
from gitintegration.errors import CredentialError, Forbidden, GitIntegrationError, Reason
from gitintegration.forge.github_app import AppTokens, GitHubApp
from gitintegration.forge.target import target_if_known
from gitintegration.git.remote import Remote
from gitintegration.sync.connection import Connection
from gitintegration.sync.remotes import app_of, build_remote, proxy_of, secret_data, tls_of, token_of

_SECRET = ResourceKind("", "v1", "Secret", "secrets", True)


@dataclass(slots=True)
class Login:
    """One integration's, as last read."""

    secrets: dict[str, tuple[str, dict[str, str]]] = field(default_factory=dict, repr=False)
    """The Secrets that the spec names, with the resourceVersion that was read ("" for none yet) and their keys."""
    informer: Informer | None = None
    api_token: str | None = field(default=None, repr=False)
    app: GitHubApp | None = None


class Logins:
    """All integrations'. `wake` is told whose Secret changed, by namespace and name."""

    def __init__(
        self,
        integrations: Integrations,
        informers: Informers,
        apps: AppTokens,
        wake: Callable[[tuple[str, str]], None],
    ) -> None:
        self._integrations, self._informers, self._apps, self._wake = integrations, informers, apps, wake
        self._watching: dict[str, dict[str, Login]] = {}

    async def connect(self, name: tuple[str, str], login: Login, spec: GitIntegrationSpec) -> Connection:
        """What the integration names. Raises SpecError, CredentialError, and RemoteError where an App gets no token."""
        refs = [spec.credentials.secret_ref.name if spec.credentials else None]
        refs.append(spec.proxy_secret_ref.name if spec.proxy_secret_ref else None)
        login.secrets = {ref: login.secrets.get(ref, ("", {})) for ref in refs if ref}
        if login.secrets and login.informer is None:
            login.informer = self._informers.acquire(_SECRET, name[0])
            login.informer.listen(self._changed)
            self._watching.setdefault(name[0], {})[name[1]] = login
        secret, proxy = [await self._read(name[0], login, ref) if ref else None for ref in refs]
        login.api_token = token_of(secret or {})
        login.app = app_of(spec, secret or {})
        remote = await self._logged_in(spec, secret or {}, proxy, login.app)
        return Connection(remote, target_if_known(spec.provider, remote, login.api_token))

    async def connect_once(self, namespace: str, spec: GitIntegrationSpec) -> Connection:
        """Of a spec that belongs to no integration; its Secret is read once."""
        ref = spec.credentials.secret_ref.name if spec.credentials else None
        secret = secret_data(await self._integrations.secret(namespace, ref), ref) if ref else {}
        remote = await self._logged_in(spec, secret, None, app_of(spec, secret))
        return Connection(remote, target_if_known(spec.provider, remote, token_of(secret)))

    def failed(self, login: Login, error: GitIntegrationError) -> None:
        """A token of an App that the server does not take any more is not asked with again."""
        if login.app is not None and error.reason is Reason.AuthenticationFailed:
            self._apps.drop(login.app)

    async def release(self, name: tuple[str, str], login: Login) -> None:
        """Nothing of this integration is watched any more."""
        if login.informer is not None:
            login.informer = None
            del self._watching[name[0]][name[1]]
            if not self._watching[name[0]]:
                del self._watching[name[0]]
            await self._informers.release(_SECRET, name[0])

    def _changed(self, namespace: str, secret: str) -> None:
        for integration, login in self._watching.get(namespace, {}).items():
            if secret in login.secrets:
                self._wake((namespace, integration))

    async def _logged_in(
        self,
        spec: GitIntegrationSpec,
        secret: Mapping[str, str],
        proxy: Mapping[str, str] | None,
        app: GitHubApp | None,
    ) -> Remote:
        """The remote, with the App's token where a GitHub App is to log in."""
        if app is not None:
            through = proxy_of(proxy) if proxy is not None else None
            token = await self._apps.token(app, tls_of(secret), through, spec.sync.timeout_seconds)
            secret = {**secret, "token": token, "username": "x-access-token"}
        return build_remote(spec, secret, proxy)

    async def _read(self, namespace: str, login: Login, ref: str) -> dict[str, str]:
        """Read again only where the watch has seen another version."""
        informer = login.informer
        seen = informer.of(namespace).get(ref) if informer and informer.error is None else None
        version, data = login.secrets[ref]
        if seen is not None and version == seen.resource_version:
            return data
        try:
            found = await self._integrations.secret(namespace, ref)
        except Forbidden as error:
            raise CredentialError(Reason.Forbidden, error.message, retry=True) from None
        data = secret_data(found, ref)
        login.secrets[ref] = (found["metadata"]["resourceVersion"] if found else "", data)
        return data
