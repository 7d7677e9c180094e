"""Whatever text stands in a resource, a Secret or a manifest: it never leads a request anywhere else.

The real client, operator and readers, over a server on loopback that records what is asked of it as it is sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import orjson
import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kubernetes.aio.client import Configuration

from gitintegration.api.integration import Resource
from gitintegration.api.names import is_api_version, is_subdomain
from gitintegration.cluster.client import Cluster
from gitintegration.cluster.informer import Informers
from gitintegration.cluster.integrations import FINALIZER, Integrations
from gitintegration.cluster.kinds import Kinds, ResourceKind
from gitintegration.cluster.objects import Objects
from gitintegration.cluster.operations import OperationObjects
from gitintegration.cluster.paths import api_path
from gitintegration.controller.assembly import assemble
from gitintegration.controller.controller import Controller
from gitintegration.core.manifest_file import parse_file
from gitintegration.core.queue import Priority
from gitintegration.core.schema import Schema
from gitintegration.errors import GitIntegrationError, SpecError
from gitintegration.forge.client import ForgeHttp
from gitintegration.forge.github_app import AppTokens
from gitintegration.forge.pull_requests import Forges
from gitintegration.git.client import GitClient
from gitintegration.git.workers import Workers
from gitintegration.metrics import Metrics
from gitintegration.session.live_objects import Kind, LiveObjects

NAMESPACE = "data"
_OWN = "pipelines|gitintegrations|gitintegrationbases|gitoperations|gitoperationplans"
ALLOWED = re.compile(
    rf"/apis|/api/v1|/apis/planasonix\.com/v1alpha1|/openapi/v3/(api/v1|apis/planasonix\.com/v1alpha1)"
    rf"|/apis/planasonix\.com/v1alpha1/(pipelines|gitintegrations)"
    rf"|/apis/planasonix\.com/v1alpha1/namespaces/{NAMESPACE}/({_OWN})(/[^/]+(/status)?)?"
    rf"|/api/v1/secrets|/api/v1/configmaps|/api/v1/namespaces/{NAMESPACE}/(events|((secrets|configmaps)(/[^/]+)?))"
)
"""Of the path as it is sent: a fixed list, and what lies in the namespace, of listed kinds and the operator's own."""
_GROUP: dict[str, Any] = {
    "resources": [
        {"kind": kind, "name": plural, "namespaced": True}
        for kind, plural in (("Pipeline", "pipelines"), ("GitIntegration", "gitintegrations"), ("Job", "jobs"))
    ]
}
_CORE: dict[str, Any] = {
    "resources": [
        {"kind": "ConfigMap", "name": "configmaps", "namespaced": True},
        {"kind": "Secret", "name": "secrets", "namespaced": True},
    ]
}
_EVIL = (
    "../../victim/secrets/prod",
    "..",
    ".",
    "a/b",
    "..%2f..%2fvictim",
    "%2e%2e/x",
    "v1alpha1?x=1",
    "v1alpha1%2Fgitoperations",
    "../api/v1",
    "x#y",
    "x\\..\\y",
    "x y",
    "x\n",
    "\u2025/x",
    "",
)
texts = st.one_of(st.sampled_from(_EVIL), st.text(max_size=40), st.text("./%?#ab\\", max_size=12))


