"""What integrations log in with: their Secrets, watched, and the tokens of GitHub Apps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from gitintegration import messages
from gitintegration.api.integration import GitIntegrationSpec
from gitintegration.cluster.informer import Informer, Informers
from gitintegration.cluster.integrations import SECRETS, Integrations
from gitintegration.controller.config_maps import SIGNERS, data_in, people_in, unfit
from gitintegration.controller.remotes import (
    app_of,
    build_remote,
    check_hosts,
    openpgp_files,
    openpgp_key_of,
    proxy_of,
    signing_key_of,
    tls_of,
    token_of,
    trust_of,
)
from gitintegration.controller.secrets import Secret, read_secret
from gitintegration.errors import CredentialError, Forbidden, GitIntegrationError, Reason
from gitintegration.forge.github_app import AppTokens, GitHubApp
from gitintegration.forge.target import target_if_known
from gitintegration.git.keys import Keys
from gitintegration.git.openpgp import BadFile
from gitintegration.git.signing import Signer
from gitintegration.git.verifying import Trust
from gitintegration.session.connection import Connection


@dataclass(slots=True)
class Login:
    """One integration's, as last read."""

    secrets: dict[str, Secret | None] = field(default_factory=dict, repr=False)
    """The Secrets that the spec names; None: not read yet."""
    informer: Informer | None = None
    api_token: str | None = field(default=None, repr=False)
    app: GitHubApp | None = None
    signer: Signer | None = None
    trust: Trust | None = None
    people: Mapping[str, str] = field(default_factory=dict)


