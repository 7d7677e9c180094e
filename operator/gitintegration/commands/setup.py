"""What `gitintegration init` does, step by step: each leaves the next one to be done by whoever calls again."""

from __future__ import annotations

import asyncio
import secrets
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TextIO

from rich.console import Group

from gitintegration.api.base_model import API_VERSION, OWNED_BY
from gitintegration.cluster.client import MERGE_PATCH, Cluster
from gitintegration.cluster.integrations import KIND, SECRETS, Integrations
from gitintegration.cluster.operations import KIND as OPERATIONS
from gitintegration.commands import DIFFERENT, OK
from gitintegration.commands.access import Access
from gitintegration.commands.change import (
    agreed,
    asked_now,
    check_awake,
    is_handled,
    patch,
    ready_of,
    tell,
    until,
)
from gitintegration.commands.diff import planned
from gitintegration.commands.init import Mode
from gitintegration.commands.login import Given, LoginFlags, given, secret_of
from gitintegration.commands.operation import SHORTLY, ended, make
from gitintegration.commands.output import Output
from gitintegration.commands.views import detail, heading, is_in_sync, patches, show, utcnow
from gitintegration.errors import GitIntegrationError, NotAdmitted, Reason, Stale
from gitintegration.git.url import RemoteURL, parse_url

