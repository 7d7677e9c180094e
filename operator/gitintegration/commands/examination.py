"""What `gitintegration doctor` looks at: each check asks the API server, and says what it found (diagnosis.py)."""

from __future__ import annotations

import asyncio
import re
import shlex
from collections.abc import Awaitable, Collection, Iterable, Mapping, Sequence
from contextlib import nullcontext
from importlib.metadata import version
from typing import Any

import yaml
from rich.console import Console

from gitintegration.api.base_model import API_VERSION, SHARD
from gitintegration.api.crd import render_crds
from gitintegration.api.policy import render_policies
from gitintegration.cluster.client import Cluster, NotFoundError
from gitintegration.cluster.integrations import KIND as INTEGRATIONS
from gitintegration.cluster.integrations import SECRETS, Integrations
from gitintegration.cluster.kinds import Kinds, ResourceKind
from gitintegration.cluster.lease import lease_name
from gitintegration.cluster.operations import KIND as OPERATIONS
from gitintegration.cluster.operations import PLANS
from gitintegration.cluster.paths import api_path, version_path
from gitintegration.commands import diagnosis
from gitintegration.commands.access import Access
from gitintegration.commands.diagnosis import Finding, State, code_of, ok, unseen
from gitintegration.commands.operation import SHORTLY, ended, make
from gitintegration.commands.output import Output, print_as
from gitintegration.commands.views import findings_view
from gitintegration.errors import ClusterError, Forbidden
from gitintegration.messages import counted

_LEASES = ResourceKind("coordination.k8s.io", "v1", "Lease", "leases", True)
_DEPLOYMENTS = ResourceKind("apps", "v1", "Deployment", "deployments", True)
_DEFINITIONS = ResourceKind(
    "apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", False
)
_OURS = {"labelSelector": "app.kubernetes.io/name=gitintegration"}
_RENEWED_WITHIN = 6.0
"""Seconds within which a Lease that is held is renewed, three times over."""
_CHANGES = ("get", "list", "watch", "create", "update", "delete")
_AT_ONCE = 8
_REVIEWS = "authorization.k8s.io"


async def tell(examined: Examination, output: Output) -> int:
    """Print all that was found; the exit code."""
    console = Console(stderr=True)
    with console.status("looks") if console.is_terminal else nullcontext():
        found = await examined.all()
    amiss = dict.fromkeys(finding.check for finding in found if finding.state in (State.warn, State.bad))
    print_as([finding.to_json() for finding in found], output, amiss, lambda: findings_view(found))
    return code_of(found)