class CredentialResolver:
    """All integrations'. `wake` is told whose Secret changed, by namespace and name."""

    def __init__(
        self,
        integrations: Integrations,
        informers: Informers,
        apps: AppTokens,
        keys: Keys,
        wake: Callable[[tuple[str, str]], None],
        require_hosts: bool = False,
    ) -> None:
        """`require_hosts`: a Secret must say which hosts its credentials may go to."""
        self._require_hosts = require_hosts
        self._integrations, self._informers, self._apps, self._wake = integrations, informers, apps, wake
        self._keys = keys
        self._watching: dict[str, dict[str, Login]] = {}

    async def connect(self, name: tuple[str, str], login: Login, spec: GitIntegrationSpec) -> Connection:
        """What the integration names. Raises SpecError, CredentialError, and RemoteError where an App gets no token."""
        self._watch(name, login, spec)
        secret, proxy = [await self._kept(name[0], login, ref) if ref else None for ref in _named(spec)]
        made, login.app = await self._connection(spec, secret, proxy)
        login.api_token = token_of(secret.data) if secret else None
        login.signer = await self._signer(name[0], login, spec)
        login.trust = await self._trust(name[0], login, spec)
        login.people = await self._people(name[0], spec)
        return made

    async def _people(self, namespace: str, spec: GitIntegrationSpec) -> Mapping[str, str]:
        """How users are called in commits. Raises CredentialError: a wrong author stays wrong in git."""
        ref = spec.authorship.map_ref
        return people_in(await self._config_map(namespace, ref.name), ref.name) if ref else {}

    async def _trust(self, namespace: str, login: Login, spec: GitIntegrationSpec) -> Trust | None:
        """Whose commits are taken. Raises CredentialError: where that is not known, nothing is."""
        verify = spec.verify
        if verify is None:
            return None
        own, authors = login.signer.own if login.signer else "", verify.allowed_authors or ()
        if verify.config_map_ref is not None:
            ref = verify.config_map_ref.name
            secret, data = None, data_in(await self._config_map(namespace, ref), ref, SIGNERS, "allowed_signers")
        else:
            assert verify.secret_ref is not None
            secret = await self._kept(namespace, login, verify.secret_ref.name)
            data = secret.data
        with _naming(secret):
            try:
                trust, files = trust_of(data, authors, own), openpgp_files(data)
                return replace(trust, keys=await self._keys.openpgp_public(files)) if files else trust
            except BadFile as bad:
                key, words = bad.args
                if secret is None:
                    raise unfit(ref, SIGNERS, key, words) from None
                raise CredentialError(Reason.InvalidSecret, messages.SECRET_FILE(key=key, words=words)) from None
            except CredentialError as slow:
                reason = Reason.InvalidSecret if secret else Reason.InvalidConfigMap
                raise CredentialError(reason, slow.words, retry=slow.retry) from None

    async def _signer(self, namespace: str, login: Login, spec: GitIntegrationSpec) -> Signer | None:
        """What commits are signed with. Raises CredentialError: where they can't be, nothing is pushed."""
        ref = _signing(spec)
        if ref is None:
            return None
        try:
            secret = await self._kept(namespace, login, ref)
        except CredentialError as error:
            if error.reason is Reason.SecretNotFound:
                error.words = messages.SIGNING_MISSING(secret=ref)
            raise
        with _naming(secret):
            if openpgp := openpgp_key_of(secret.data):
                return replace(await self._keys.openpgp_signer(*openpgp), secret=ref)
            return replace(await self._keys.signer(*signing_key_of(secret.data)), secret=ref)

    async def hook_secret(self, name: tuple[str, str], login: Login, spec: GitIntegrationSpec) -> Secret | None:
        """What the webhook's deliveries are proven with; None where it names none. Raises CredentialError."""
        ref = _hook(spec)
        if ref is None:
            return None
        self._watch(name, login, spec)
        return await self._kept(name[0], login, ref)

    def _watch(self, name: tuple[str, str], login: Login, spec: GitIntegrationSpec) -> None:
        """The Secrets that it names alone, from now on."""
        verifying = spec.verify.secret_ref.name if spec.verify and spec.verify.secret_ref else None
        refs = (*_named(spec), _hook(spec), _signing(spec), verifying)
        login.secrets = {ref: login.secrets.get(ref) for ref in refs if ref}
        if login.secrets and login.informer is None:
            login.informer = self._informers.acquire(SECRETS, name[0])
            login.informer.listen(self._changed)
            self._watching.setdefault(name[0], {})[name[1]] = login

    async def connect_once(self, namespace: str, spec: GitIntegrationSpec) -> Connection:
        """Of a spec that belongs to no integration; its Secrets are read once."""
        secret, proxy = [await self._read(namespace, ref) if ref else None for ref in _named(spec)]
        return (await self._connection(spec, secret, proxy))[0]

    async def _connection(
        self, spec: GitIntegrationSpec, secret: Secret | None, proxy: Secret | None
    ) -> tuple[Connection, GitHubApp | None]:
        """With the App's token where a GitHub App is to log in."""
        with _naming(proxy):
            through = proxy_of(proxy.data) if proxy else None
        check_hosts(spec, secret, proxy, through, required=self._require_hosts)
        data = dict(secret.data) if secret else {}
        with _naming(secret):
            app = app_of(spec, data)
            if app is not None:
                token = await self._apps.token(app, tls_of(data), through, spec.sync.timeout_seconds)
                data |= {"token": token, "username": "x-access-token"}
            remote = build_remote(spec, data, through, name=secret.name if secret else "")
        return Connection(
            remote, target_if_known(spec.provider, remote, token_of(secret.data) if secret else None)
        ), app

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
            await self._informers.release(SECRETS, name[0])

    def _changed(self, namespace: str, secret: str) -> None:
        for integration, login in self._watching.get(namespace, {}).items():
            if secret in login.secrets:
                self._wake((namespace, integration))

    async def _kept(self, namespace: str, login: Login, ref: str) -> Secret:
        """Read again only where the watch has seen another version."""
        informer, known = login.informer, login.secrets[ref]
        seen = informer.of(namespace).get(ref) if informer and informer.error is None else None
        if known is None or seen is None or known.version != seen.resource_version:
            login.secrets[ref] = None
            login.secrets[ref] = known = await self._read(namespace, ref)
        return known

    async def _read(self, namespace: str, ref: str) -> Secret:
        with _forbidden():
            return read_secret(await self._integrations.secret(namespace, ref), ref)

    async def _config_map(self, namespace: str, ref: str) -> Mapping[str, Any] | None:
        with _forbidden():
            return await self._integrations.config_map(namespace, ref)


@contextmanager
def _forbidden() -> Iterator[None]:
    """Have the operator's lack of a right be told as what the integration lacks."""
    try:
        yield
    except Forbidden as error:
        raise CredentialError(Reason.Forbidden, error.words, retry=True) from None


@contextmanager
def _naming(secret: Secret | None) -> Iterator[None]:
    """Have what is wrong with the keys of a Secret say which Secret it is."""
    try:
        yield
    except CredentialError as error:
        error.name_secret(secret.name if secret else "")
        raise


def _named(spec: GitIntegrationSpec) -> tuple[str | None, str | None]:
    """The Secrets of the login and of the proxy."""
    login = spec.credentials.secret_ref.name if spec.credentials else None
    return login, spec.proxy_secret_ref.name if spec.proxy_secret_ref else None


def _hook(spec: GitIntegrationSpec) -> str | None:
    """The Secret of the webhook."""
    return spec.webhook.secret_ref.name if spec.webhook and spec.webhook.secret_ref else None


def _signing(spec: GitIntegrationSpec) -> str | None:
    """The Secret of the key that commits are signed with."""
    return spec.commit.signing_secret_ref.name if spec.commit and spec.commit.signing_secret_ref else None
