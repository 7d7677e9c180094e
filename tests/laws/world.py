"""Both transports of a sync in memory, with faults at every step: an API server's requests and a git server's.

The engine, the merge, the object cache on disk and the sync memory are the real ones. What is here answers requests as the
real servers do where it matters for a race: resourceVersions and preconditions, defaulting, pruning and normalising, a ref
that moves by compare-and-swap. End-to-end tests show that the real ones answer so.
"""

from __future__ import annotations

import asyncio
import base64
import copy
import itertools
import os
import re
import shutil
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import orjson
import yaml
from dulwich.index import commit_tree
from dulwich.object_store import MemoryObjectStore, iter_tree_contents
from dulwich.objects import Blob, Commit, ObjectID, ShaFile
from dulwich.pack import write_pack_objects

from gitintegration.api.base_model import AUTHORS_POLICY, CHANGE_REASON, EDITED_BY
from gitintegration.cluster.client import NotFoundError
from gitintegration.cluster.informer import Meta, content_of, edited_by
from gitintegration.cluster.integrations import Integrations
from gitintegration.cluster.kinds import Kinds, ResourceKind
from gitintegration.cluster.operations import OperationObjects
from gitintegration.controller.assembly import assemble
from gitintegration.controller.controller import Controller
from gitintegration.controller.integration import Integration, IntegrationKey
from gitintegration.controller.status_writer import StatusWriter
from gitintegration.core.queue import Priority
from gitintegration.core.state.record import UNKNOWN, ItemCodec
from gitintegration.core.state.shards import decode
from gitintegration.core.status import CheckReport, Outcome
from gitintegration.errors import (
    ClusterError,
    ClusterUnavailable,
    Reason,
    RemoteError,
    RemoteUnavailable,
    Stale,
    StaleRemote,
)
from gitintegration.forge.client import ForgeHttp
from gitintegration.forge.github_app import AppTokens
from gitintegration.forge.pull_requests import Forges
from gitintegration.git import objects, slices
from gitintegration.git.client import Probe
from gitintegration.git.disk import Disk
from gitintegration.git.keys import Keys
from gitintegration.git.objects import NewCommit
from gitintegration.git.remote import Remote
from gitintegration.git.turns import Turns
from gitintegration.git.wire import Refs
from gitintegration.metrics import Metrics
from gitintegration.reconcile.item import RunRequest, RunStats
from gitintegration.session.session import SyncSession

_BEGUN = datetime(2026, 1, 1, tzinfo=UTC)
API, NAMESPACE, FOLDER, REVIEW = "planasonix.com/v1alpha1", "data", "pipelines", "review"
NAME = (NAMESPACE, "gi")
_HEADS = "refs/heads/"
_KIND = ResourceKind("planasonix.com", "v1alpha1", "Pipeline", "pipelines", True)
_INTEGRATION = {"namespace": NAMESPACE, "name": "gi", "uid": "uid-1", "creationTimestamp": "2020-01-01T00:00:00Z"}
_STATUS = re.compile(r"/gitintegrations/[^/]+/status$")
_OBJECT = re.compile(rf"^/apis/planasonix.com/v1alpha1/namespaces/{NAMESPACE}/(\w+)(?:/([^/]+))?$")


class Crash(BaseException):
    """kill -9: nothing that is asked for after it is done either."""


class Steps:
    """Counts the requests of both transports, and lets something happen at one of them."""

    def __init__(self) -> None:
        self.count = 0
        self.dead = False
        self.before: dict[int, Callable[[], None]] = {}
        self.after: dict[int, Callable[[], None]] = {}

    async def request(self, work: Callable[[], Any]) -> Any:
        await asyncio.sleep(0)
        if self.dead:
            raise Crash
        number = self.count
        self.count += 1
        if act := self.before.pop(number, None):
            act()
        result = work()
        if act := self.after.pop(number, None):
            act()
        return result

    def crash(self) -> None:
        self.dead = True
        raise Crash

    def lose(self) -> None:
        """The connection breaks."""
        raise ConnectionError