class Recorder:
    """An API server that knows discovery, and holds nothing else."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.cluster: Cluster

    async def answer(self, request: web.Request) -> web.Response:
        path = request.raw_path.partition("?")[0]
        self.asked.append(path)
        if path == "/apis":
            versions = [{"groupVersion": "planasonix.com/v1alpha1"}]
            return web.json_response({"groups": [{"versions": versions}]})
        known = {"/apis/planasonix.com/v1alpha1": _GROUP, "/api/v1": _CORE}.get(path)
        listed = path.rpartition("/")[2] in ("secrets", "configmaps", *_OWN.split("|"))
        if known is None and request.method == "GET" and listed and "watch" not in request.query:
            known = {"items": [], "metadata": {"resourceVersion": "1"}}
        name = unquote(path.rpartition("/")[2])
        missing = {"kind": "Status", "reason": "NotFound", "message": "not found", "details": {"name": name}}
        return web.json_response(known or missing, status=200 if known else 404)

    def strays(self) -> list[str]:
        """What was asked that nobody may be led to; the record is emptied."""
        asked, self.asked = self.asked, []
        return [path for path in asked if not ALLOWED.fullmatch(path) or "/../" in f"{path}/" or "/./" in f"{path}/"]


@contextlib.asynccontextmanager
async def recorder() -> AsyncIterator[Recorder]:
    made = Recorder()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", made.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    configuration = Configuration()
    configuration.host = f"http://127.0.0.1:{runner.addresses[0][1]}"
    made.cluster = Cluster(configuration, timeout=5.0)
    try:
        yield made
    finally:
        await made.cluster.close()
        await runner.cleanup()


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    made = Workers(1)
    yield made
    made.close()


def _spec(**more: Any) -> dict[str, Any]:
    spec = {
        "repositoryURL": "http://127.0.0.1:1/x.git",
        "defaultBranch": "main",
        "pathPrefix": "pipelines/",
        "newFilePath": "{name}.yaml",
        "credentials": {"type": "token", "secretRef": {"name": "git"}, "reclaimPolicy": "Delete"},
        "proxySecretRef": {"name": "proxy"},
        "serviceAccountName": "editor",
        "author": {"name": "Ann", "email": "ann@example.com"},
        "resources": [{"apiVersion": "planasonix.com/v1alpha1", "kind": "Pipeline"}],
        "sync": {"timeout": "2s", "push": {"branch": "review"}},
    }
    return {**spec, **more}


def _leaves(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from _leaves(value[key], (*at, key))
    else:
        yield at


def _with(value: Any, at: tuple[Any, ...], leaf: Any) -> Any:
    made = copy.deepcopy(value)
    inner = made
    for step in at[:-1]:
        inner = inner[step]
    inner[at[-1]] = leaf
    return made


FIELDS = sorted(_leaves(_spec()), key=str)


@given(st.lists(st.tuples(st.sampled_from(FIELDS), texts), min_size=1, max_size=2), st.booleans())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_field_of_an_integration_leads_a_request_astray(
    workers: Workers, tmp_path: Path, edits: list[tuple[tuple[Any, ...], str]], leaving: bool
) -> None:
    spec = _spec()
    for at, text in edits:
        spec = _with(spec, at, text)
    metadata: dict[str, Any] = {"name": "gi", "namespace": NAMESPACE, "uid": "u1", "generation": 1}
    metadata |= {"resourceVersion": "5", "finalizers": [FINALIZER]}
    if leaving:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    body = {"apiVersion": "planasonix.com/v1alpha1", "kind": "GitIntegration", "metadata": metadata, "spec": spec}

    async def act() -> None:
        http = ForgeHttp()
        async with recorder() as server, GitClient(workers) as git:
            cluster, forges = server.cluster, Forges(http)
            kinds, informers = Kinds(cluster), Informers(cluster, by_namespace=False)
            operator = Controller(
                parts=assemble(cluster, git, workers, forges, kinds),
                git=git,
                workers=workers,
                integrations=Integrations(cluster),
                operations=OperationObjects(cluster),
                kinds=kinds,
                informers=informers,
                cache=tmp_path,
                forges=forges,
                apps=AppTokens(http),
                concurrency=1,
                metrics=Metrics(),
            )
            name = (NAMESPACE, "gi")
            await operator.seen(body)
            await operator.operations.seen(_operation(edits[0][1]))
            for asked in (name, (NAMESPACE, edits[0][1])):
                with contextlib.suppress(GitIntegrationError):
                    async with asyncio.timeout(20):
                        await operator.run(asked, Priority.requested)
            await informers.close()
            assert server.asked, "nothing was asked, so nothing is shown"
            assert server.strays() == []

    asyncio.run(act())


def _operation(text: str) -> dict[str, Any]:
    metadata = {"name": "op", "namespace": NAMESPACE, "uid": "u2", "generation": 1, "resourceVersion": "6"}
    test = {"repositoryURL": "http://127.0.0.1:1/x.git", "credentials": {"secretRef": {"name": text}}}
    spec = {"integrationRef": {"name": text}, "kind": "test", "test": test}
    return {"metadata": {**metadata, "creationTimestamp": "2026-01-01T00:00:00Z"}, "spec": spec}


MANIFEST = {
    "apiVersion": "planasonix.com/v1alpha1",
    "kind": "Pipeline",
    "metadata": {"name": "orders", "namespace": NAMESPACE, "labels": {"a": "b"}},
    "spec": {"owner": "ann"},
}


@given(st.sampled_from(sorted(_leaves(MANIFEST))), texts)
@settings(max_examples=60, deadline=None)
def test_no_field_of_a_manifest_leads_a_request_astray(at: tuple[Any, ...], text: str) -> None:
    source = orjson.dumps(_with(MANIFEST, at, text))
    parsed = parse_file("x.json", source, {("planasonix.com", "Pipeline")}, NAMESPACE)

    async def act() -> None:
        async with recorder() as server:
            side = LiveObjects(Objects(server.cluster), Kinds(server.cluster))
            found = ResourceKind("planasonix.com", "v1alpha1", "Pipeline", "pipelines", True)
            resource = Resource(api_version=found.api_version, kind=found.kind)
            informers = Informers(server.cluster, by_namespace=False)
            kind = Kind(resource, found, informers.acquire(found, NAMESPACE), Schema({}, {}), ())
            for item in parsed.items:
                assert await side.read(kind, NAMESPACE, {item.key.name: item.api_version}) == {}
                with contextlib.suppress(GitIntegrationError):
                    await side.write(kind, NAMESPACE, item.key.name, item.value, None)
            await informers.close()
            assert server.strays() == []

    asyncio.run(act())


@pytest.mark.parametrize("text", [t for t in _EVIL if t not in ("\u2025/x",)])
def test_what_is_no_name_is_no_segment(text: str) -> None:
    with pytest.raises(SpecError):
        api_path("api", "v1", "namespaces", NAMESPACE, "secrets", text)
    assert not is_subdomain(text)


@given(texts)
def test_a_segment_stays_one(text: str) -> None:
    with contextlib.suppress(SpecError):
        path = api_path("api", text, "x")
        assert path.count("/") == 3
        assert path.isascii()
        assert not set(path) & set("?#\\ ")


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("v1", True),
        ("apps/v1", True),
        ("planasonix.com/v1alpha1", True),
        ("v1alpha1?x=1", False),
        ("v1alpha1%2Fgitoperations", False),
        ("../api/v1", False),
        ("a/b/v1", False),
        ("/v1", False),
        ("apps/", False),
        ("apps/v1\n", False),
        ("", False),
    ],
)
def test_what_is_a_version(text: str, holds: bool) -> None:
    assert is_api_version(text) is holds