_MANAGED = {"app.kubernetes.io/managed-by": "gitintegration-init"}
_SIDES = {"Pull": ("pull",), "Push": ("push",), "Bidirectional": ("push", "pull")}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for."""

    url: str
    access: Access
    name: str
    mode: Mode
    fields: Mapping[str, Any]
    """Of the spec, besides address, login and mode."""
    review: str | None
    """The branch that what is live is offered on."""
    login: LoginFlags

    @property
    def namespace(self) -> str:
        return self.access.place

    @property
    def again(self) -> str:
        """The command that goes on where this one stopped."""
        named = [] if self.name == "default" else ["--name", self.name]
        return shlex.join(["kubectl", "gitintegration", "init", self.url, "-n", self.namespace, *named])


async def set_up(wanted: Wanted, seconds: float, *, yes: bool, output: Output) -> int:
    """Go the whole way; the exit code. What is there by now is told where it ends early."""
    aside = sys.stdout if output is Output.text else sys.stderr
    parsed = parse_url(wanted.url)
    async with wanted.access.cluster() as cluster:
        setup = _Setup(cluster, wanted, parsed, seconds, aside)
        try:
            return await setup.run(yes=yes, output=output)
        except BaseException:
            print(setup.by_now, file=sys.stderr)
            raise


@dataclass
class _Setup:
    """One way from nothing to a synced namespace. Each step leaves the next one to be done by whoever calls again."""

    cluster: Cluster
    wanted: Wanted
    url: RemoteURL
    seconds: float
    aside: TextIO
    found: dict[str, Any] | None = None
    """The integration, once it is there."""
    left: list[str] = field(default_factory=list)
    """What else is there by now, in words."""

    @property
    def by_now(self) -> str:
        """What is there, and how to go on."""
        if self.found is None:
            there = f"; by now there is {' and '.join(self.left)}" if self.left else ""
            return f"no GitIntegration was made{there}; try again: {self.wanted.again}"
        mode = ((self.found.get("spec") or {}).get("sync") or {}).get("mode")
        carries = "which carries nothing" if mode == "Manual" else "which works"
        what = " and ".join([f"GitIntegration {self.wanted.name} in mode {mode}, {carries}", *self.left])
        away = f"kubectl -n {self.wanted.namespace} delete gitintegration {self.wanted.name}"
        return f"by now there is {what}; go on: {self.wanted.again}; or take it away: {away}"

    async def run(self, *, yes: bool, output: Output) -> int:
        """The exit code. Raises GitIntegrationError where a step fails."""
        there = await self._there()
        if there is not None and _mode(there) != "Manual":
            self.found = there
            tell(there, output, lambda: detail(there, utcnow()))
            self._say(f"{self.wanted.name} is set up already, in mode {_mode(there)}: nothing was changed")
            return OK if is_in_sync(there, utcnow()) else DIFFERENT
        self.found = there
        login = given(self.wanted.login, self.url, stored=there is not None)
        if there is None or login is not None:
            await self._try(login or Given())
        self.found = await self._made(there, login)
        await self._looked_at()
        if not await self._plan(yes=yes):
            self._say(f"nothing was carried. {self.by_now}")
            if output is not Output.text:
                assert self.found is not None
                tell(self.found, output, lambda: "")
            return DIFFERENT
        done = await self._begun()
        tell(done, output, lambda: detail(done, utcnow()))
        return OK if is_in_sync(done, utcnow()) else DIFFERENT

    async def _there(self) -> dict[str, Any] | None:
        """The integration that there is. Raises GitIntegrationError where it is another's."""
        there = await Integrations(self.cluster).get(self.wanted.namespace, self.wanted.name)
        if there is None:
            return None
        name, space = self.wanted.name, self.wanted.namespace
        if there["metadata"].get("deletionTimestamp"):
            raise GitIntegrationError(Reason.InvalidSpec, f"GitIntegration {name} is being removed: try again")
        if there["spec"].get("repositoryURL") != self.wanted.url:
            words = f"GitIntegration {name} of namespace {space} is for another repository: give this one another --name, or "
            raise GitIntegrationError(
                Reason.InvalidSpec, f"{words}look at it: kubectl gitintegration status {name} -n {space}"
            )
        check_awake(there, "nothing can be set up")
        return there

    async def _try(self, login: Given) -> None:
        """Have the operator log in, before anything else is made. Raises GitIntegrationError where it can't."""
        suffix = secrets.token_hex(8)
        block: dict[str, Any] = {"repositoryURL": self.wanted.url}
        if login.secret or login.data:
            block["credentials"] = {"secretRef": {"name": login.secret or f"gitop-test-{suffix}"}}
        place = {"metadata": {"namespace": self.wanted.namespace, "name": self.wanted.name}}
        operation = await make(self.cluster, place, "test", block, kept=SHORTLY, name=f"gitop-{suffix}")
        if login.data:
            owned = {"ownerReferences": [OPERATIONS.owner(operation["metadata"])]}
            body = secret_of(f"gitop-test-{suffix}", login.data, self.url.host, owned)
            self.left = [f"GitOperation gitop-{suffix} with its Secret, which goes once that has ended"]
            await self.cluster.request("POST", SECRETS.path(self.wanted.namespace), body=body)
        try:
            async with asyncio.timeout(self.seconds):
                done = await ended(self.cluster, operation)
        except TimeoutError:
            words = f"the operator has not tried the login within {self.seconds:g} s: is it running? "
            words += f"kubectl gitintegration doctor -n {self.wanted.namespace}"
            raise GitIntegrationError(Reason.Timeout, words) from None
        self.left = []
        said = next(c["message"] for c in done["status"]["conditions"] if c["type"] == "Succeeded")
        if done["status"]["phase"] != "Succeeded":
            raise GitIntegrationError(Reason.AuthenticationFailed, said)
        may = (done["status"].get("test") or {}).get("permissions") or ()
        if "write" not in may and self.wanted.mode != "Pull":
            words = f"{said}, which is not enough to push: give others, or let nothing be pushed with --mode Pull"
            raise GitIntegrationError(Reason.PermissionDenied, words)
        self._say(said)

    async def _made(self, there: Mapping[str, Any] | None, login: Given | None) -> dict[str, Any]:
        """The integration, in mode Manual, and the Secret that it names; None: the one that is stored. Raises GitIntegrationError."""
        login, stays = login or Given(), login is None and there is not None
        name = login.secret or f"{self.wanted.name}-git-credentials"
        credentials: dict[str, Any] | None = {"secretRef": {"name": name}} if login.secret or login.data else None
        if login.data:
            credentials = {"secretRef": {"name": name}, "reclaimPolicy": "Delete"}
        spec: dict[str, Any] = {"repositoryURL": self.wanted.url, **({} if stays else {"credentials": credentials})}
        spec |= {**self.wanted.fields, "sync": {"mode": "Manual"}}
        try:
            self.found = await self._integration(there, spec)
        except NotAdmitted as error:
            raise GitIntegrationError(Reason.Forbidden, f"{error.message}{self._hint(name, login)}") from None
        if login.data:
            self.left = [f"no Secret {name} yet"]
            await self._keep(name, login.data)
            self.left = [f"Secret {name}"]
        made = " and ".join([f"GitIntegration {self.wanted.name} in mode Manual, which carries nothing", *self.left])
        self._say(f"{made}: {'there is' if there else 'made'}")
        return self.found

    def _hint(self, secret: str, login: Given) -> str:
        """What may be done where the login's Secret may not be named."""
        if not login.data or self.wanted.name == "default":
            return ""
        return f" (the role gitintegration-api-user has the right on Secret default-git-credentials only, not on {secret}: leave --name out)"

    async def _integration(self, there: Mapping[str, Any] | None, spec: Mapping[str, Any]) -> dict[str, Any]:
        if there is not None:
            return await patch(self.cluster, there, {"spec": spec})
        shown = {name: value for name, value in spec.items() if value is not None}
        metadata = {"name": self.wanted.name, "labels": _MANAGED}
        body = {"apiVersion": API_VERSION, "kind": KIND.kind, "metadata": metadata, "spec": shown}
        query = {"fieldValidation": "Strict"}
        path = KIND.path(self.wanted.namespace)
        made: dict[str, Any] = await self.cluster.request("POST", path, query=query, body=body)
        return made

    async def _keep(self, name: str, data: Mapping[str, str]) -> None:
        """The Secret that goes with the integration, made or made anew."""
        assert self.found is not None
        owned = {
            "annotations": {OWNED_BY: self.wanted.name},
            "ownerReferences": [KIND.owner(self.found["metadata"])],
            "labels": _MANAGED,
        }
        body = secret_of(name, data, self.url.host, owned)
        try:
            await self.cluster.request("POST", SECRETS.path(self.wanted.namespace), body=body)
        except Stale:  # it is there
            path = SECRETS.path(self.wanted.namespace, name)
            others = dict.fromkeys(("token", "username", "password", "identity", "known_hosts"))
            body["data"] = {**others, **body["data"]}
            await self.cluster.request("PATCH", path, body=body, content_type=MERGE_PATCH)

    async def _looked_at(self) -> None:
        """Wait until both sides were compared. Raises GitIntegrationError where they can't be."""
        assert self.found is not None
        token, asks = asked_now()
        self.found = await patch(self.cluster, self.found, {"metadata": {"annotations": asks}})
        self.found = await until(self.cluster, self.found, "looked at", self.seconds, is_handled(token))
        told = {c["type"]: c for c in self.found["status"]["conditions"]}
        if (told.get("InSync") or {}).get("status") in (None, "Unknown"):
            ready = told["Ready"]
            raise GitIntegrationError(Reason.InvalidSpec, f"{ready['reason']}: {ready['message']}")

    async def _plan(self, *, yes: bool) -> bool:
        """Show what the first sync carries; whether it is to be."""
        assert self.found is not None
        plans = await planned(self.cluster, self.found, _SIDES[self.wanted.mode], {})
        for plan in plans:
            show(Group(heading(plan), *patches(plan)), self.aside)
            if plan["operation"]["status"].get("phase") != "Succeeded":
                raise GitIntegrationError(Reason.InvalidSpec, f"the plan of the {plan['kind']} can't be made")
        if not yes and not sys.stdin.isatty():
            self._say("nobody can be asked here whether to go on: call it again with --yes")
            return False
        question = f"Go on, in mode {self.wanted.mode}?"
        if self.wanted.review:
            question = f"Offer what is live on branch {self.wanted.review}, and go on in mode {self.wanted.mode}?"
        return agreed(question, yes=yes)

    async def _begun(self) -> dict[str, Any]:
        """The integration, once the first sync was done."""
        assert self.found is not None
        sync: dict[str, Any] = {"mode": self.wanted.mode}
        if self.wanted.review:
            sync["push"] = {"branch": self.wanted.review, "createPullRequest": True}
        token, asks = asked_now()
        body = {"metadata": {"annotations": asks}, "spec": {"sync": sync}}
        self.found = await patch(self.cluster, self.found, body)
        self.found = await until(self.cluster, self.found, "synced", self.seconds, _is_done(token))
        return self.found

    def _say(self, words: str) -> None:
        show(words, self.aside)


def _is_done(token: str) -> Any:
    handled = is_handled(token)
    return lambda found: handled(found) and bool(ready_of(found))


def _mode(integration: Mapping[str, Any]) -> str:
    return str((integration["spec"].get("sync") or {}).get("mode") or "Bidirectional")