class ApiServer:
    """Pipelines and the operator's memory, behind the requests of `cluster.client.Cluster`."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._versions = itertools.count(1)
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}
        self.definition: str | None = "crd-1"
        """Uid of the CRD; None: it is not there, and nothing is served."""
        self.made = "2020-01-01T00:00:00Z"
        """When it was made."""
        self.written = self.made
        """When it was written last."""
        self.pruned: set[str] = {"junk"}
        self.defaults: dict[str, str] = {"mode": "auto"}
        self.webhook: dict[str, str] = {}
        """What of every spec a mutating webhook sets."""
        self.stamps = False
        """Whether the policy of manifests/authors is there: who edits is stamped."""
        self.strict = True
        """A write that no stored intent covers is a failure."""
        self.leaving = False
        """Whether the namespace is being deleted."""
        self.trouble: str | None = None
        """What every request for pipelines is answered with, as where a conversion webhook is down."""
        self.changed: set[str] = set()
        """Pipelines that the watch has an event of and has not told yet."""
        self.events: list[tuple[str, str]] = []
        """Reason and message of each."""
        self.writes: list[tuple[str, str, str]] = []
        """(method, plural, name) of every write of the operator that landed."""
        self.patched: Callable[[Mapping[str, Any]], Mapping[str, Any]] = lambda _: {}
        """What a patch makes of the GitIntegration."""

    # --- what users do -----------------------------------------------------------------------------------------------

    def specs(self) -> dict[str, dict[str, Any]]:
        return {
            name: self._read(o)["spec"] for (plural, name), o in sorted(self.objects.items()) if plural == "pipelines"
        }

    def put(
        self, name: str, spec: Mapping[str, Any], labels: Mapping[str, str] = {}, by: str = "", why: str = ""
    ) -> None:
        """`labels` of one that is not there; `by`: whom it is stamped with, `why`: what for."""
        old = self.objects.get(("pipelines", name))
        metadata: dict[str, Any] = {"name": name, **({"labels": dict(labels)} if labels else {})}
        body: dict[str, Any] = (
            copy.deepcopy(old) if old else {"apiVersion": API, "kind": "Pipeline", "metadata": metadata}
        )
        if by:
            annotations = {EDITED_BY: by, **({CHANGE_REASON: why} if why else {})}
            body["metadata"] = {**body["metadata"], "annotations": annotations}
        self._store("pipelines", name, {**body, "spec": copy.deepcopy(dict(spec))})

    def label(self, name: str, **labels: str) -> None:
        """These labels and no others."""
        body = copy.deepcopy(self.objects["pipelines", name])
        body["metadata"] = {**body["metadata"], "labels": labels}
        self._store("pipelines", name, body)

    def own(self, name: str) -> None:
        """A controller makes it from something else."""
        owner = {"apiVersion": API, "kind": "CronPipeline", "name": "nightly", "uid": "7", "controller": True}
        metadata = self.objects["pipelines", name]["metadata"]
        metadata |= {"ownerReferences": [owner], "resourceVersion": str(next(self._versions))}
        self.changed.add(name)

    def touch(self, name: str) -> None:
        """A controller writes its status."""
        if found := self.objects.get(("pipelines", name)):
            found["metadata"] = {**found["metadata"], "resourceVersion": str(next(self._versions))}
            self.changed.add(name)

    def remove(self, name: str) -> None:
        self.objects.pop(("pipelines", name), None)
        self.changed.add(name)

    def uninstall(self) -> None:
        """The CRD is deleted: the server deletes its objects, one by one, then serves it no more."""
        for name in self.specs():
            self.remove(name)
        self.definition = None

    def install(self) -> None:
        """It is there again, anew, and holds nothing."""
        self.definition = f"crd-{next(self._versions)}"
        self.made = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def _read_definition(self) -> Any:
        if self.definition is None:
            raise NotFoundError("there is no such CRD", "pipelines.planasonix.com")
        managed = [{"time": self.written}, {"time": "2101-01-01T00:00:00Z", "subresource": "status"}]
        return {"metadata": {"uid": self.definition, "creationTimestamp": self.made, "managedFields": managed}}

    def forget_memory(self) -> None:
        for key in [key for key in self.objects if key[0] != "pipelines"]:
            del self.objects[key]

    def memory(self) -> dict[str, str]:
        """What the operator stored, by the names of its objects."""
        return {name: o["spec"]["data"] for (plural, name), o in self.objects.items() if plural != "pipelines"}

    def mark_memory(self, version: str, sort: str = "") -> None:
        """All of it, or of one sort, as if a `version` of its format had stored it."""
        for (plural, name), stored in self.objects.items():
            if plural != "pipelines" and name.startswith(sort):
                stored["spec"]["data"] = version + stored["spec"]["data"].rpartition(":")[2]

    def metas(self) -> dict[str, Meta]:
        return {
            name: Meta(
                o["metadata"]["resourceVersion"],
                bool(o["metadata"].get("ownerReferences")),
                edited_by(o["metadata"]),
                content_of(o["metadata"]),
            )
            for (plural, name), o in self.objects.items()
            if plural == "pipelines"
        }

    # --- requests ----------------------------------------------------------------------------------------------------

    async def get(self, path: str, query: Mapping[str, str] | None = None, accept: str = "") -> Any:
        try:
            return await self.request("GET", path, query=query)
        except NotFoundError:
            return None

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        accept: str = "",
        content_type: str = "",
    ) -> Any:
        if path == f"/api/v1/namespaces/{NAMESPACE}/secrets/login":
            token = base64.b64encode(b"a-token").decode()
            return {"metadata": {"name": "login", "uid": "u", "resourceVersion": "1"}, "data": {"token": token}}
        if path == "/apis":
            return {"groups": [{"versions": [{"groupVersion": API}]}] if self.definition else []}
        if path == "/apis/planasonix.com/v1alpha1":
            if self.definition is None:
                raise NotFoundError("404 page not found")
            return {"resources": [{"kind": "Pipeline", "name": "pipelines", "namespaced": True, "verbs": ["create"]}]}
        if path.startswith("/apis/apiextensions.k8s.io/"):
            return self._read_definition()
        if path.startswith("/apis/admissionregistration.k8s.io/"):
            if not self.stamps:
                raise NotFoundError("404 page not found")
            rule = {"apiGroups": ["planasonix.com"], "resources": ["pipelines"]}
            bound = "bindings/" in path
            return {
                "spec": {"policyName": AUTHORS_POLICY} if bound else {"matchConstraints": {"resourceRules": [rule]}}
            }
        if path == f"/api/v1/namespaces/{NAMESPACE}":
            return {"metadata": {"name": NAMESPACE, **({"deletionTimestamp": "now"} if self.leaving else {})}}
        if path == "/openapi/v3":
            return {
                "paths": {f"apis/{API}": {"serverRelativeURL": f"/openapi/v3/apis/{API}?hash={sorted(self.pruned)}"}}
            }
        if path.startswith("/openapi/"):
            return _openapi({"f0", "f1"} - self.pruned)
        if path.endswith("/events"):
            self.events.append((body["reason"], body["message"]))
            return body
        if _STATUS.search(path):
            return body
        match = _OBJECT.match(path)
        assert match, path
        data = orjson.loads(orjson.dumps(body)) if body is not None else None
        if match[1] == "pipelines" and self.definition is None:
            raise NotFoundError("404 page not found")
        if match[1] == "pipelines" and self.trouble:
            raise ClusterUnavailable(self.trouble, answered=True)
        try:
            return await self._steps.request(lambda: self._answer(method, match[1], match[2], data, query or {}))
        except ConnectionError:
            raise ClusterUnavailable("the connection broke") from None

    def _answer(self, method: str, plural: str, name: str | None, body: Any, query: Mapping[str, str]) -> Any:
        if method == "GET" and name is None:
            wanted = dict(pair.split("=") for pair in query.get("labelSelector", "").split(",") if pair)
            found = [o for (p, _), o in sorted(self.objects.items()) if p == plural]
            items = [
                copy.deepcopy(self._read(o))
                for o in found
                if wanted.items() <= (o["metadata"].get("labels") or {}).items()
            ]
            return {"items": items, "metadata": {"resourceVersion": str(next(self._versions))}}
        if method == "POST":
            name = body["metadata"]["name"]
            if (plural, name) in self.objects:
                raise Stale(f"{name} exists")
            return self._written(method, plural, name, body, query)
        assert name
        if plural == "gitintegrations":
            return self.patched(body)
        old = self.objects.get((plural, name))
        if old is None:
            raise NotFoundError(f"{name} is not there", name)
        if method == "GET":
            return copy.deepcopy(self._read(old))
        if method == "PATCH":
            assert plural == "gitintegrationbases"
            return self._written(method, plural, name, {**old, "spec": {**old["spec"], **body["spec"]}}, query)
        if plural == "pipelines":
            wanted = body["preconditions"] if method == "DELETE" else body["metadata"]
            assert wanted["resourceVersion"], "a write without what it was planned on"
            if any(wanted.get(f) not in (None, old["metadata"][f]) for f in ("resourceVersion", "uid")):
                raise Stale(f"{name} moved")
        if method == "DELETE" and "dryRun" in query:
            return old
        if method == "DELETE":
            self._check_told(plural, name)
            self.writes.append((method, plural, name))
            self.changed.add(name)
            return self.objects.pop((plural, name))
        return self._written(method, plural, name, body, query)

    def _written(self, method: str, plural: str, name: str, body: Any, query: Mapping[str, str]) -> Any:
        if "dryRun" in query:
            return self._admitted(body) if plural == "pipelines" else body
        self._check_told(plural, name, body)
        self.writes.append((method, plural, name))
        return copy.deepcopy(self._store(plural, name, body))

    def _store(self, plural: str, name: str, body: dict[str, Any]) -> dict[str, Any]:
        old = self.objects.get((plural, name))
        made = self._admitted(body) if plural == "pipelines" else body
        if old and {**old, "metadata": None} == {**made, "metadata": None} and _labels(old) == _labels(made):
            return old
        uid = old["metadata"]["uid"] if old else f"uid-{next(self._versions)}"
        generation = old["metadata"]["generation"] + (old.get("spec") != made.get("spec")) if old else 1
        version = str(next(self._versions))
        metadata = {**made["metadata"], "uid": uid, "resourceVersion": version, "generation": generation}
        self.objects[(plural, name)] = {**made, "metadata": metadata}
        if plural == "pipelines":
            self.changed.add(name)
        return self.objects[(plural, name)]

    def told(self) -> set[str]:
        """Of which pipelines it is stored that they are about to be written."""
        stored = [o for (plural, name), o in self.objects.items() if name.startswith("base-")]
        rows = [row for each in stored for row in decode(ItemCodec(), each["spec"]["data"])]
        return {row.key.name for row in rows if row.in_doubt}

    def _check_told(self, plural: str, name: str, body: Mapping[str, Any] | None = None) -> None:
        old = self.objects.get((plural, name))
        if body and old and body["spec"] == old["spec"] and _labels(body)[0] == _labels(old)[0]:
            return  # of an annotation that is synced nowhere
        if plural == "pipelines" and self.strict:
            assert name in self.told(), f"{name} is written, and nobody would know of it who came after"

    def _admitted(self, body: dict[str, Any]) -> dict[str, Any]:
        """As it is stored: what a mutating webhook makes of it, and a `size` of thousandths written as whole ones."""
        spec = dict(body.get("spec", {}))
        if str(spec.get("size", "")).endswith("000m"):
            spec["size"] = spec["size"].removesuffix("000m")
        return self._read({**body, "spec": {**spec, **self.webhook}})

    def _read(self, whole: dict[str, Any]) -> dict[str, Any]:
        """As the schema has it now, also where it was stored before: fields it does not know are pruned, defaults filled in."""
        if whole.get("kind") != "Pipeline":
            return whole
        spec = {k: v for k, v in whole.get("spec", {}).items() if k not in self.pruned}
        return {**whole, "spec": {**self.defaults, **spec}}


def _labels(whole: Mapping[str, Any]) -> Any:
    return whole["metadata"].get("labels"), whole["metadata"].get("annotations")


_STEPS = {
    "type": "array",
    "items": {"type": "object", "properties": {"name": {"type": "string"}}},
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["name"],
}


def _openapi(fields: set[str]) -> dict[str, Any]:
    known = {"steps": _STEPS, "mode": {"type": "string", "default": "auto"}}
    spec = {"properties": known | {name: {"type": "string"} for name in fields}}
    gvk = {"group": "planasonix.com", "version": "v1alpha1", "kind": "Pipeline"}
    pipeline = {"properties": {"spec": spec}, "x-kubernetes-group-version-kind": [gvk]}
    return {"components": {"schemas": {"pipeline": pipeline}}}


class GitHost:
    """A repository, behind the calls of `git.client.GitClient`. Its default branch is `main`."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._store = MemoryObjectStore()
        self._clock = itertools.count(1_700_000_000)
        self.heads: dict[str, str] = {}
        self.disk, self.keys = Disk(), Keys()
        self.default = "main"
        """The branch that HEAD names."""
        self.rule: Callable[[Mapping[str, str]], str | None] = lambda files: None
        """Of what a push would make of the files: why it is declined, or None."""
        self.lagging: dict[str, str] | None = None
        """The heads as a replica tells them that has not heard of what was pushed since."""
        self.deaf = False
        """Whether what is pushed is not answered."""
        self.late: list[tuple[str, str | None, str]] | None = None
        """Pushes that are neither taken nor answered yet: branch, old and new commit; None: each is taken at once."""
        self.unseen: set[str] = set()
        """Commits of the operator that it was never told of."""
        self.declined = 0
        self.check_told: Callable[[Mapping[str, str], Mapping[str, str]], None] = lambda before, after: None
        self.pushed: list[str] = []
        """Commits of the operator that were taken."""

    @property
    def head(self) -> str | None:
        return self.heads.get(self.default)

    # --- what users do -----------------------------------------------------------------------------------------------

    def files(self, commit: str | None = None) -> dict[str, str]:
        commit = commit or self.head
        if commit is None:
            return {}
        tree = self._commit(commit).tree
        return {
            e.path.decode(): self._store[e.sha].as_raw_string().decode() for e in iter_tree_contents(self._store, tree)
        }

    def commit(self, files: Mapping[str, str], *parents: str, branch: str | None = None) -> str:
        """A commit that holds just these files, and the branch on it. It follows the branch where no parent is named."""
        branch = branch or self.default
        blobs = []
        for path, text in files.items():
            blob = Blob.from_string(text.encode())
            self._store.add_object(blob)
            blobs.append((path.encode(), blob.id, 0o100644))
        made = Commit()
        made.tree = commit_tree(self._store, blobs)
        made.parents = [ObjectID(p.encode()) for p in parents or (self.heads.get(branch),) if p]
        made.author = made.committer = b"User <user@example.com>"
        made.author_time = made.commit_time = next(self._clock)
        made.author_timezone = made.commit_timezone = 0
        made.message = b"edit\n"
        self._store.add_object(made)
        self.heads[branch] = made.id.decode()
        return self.heads[branch]

    def parents(self, commit: str) -> list[str]:
        return [p.decode() for p in self._commit(commit).parents]

    def force(self, commit: str) -> None:
        self.heads[self.default] = commit

    def ancestors(self, commit: str) -> set[str]:
        """With the commit itself."""
        found, stack = {commit}, [commit]
        while stack:
            new = [p for p in self.parents(stack.pop()) if p not in found]
            found.update(new)
            stack += new
        return found

    def message(self, sha: str) -> str:
        message: bytes = self._commit(sha).message
        return message.decode()

    def people(self, sha: str) -> set[str]:
        """Whose a commit is: its author, and who wrote it with him."""
        commit = self._commit(sha)
        others = re.findall(r"^Co-authored-by: (.*) <", commit.message.decode(), re.MULTILINE)
        return {commit.author.decode().partition(" <")[0], *others}

    def _commit(self, sha: str) -> Commit:
        found = self._store[ObjectID(sha.encode())]
        assert isinstance(found, Commit)
        return found

    # --- requests ----------------------------------------------------------------------------------------------------

    async def ls_refs(self, remote: Remote, prefixes: Sequence[str]) -> Refs:
        def answer() -> Refs:
            heads = self.heads if self.lagging is None else self.lagging
            if self.lagging is None:
                self.unseen.clear()
            refs = {f"{_HEADS}{branch}": commit for branch, commit in heads.items()}
            there = {r: c for r, c in refs.items() if r.startswith(tuple(prefixes))}
            head = f"{_HEADS}{self.default}"
            asked = {r: c for r, c in there.items() if r == head or r in prefixes}
            return Refs(asked, head, tuple(sorted(there.keys() - asked.keys())))

        return await self._asked(answer)  # type: ignore[no-any-return]

    async def fetch(self, remote: Remote, directory: Path, tip: str, have: str | None, depth: int = 1) -> None:
        def send() -> None:
            known = self._closure(have, blobs=True) if have else set()
            self._deliver(directory, self._closure(tip, blobs=bool(have)) - known, [tip])

        await self._asked(send)

    async def fetch_commits(self, remote: Remote, directory: Path, tip: str, have: str) -> None:
        await self.fetch_history(remote, directory, [tip])

    async def fetch_history(self, remote: Remote, directory: Path, tips: Sequence[str]) -> None:
        def send() -> None:
            shas = {ObjectID(sha.encode()) for tip in tips for sha in self.ancestors(tip)}
            self._deliver(directory, shas, tips)

        await self._asked(send)

    async def fetch_blobs(self, remote: Remote, directory: Path, shas: Sequence[str]) -> frozenset[str]:
        await self._asked(lambda: self._deliver(directory, {ObjectID(s.encode()) for s in shas}, shas))
        return frozenset()

    async def push(self, remote: Remote, ref: str, old: str | None, commit: NewCommit) -> None:
        """As the real client: a lost connection is no answer, the ref is read again."""
        branch = ref.removeprefix(_HEADS)

        def take() -> None:
            if self.heads.get(branch) != old or self._in_the_way(branch):
                raise StaleRemote(f"{ref} moved")
            with commit.pack.open("rb") as stream:
                self._store.add_thin_pack(stream.read, None)
            assert old is None or old in self.ancestors(commit.sha), "a push that is no fast-forward"
            assert list(iter_tree_contents(self._store, self._commit(commit.sha).tree)), "a commit without its tree"
            if words := self.rule(self.files(commit.sha)):
                self.declined += 1
                raise RemoteError(Reason.PushRejected, f"the server declines the push: {words}", retry=True)
            if branch == self.default:
                self.check_told(self.files(old) if old else {}, self.files(commit.sha))
            if self.late is not None:
                self.late.append((branch, old, commit.sha))
                raise ConnectionError
            self._take(branch, old, commit.sha)
            if self.deaf:
                self.unseen.add(commit.sha)
                raise ConnectionError

        try:
            await self._asked(take)
        except RemoteUnavailable:
            if (await self.ls_refs(remote, [ref])).refs.get(ref) != commit.sha:
                raise

    def _take(self, branch: str, old: str | None, new: str) -> None:
        if self.heads.get(branch) == old:
            self.heads[branch] = new
            self.pushed.append(new)

    def land(self, number: int | None = None) -> None:
        """Of the late pushes this one is taken first; those after it find that the branch moved."""
        late, self.late = self.late or [], None
        first = [late[number]] if late and number is not None else []
        self.unseen |= {commit for _, _, commit in late}
        for push in [*first, *late]:
            self._take(*push)

    def _in_the_way(self, branch: str) -> bool:
        """Git takes the name of one branch for a folder of others."""
        return any(h.startswith(f"{branch}/") or branch.startswith(f"{h}/") for h in self.heads)

    async def probe(self, remote: Remote) -> Probe:
        """Not counted: what the credentials may is asked once a process."""
        return Probe(True, True, f"{_HEADS}{self.default}", 1)

    def forget(self, remote: Remote) -> None:
        """Nothing is kept of any."""

    async def _asked(self, work: Callable[[], Any]) -> Any:
        try:
            return await self._steps.request(work)
        except ConnectionError:
            raise RemoteUnavailable(Reason.NetworkUnreachable, "the connection broke") from None

    def _closure(self, commit: str, *, blobs: bool) -> set[ObjectID]:
        found: set[ObjectID] = set()
        stack = [commit]
        while stack:
            sha = ObjectID(stack.pop().encode())
            if sha in found:
                continue
            found.add(sha)
            made = self._commit(sha.decode())
            stack += [p.decode() for p in made.parents]
            found.add(made.tree)
            for entry in iter_tree_contents(self._store, made.tree, include_trees=True):
                if blobs or entry.mode == 0o040000:
                    found.add(entry.sha)
        return found

    def _deliver(self, directory: Path, shas: set[ObjectID], expected: Sequence[str]) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / f"incoming-{os.getpid()}"
        things: list[ShaFile] = [self._store[sha] for sha in sorted(shas)]
        with path.open("wb") as stream:
            write_pack_objects(stream, things, self._store.object_format, deltify=False)
        objects.ingest(directory, path, expected, 1 << 24)
        path.unlink()


