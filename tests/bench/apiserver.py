"""A bare client of the bed's API server: what the floors and the measuring need, and nothing that the operator does."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import aiohttp
import orjson

from tests.bed.cluster import Cluster
from tests.bed.world import API

T = TypeVar("T")

CONNECTIONS = 8
PIPELINES = f"/apis/{API}/namespaces/{{}}/pipelines"
INTEGRATIONS = f"/apis/{API}/namespaces/{{}}/gitintegrations"
_METADATA = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
_WRITES = ("POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION")
_REQUESTS = re.compile(r"^apiserver_request_total\{(.*)\} ([0-9.e+]+)$", re.MULTILINE)


class ApiServer:
    """As administrator, over `CONNECTIONS` connections at most."""

    def __init__(self, plane: Cluster) -> None:
        config = json.loads(plane.kubeconfig.read_text())
        cluster = config["clusters"][0]["cluster"]
        self._url = cluster["server"]
        self._context = ssl.create_default_context(cafile=cluster["certificate-authority"])
        self._headers = {"Authorization": f"Bearer {config['users'][0]['user']['token']}"}

    async def __aenter__(self) -> ApiServer:
        connector = aiohttp.TCPConnector(ssl=self._context, limit=CONNECTIONS)
        self._session = aiohttp.ClientSession(connector=connector, headers=self._headers)
        self._watches = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._context),
            headers=self._headers,
            timeout=aiohttp.ClientTimeout(total=None),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()
        await self._watches.close()

    async def request(self, method: str, path: str, body: Any = None, content: str = "application/json") -> Any:
        data = body if isinstance(body, bytes | None) else orjson.dumps(body)
        headers = {"Content-Type": content} if data is not None else {}
        async with self._session.request(method, self._url + path, data=data, headers=headers) as response:
            text = await response.read()
            if response.status >= 300:
                raise RuntimeError(f"{method} {path}: {response.status} {text[:500].decode(errors='replace')}")
            return orjson.loads(text)

    async def create(self, path: str, body: Mapping[str, Any]) -> Any:
        return await self.request("POST", path, body)

    async def merge(self, path: str, body: Mapping[str, Any]) -> Any:
        return await self.request("PATCH", path, body, "application/merge-patch+json")

    async def apply(self, path: str, text: bytes) -> Any:
        """Server-side apply of YAML as it is."""
        url = f"{path}?fieldManager=bench&force=true"
        return await self.request("PATCH", url, text, "application/apply-patch+yaml")

    async def namespace(self, name: str) -> None:
        await self.create("/api/v1/namespaces", {"metadata": {"name": name}})

    async def text(self, path: str) -> str:
        async with self._session.get(self._url + path) as response:
            return await response.text()

    async def requests(self) -> Requests:
        """Counted by the API server itself, but for the Leases that it renews on its own."""
        every = writes = 0.0
        for labels, value in _REQUESTS.findall(await self.text("/metrics")):
            if 'resource="leases"' in labels or 'verb="WATCH"' in labels:
                continue
            every += float(value)
            if any(f'verb="{verb}"' in labels for verb in _WRITES):
                writes += float(value)
        return Requests(int(every), int(writes))

    async def watch(self, path: str, seen: Callable[[str, str, float], None], *, ready: asyncio.Event) -> None:
        """Tells type, name and moment (seconds, monotonic) of every event from now on; ends by cancelling."""
        version = (await self.request("GET", f"{path}?limit=1"))["metadata"]["resourceVersion"]
        params = {"watch": "true", "resourceVersion": version}
        async with self._watches.get(self._url + path, params=params, headers={"Accept": _METADATA}) as response:
            ready.set()
            rest = b""
            async for chunk in response.content.iter_any():
                moment = time.monotonic()
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    event = orjson.loads(line)
                    seen(event["type"], event["object"]["metadata"].get("name", ""), moment)


class Requests:
    """How many the API server has answered."""

    def __init__(self, every: int, writes: int) -> None:
        self.every, self.writes = every, writes

    def __sub__(self, other: Requests) -> Requests:
        return Requests(self.every - other.every, self.writes - other.writes)


async def concurrently(work: Callable[[T], Awaitable[object]], things: Iterable[T], width: int = CONNECTIONS) -> None:
    """`work` on all things, so many (`width`) at a time."""
    queue = iter(things)

    async def some() -> None:
        for thing in queue:
            await work(thing)

    await asyncio.gather(*(some() for _ in range(width)))


class Landings:
    """When objects of one kind in one namespace were seen to change."""

    def __init__(self, api: ApiServer, path: str) -> None:
        self._api, self._path = api, path
        self._moments: dict[str, float] = {}
        self._moved = asyncio.Event()

    async def __aenter__(self) -> Landings:
        ready = asyncio.Event()
        self._task = asyncio.create_task(self._api.watch(self._path, self._seen, ready=ready))
        await ready.wait()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    def _seen(self, _: str, name: str, moment: float) -> None:
        self._moments[name] = moment
        self._moved.set()

    def forget(self) -> None:
        self._moments.clear()

    async def all(self, names: Iterable[str], seconds: float) -> float:
        """The moment at which the last of these was there."""
        wanted = set(names)
        async with asyncio.timeout(seconds):
            while not wanted <= self._moments.keys():
                self._moved.clear()
                await self._moved.wait()
        return max(self._moments[name] for name in wanted)


def ref_of(path: Path, branch: str = "main") -> str:
    """The commit that a bare repository's branch names; "" for none. Loose refs only, which is what a push leaves."""
    try:
        return (path / "refs" / "heads" / branch).read_text().strip()
    except FileNotFoundError:
        return ""


async def moved_from(path: Path, before: str, seconds: float) -> float:
    """The moment at which the branch has left `before`."""
    async with asyncio.timeout(seconds):
        while ref_of(path) == before:
            await asyncio.sleep(0.001)
    return time.monotonic()