class Examination:
    """Of one cluster and namespace. Each check gives its findings, whatever goes wrong with another."""

    _cluster: Cluster

    def __init__(self, access: Access, home: str, account: str, seconds: float) -> None:
        """`home`, `account`: of the operator. `seconds`: for which tests are waited for; 0: none is made."""
        self._access, self._home, self._account, self._seconds = access, home, account, seconds
        self._space = ""
        self._many = asyncio.Semaphore(_AT_ONCE)
        self._versions: list[str] = []
        """What the operator answered tests with."""
        self._schemas: Mapping[str, Any] | None = None
        """What the API server shows to everybody, once it was asked for."""

    async def all(self) -> list[Finding]:
        """Every check's, in their order. Raises ClusterError where the API server does not answer at all."""
        async with self._access.cluster() as self._cluster:
            self._space = self._access.place
            served = diagnosis.server(await self._cluster.request("GET", api_path("version")))
            mine = ok("version", f"this command is {version('gitintegration')}")
            try:
                integrations = await Integrations(self._cluster).all(self._space)
            except ClusterError as error:
                integrations, seen = [], [_failed("status", error, f"kubectl -n {self._space} get gitintegrations")]
            else:
                seen = [diagnosis.conditions(one) for one in _sorted(integrations)] or [_none(self._space)]
            checks: list[tuple[str, Awaitable[Iterable[Finding]]]] = [
                ("operator", self._deployment()),
                ("crds", self._definitions()),
                ("rights", self._rights(integrations)),
                ("lease", self._leases({_shard_of(one) for one in integrations} or {""})),
                ("policies", self._policies()),
                ("repository", self._repositories(integrations)),
            ]
            parts = await asyncio.gather(*(_guarded(check, work) for check, work in checks))
        told = diagnosis.operator(self._versions, version("gitintegration"), self._home)
        return [mine, served, told, *(finding for part in parts for finding in part), *seen]

    async def _get(self, kind: ResourceKind, namespace: str | None, name: str | None = None, **query: str) -> Any:
        async with self._many:
            return await self._cluster.request("GET", kind.path(namespace, name), query=query or None)

    async def _deployment(self) -> list[Finding]:
        command = f"kubectl -n {self._home} get deployments,pods -l {_OURS['labelSelector']}"
        try:
            found = (await self._get(_DEPLOYMENTS, self._home, **_OURS))["items"]
        except Forbidden:
            return [unseen("operator", "whether its Deployment is well is not known", command)]
        if not found:
            return [unseen("operator", f"no Deployment of it is in {self._home}; it may run elsewhere", command)]
        return [_deployed(one, command) for one in found]

    async def _definitions(self) -> list[Finding]:
        return [await self._definition(yaml.safe_load(text)) for text in render_crds().values()]

    async def _definition(self, wanted: Mapping[str, Any]) -> Finding:
        name, kind = wanted["metadata"]["name"], wanted["spec"]["names"]["kind"]
        schema, stored = _schema(wanted), None
        try:
            stored = _schema(await self._get(_DEFINITIONS, None, name))
        except NotFoundError:
            return diagnosis.definition(name, schema, None, None)
        except Forbidden:
            if self._schemas is None:
                self._schemas = await self._published()
            served = next((s for key, s in self._schemas.items() if key.rpartition(".")[2] == kind), None)
            return diagnosis.definition(name, schema, served, None)
        return diagnosis.definition(name, schema, None, stored)

    async def _published(self) -> Mapping[str, Any]:
        """Schemas that the API server shows to everybody, by their names; none where it knows nothing of ours."""
        group, _, number = API_VERSION.partition("/")
        found = await self._cluster.get(api_path("openapi", "v3", "apis", group, number))
        return ((found or {}).get("components") or {}).get("schemas") or {}

    async def _rights(self, integrations: Sequence[Mapping[str, Any]]) -> list[Finding]:
        me = await self._user()
        listed = await self._kinds(integrations)
        mine = [
            (INTEGRATIONS, ("get", "list", "watch", "create", "patch", "delete")),
            (OPERATIONS, ("get", "list", "create")),
            (PLANS, ("get", "list")),
            (SECRETS, ("create",)),
            *((kind, ("get", "list", "create", "update", "delete")) for kind in listed),
        ]
        role = "gitintegration-api-user"
        grant = f"kubectl -n {self._space} create rolebinding {role} --clusterrole={role} {_subject(me)}"
        found = await asyncio.gather(*(self._may("you", None, kind, verbs, grant) for kind, verbs in mine))
        return found + await self._rights_of_operator(integrations, listed)

    async def _rights_of_operator(
        self, integrations: Sequence[Mapping[str, Any]], listed: Sequence[ResourceKind]
    ) -> list[Finding]:
        """Of whom pipelines are written as: the operator, and each ServiceAccount that an integration names."""
        own = f"system:serviceaccount:{self._home}:{self._account}"
        named = {(one.get("spec") or {}).get("serviceAccountName") for one in integrations}
        users = {f"system:serviceaccount:{self._space}:{name}" if name else own for name in named}
        found = [await self._may("the operator", own, SECRETS, ("get", "list", "watch"), self._list_of(own))]
        for user in sorted(users or {own}):
            who = "the operator" if user == own else f"ServiceAccount {user.rpartition(':')[2]}"
            found += [await self._may(who, user, kind, _CHANGES, self._list_of(user)) for kind in listed]
        return found

    def _list_of(self, user: str) -> str:
        return f"kubectl auth can-i --list -n {self._space} --as={user}"

    async def _may(self, who: str, user: str | None, kind: ResourceKind, verbs: Sequence[str], command: str) -> Finding:
        """What somebody may do with a kind; `user`: None for the caller."""
        resource = f"{kind.plural}.{kind.group}" if kind.group else kind.plural
        try:
            allowed = await asyncio.gather(*(self._allowed(user, kind, verb) for verb in verbs))
        except Forbidden:
            return diagnosis.rights(who, resource, None, verbs, command)
        missing = [verb for verb, may in zip(verbs, allowed, strict=True) if not may]
        return diagnosis.rights(who, resource, missing, verbs, command)

    async def _allowed(self, user: str | None, kind: ResourceKind, verb: str) -> bool:
        wanted = {"namespace": self._space, "verb": verb, "group": kind.group, "resource": kind.plural}
        spec: dict[str, Any] = {"resourceAttributes": wanted}
        review = "SelfSubjectAccessReview"
        if user is not None:
            space = user.split(":")[2]
            groups = ["system:authenticated", "system:serviceaccounts", f"system:serviceaccounts:{space}"]
            spec |= {"user": user, "groups": groups}
            review = "SubjectAccessReview"
        body = {"apiVersion": f"{_REVIEWS}/v1", "kind": review, "spec": spec}
        path = version_path(f"{_REVIEWS}/v1", f"{review.lower()}s")
        async with self._many:
            answer = await self._cluster.request("POST", path, body=body)
        return bool((answer.get("status") or {}).get("allowed"))

    async def _user(self) -> str:
        """Who asks, as the API server knows him; empty where it does not say."""
        path = version_path("authentication.k8s.io/v1", "selfsubjectreviews")
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        try:
            found = await self._cluster.request("POST", path, body=body)
        except ClusterError:
            return ""
        return str(((found.get("status") or {}).get("userInfo") or {}).get("username") or "")

    async def _kinds(self, integrations: Sequence[Mapping[str, Any]]) -> list[ResourceKind]:
        """The kinds that integrations list, as far as the API server serves them; that of ours where there is none."""
        kinds = Kinds(self._cluster)
        listed = {(r["apiVersion"], r["kind"]) for one in integrations for r in one["spec"].get("resources") or ()}
        found = [await kinds.resolve(*each) for each in sorted(listed or {(API_VERSION, "Pipeline")})]
        return [kind for kind in found if kind is not None]

    async def _leases(self, shards: Collection[str]) -> list[Finding]:
        """Of the operators that integrations of these shards need."""
        command = f"kubectl -n {self._home} get leases"
        try:
            before = await self._ours()
        except Forbidden:
            return [unseen("lease", "whether its Lease is held is not known", command)]
        await asyncio.sleep(_RENEWED_WITHIN)
        now = await self._ours()
        return [self._lease_of(lease_name(shard, ()), before, now) for shard in sorted(shards)]

    def _lease_of(self, name: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> Finding:
        """Of an operator of all namespaces, else of those that have some each, of which the Lease's name tells no more."""
        narrow = re.compile(re.escape(name) + "-[0-9a-f]{8}")
        names = [name] if name in now else sorted(filter(narrow.fullmatch, now))
        if not names:
            words = f"there is no Lease {name} in {self._home}: no operator has ever begun there"
            return Finding("lease", State.bad, words, f"kubectl -n {self._home} get pods -l {_OURS['labelSelector']}")
        versions = {
            each: [seen.get(each, {}).get("metadata", {}).get("resourceVersion") for seen in (before, now)]
            for each in names
        }
        best = max(names, key=lambda each: versions[each][0] != versions[each][1])
        holder = str((now[best].get("spec") or {}).get("holderIdentity") or "")
        return diagnosis.lease(best, holder, moved=versions[best][0] != versions[best][1], namespace=self._home)

    async def _ours(self) -> dict[str, Any]:
        found = (await self._get(_LEASES, self._home))["items"]
        return {str(one["metadata"]["name"]): one for one in found}

    async def _policies(self) -> list[Finding]:
        documents = list(yaml.safe_load_all(render_policies()))
        sorts = dict.fromkeys((one["apiVersion"], one["kind"]) for one in documents)
        return [
            await self._policies_of(
                *sort, {d["metadata"]["name"]: d["spec"] for d in documents if (d["apiVersion"], d["kind"]) == sort}
            )
            for sort in sorts
        ]

    async def _policies_of(self, api_version: str, kind: str, wanted: Mapping[str, Any]) -> Finding:
        served = await Kinds(self._cluster).resolve(api_version, kind)
        if served is None:
            words = f"the API server does not serve {kind} of {api_version}"
            return Finding("policies", State.bad, words, "upgrade the cluster, or turn its feature gate on")
        try:
            found = (await self._get(served, None))["items"]
        except Forbidden:
            return diagnosis.policies(kind, wanted, None)
        return diagnosis.policies(kind, wanted, {one["metadata"]["name"]: one.get("spec") or {} for one in found})

    async def _repositories(self, integrations: Sequence[Mapping[str, Any]]) -> list[Finding]:
        if not self._seconds:
            return []
        return list(await asyncio.gather(*map(self._repository, _sorted(integrations))))

    async def _repository(self, integration: Mapping[str, Any]) -> Finding:
        """By a test, which the operator makes from where it runs."""
        name = integration["metadata"]["name"]
        try:
            async with asyncio.timeout(self._seconds):
                done: dict[str, Any] | None = await self._tested(integration)
        except TimeoutError:
            done = None
        except ClusterError as error:
            return _failed("repository", error, f"kubectl gitintegration doctor -n {self._space}", f"{name}: ")
        told = ((done or {}).get("status") or {}).get("test") or {}
        self._versions += [str(told["operatorVersion"])] if told.get("operatorVersion") else []
        return diagnosis.repository(name, self._space, done, self._seconds)

    async def _tested(self, integration: Mapping[str, Any]) -> dict[str, Any]:
        made = await make(self._cluster, integration, "test", {}, kept=SHORTLY)
        return await ended(self._cluster, made, quiet=True)


async def _guarded(check: str, work: Awaitable[Iterable[Finding]]) -> list[Finding]:
    try:
        return list(await work)
    except ClusterError as error:
        return [_failed(check, error, "kubectl gitintegration doctor")]


def _failed(check: str, error: ClusterError, command: str, about: str = "") -> Finding:
    if isinstance(error, Forbidden):
        return unseen(check, f"{about}{error.words.what}", command)
    return Finding(check, State.bad, f"{about}{error.message}")


def _none(namespace: str) -> Finding:
    words = f"there is no GitIntegration in namespace {namespace}"
    return Finding("status", State.warn, words, f"make one: kubectl gitintegration init -n {namespace}")


def _shard_of(integration: Mapping[str, Any]) -> str:
    return str((integration["metadata"].get("labels") or {}).get(SHARD, ""))


def _sorted(integrations: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return sorted(integrations, key=lambda one: str(one["metadata"]["name"]))


def _schema(definition: Mapping[str, Any]) -> dict[str, Any]:
    """Of its one version."""
    found: dict[str, Any] = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return found


def _deployed(deployment: Mapping[str, Any], command: str) -> Finding:
    name, status = deployment["metadata"]["name"], deployment.get("status") or {}
    images = sorted({c["image"] for c in deployment["spec"]["template"]["spec"]["containers"]})
    ready, wanted = status.get("readyReplicas") or 0, (deployment.get("spec") or {}).get("replicas", 1)
    words = f"Deployment {name} has {ready} of {counted(wanted, 'replica')} ready ({', '.join(images)})"
    if not ready:
        return Finding("operator", State.bad, words, command)
    return ok("operator", words) if ready >= wanted else Finding("operator", State.warn, words, command)


def _subject(user: str) -> str:
    """How kubectl names somebody in a binding."""
    parts = user.split(":")
    if parts[:2] == ["system", "serviceaccount"] and len(parts) == 4:
        return f"--serviceaccount={parts[2]}:{parts[3]}"
    return f"--user={shlex.quote(user or 'USER')}"