class Inline:
    """Workers without processes, whose time is always over."""

    def __init__(self) -> None:
        self.turns = Turns(1)

    async def run(self, seconds: float, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        with slices.cut_after(0.0):
            return function(*args, **kwargs)


class Watched:
    """An informer: what the watch has delivered so far. It stands for all informers as well."""

    def __init__(self) -> None:
        self.seen: dict[str, Meta] = {}
        self.gone: dict[tuple[str, str], Meta] = {}
        self.error: ClusterError | None = None
        self.outages = 0
        self.before: Meta | None = None
        self.listing = False
        self.listed = 0.0
        self.listeners: set[Callable[[str, str], None]] = set()

    @property
    def tells_who(self) -> bool:
        return any(meta.edited_by for meta in self.seen.values())

    def of(self, namespace: str) -> Mapping[str, Meta]:
        return self.seen

    async def synced(self, seconds: float) -> bool:
        return self.error is None

    def listen(self, listener: Callable[[str, str], None]) -> None:
        self.listeners.add(listener)

    def acquire(self, kind: ResourceKind, namespace: str, user: str = "") -> Watched:
        return self

    async def release(self, kind: ResourceKind, namespace: str, user: str = "") -> None:
        """There is only one."""


class World:
    """One integration between both hosts, and the operator's process, which can end at any step."""

    def __init__(self, directory: Path, *, crowded: bool = False) -> None:
        """`crowded`: a handful of items is worked on as thousands are, in batches, read by listing and folded."""
        self._directory, self._crowded = directory, crowded
        self.steps = Steps()
        self.api, self.git = ApiServer(self.steps), GitHost(self.steps)
        self.git.check_told = self._check_push
        self.client: Any = self.git
        """What the operator reaches repositories by."""
        self.watched = Watched()
        self._generations = itertools.count(1)
        self.now = 0.0
        """Seconds; each sync comes ten after the one before."""
        self.outcome: Outcome | None = None
        self.stats = RunStats()
        self.status: dict[str, Any] = {}
        """Of the GitIntegration, as the process before wrote it last."""
        self.url = "https://git.example.com/r.git"
        self.annotations: dict[str, str] = {}
        self.forge: httpx.AsyncBaseTransport | None = None
        """What answers for the forge's API, from the next process on."""
        self.api.patched = self._patched
        self.configure()
        self.restart(wipe=True)

    def configure(
        self,
        mode: str = "Bidirectional",
        strategy: str = "merge",
        max_deletes: str = "100%",
        review: str | None = None,
        default_branch: str | None = "main",
    ) -> None:
        push = {"branch": review} if review else {}
        sync = {"mode": mode, "strategy": strategy, "maxDeletes": max_deletes, "push": push}
        self.spec: dict[str, Any] = {"repositoryURL": self.url, "defaultBranch": default_branch, "sync": sync}
        self.generation = next(self._generations)

    def ignore(self, pattern: str) -> None:
        self.spec["ignore"], self.generation = pattern, next(self._generations)

    def leave_out(self, name: str) -> None:
        """From now on the selector takes all pipelines but this one; with no name it is gone."""
        selector = {"matchExpressions": [{"key": "team", "operator": "NotIn", "values": [name]}]}
        self.spec["resources"] = [
            {"apiVersion": API, "kind": "Pipeline", **({"labelSelector": selector} if name else {})}
        ]
        self.generation = next(self._generations)

    def restart(self, *, wipe: bool = False) -> None:
        """A new process: nothing is in its memory. The cache may have survived."""
        self.steps.dead = False
        self.steps.before.clear()
        self.steps.after.clear()
        if wipe:
            shutil.rmtree(self._directory, ignore_errors=True)
        self.kinds = Kinds(self.api)  # type: ignore[arg-type]
        ticks = itertools.count(1_700_000_000)
        http, workers = ForgeHttp(self.forge), Inline()
        forges = Forges(http)
        self.parts = assemble(
            self.api,  # type: ignore[arg-type]
            self.client,
            workers,  # type: ignore[arg-type]
            forges,
            self.kinds,
            clock=lambda: next(ticks),
            now=lambda: self.now,
            batch=2 if self._crowded else 1000,
            list_above=0 if self._crowded else 200,
        )
        self.watched.listeners.clear()
        self.controller = Controller(
            parts=self.parts,
            git=self.client,
            workers=workers,  # type: ignore[arg-type]
            integrations=Integrations(self.api),  # type: ignore[arg-type]
            operations=OperationObjects(self.api),  # type: ignore[arg-type]
            kinds=self.kinds,
            informers=self.watched,  # type: ignore[arg-type]
            cache=self._directory,
            forges=forges,
            apps=AppTokens(http),
            concurrency=1,
            metrics=Metrics(),
            now=lambda: _BEGUN + timedelta(seconds=self.now),
            clock=lambda: self.now,
            tells=partial(_Witness, self),
        )
        self.deliver()

    @property
    def body(self) -> dict[str, Any]:
        """The GitIntegration, as its watch tells it."""
        metadata = {**_INTEGRATION, "generation": self.generation, "annotations": self.annotations}
        return {"metadata": metadata, "spec": self.spec, "status": self.status}

    def _patched(self, patch: Mapping[str, Any]) -> Mapping[str, Any]:
        """A merge patch of the GitIntegration: of its annotations is all that the operator makes here."""
        assert patch["metadata"].keys() == {"uid", "annotations"}
        whole = {**self.annotations, **patch["metadata"]["annotations"]}
        self.annotations = {name: value for name, value in whole.items() if value is not None}
        return {}

    @property
    def session(self) -> SyncSession:
        return self.entry.session

    @property
    def entry(self) -> Integration:
        found = self.controller.integration(NAME)
        assert found is not None
        return found

    def _check_push(self, before: Mapping[str, str], after: Mapping[str, str]) -> None:
        """A push to the default branch is told of before, item by item."""
        old, new = parse(before), parse(after)
        changed = {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}
        if self.api.strict:
            assert changed <= self.api.told(), f"{changed - self.api.told()} is pushed, and nobody would know of it"

    def deliver(self) -> None:
        """The watch catches up; as the operator does, what it tells of and was not looked at yet is noted."""
        told, self.api.changed = self.api.changed, set()
        before, self.watched.seen = self.watched.seen, self.api.metas()
        self.watched.gone |= {(NAMESPACE, n): m for n, m in before.items() if n not in self.watched.seen}
        if self.api.definition is None:
            self.watched.error, self.watched.outages = NotFoundError("404 page not found"), self.watched.outages + 1
        else:
            self.watched.error = None
            self.kinds.forget(API)  # what was not served is asked for again after a while
        for name in told:
            self.watched.before = before.get(name)
            for listener in self.watched.listeners:
                listener(NAMESPACE, name)

    def relist(self) -> None:
        """The watch broke, and lists again: what came and went meanwhile is told to nobody, so all is gone through."""
        self.api.changed = set()
        self.watched.seen = self.api.metas()
        self.watched.listed = time.monotonic()

    async def seen(self) -> None:
        """The watch tells of the GitIntegration, as it was written last."""
        await self.controller.seen(self.body)

    async def request(self) -> RunRequest:
        """What an operation is carried out with."""
        await self.seen()
        return (await self.controller.prepared(NAME, self.entry))[1]

    async def sync(self) -> tuple[Outcome, RunStats]:
        """One run of the controller, to its written status. Raises what kept it from seeing both sides."""
        self.now += 10
        await self.seen()
        self.outcome = None
        await self.controller.run(NAME, Priority.requested)
        assert self.outcome is not None, "a run that tells nothing"
        outcome, stats = self.outcome, self.stats
        if outcome.error is not None and "internal error" in outcome.error.message:
            raise AssertionError(outcome.error.message)
        if outcome.error is not None and not outcome.observed:
            raise outcome.error
        self._check_rest()
        return outcome, stats

    def ended(self, name: IntegrationKey, outcome: Outcome, stats: RunStats) -> None:
        """What a run came to, before it is told."""
        self.outcome, self.stats = outcome, stats

    def told(self, name: IntegrationKey, status: dict[str, Any]) -> None:
        """The status was written."""
        self.status = status

    def _check_rest(self) -> None:
        """What is neither open nor due is synced: nothing of it is in doubt, and both its versions are known."""
        session = self.session
        resting = session.records.marks.keys() - session.table.open.keys() - session.table.suspects
        for key in resting & session.index.items.keys():
            if key in session.records.in_doubt:
                known = session.records.get(key)
                assert known
                assert known.intent is None, f"{key} rests in doubt"
                assert known.pushes
                assert known.pushes.onto == session.index.commit, f"{key} rests in doubt"
            assert UNKNOWN not in session.records.marks[key], f"{key} rests with a side that was never carried"


class _Witness(StatusWriter):
    """Hands on what a run came to before it is written."""

    def __init__(self, world: World, *parts: Any) -> None:
        super().__init__(*parts)
        self._world = world

    async def finish(
        self, name: IntegrationKey, entry: Integration, outcome: Outcome, stats: RunStats, seconds: float
    ) -> None:
        self._world.ended(name, outcome, stats)
        await super().finish(name, entry, outcome, stats, seconds)
        self._world.told(name, dict(entry.status))

    async def tell_checks(self, entry: Integration, report: CheckReport) -> None:
        await super().tell_checks(entry, report)
        self._world.told(NAME, dict(entry.status))


def parse(files: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """The pipelines of these files, read by another reader than the operator's."""
    found = {}
    for path, text in files.items():
        if path.startswith(f"{FOLDER}/"):
            for manifest in manifests(text):
                found[manifest["metadata"]["name"]] = manifest["spec"]
    return found


def manifests(text: str) -> list[dict[str, Any]]:
    """All documents of a file, JSON too, and the items of lists among them."""
    documents = [document for document in yaml.safe_load_all(text) if document]
    return [each for document in documents for each in document.get("items", [document])]


Run = Callable[[World], Awaitable[None]]
