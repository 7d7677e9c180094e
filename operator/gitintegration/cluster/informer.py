"""Which objects there are, and what of them is to be known: watches, shared by all that need them.

A watch of its own for each kind, so that a kind that can't be read degrades itself alone. Deletes missed across a break
are found by set difference at the next list.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

from gitintegration.api.base_model import CHANGE_REASON, EDITED_BY
from gitintegration.cluster.client import JSON, METADATA, METADATA_LIST, Cluster, NotFoundError
from gitintegration.cluster.kinds import ResourceKind
from gitintegration.errors import ClusterError, Reason, Stale

_CHUNK = 500
_GONE = 1000
"""So many objects that are no more are remembered."""
_USER = 256
"""Characters of a user's name."""
_BACKOFF = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


class Meta(NamedTuple):
    """What is kept of an object. `controlled`: it is the output of a controller."""

    resource_version: str
    controlled: bool
    edited_by: str = ""
    """Who edited it last, where that is stamped."""
    content: int | None = None
    """The same as long as nobody edits what is synced of it; None: that can't be seen."""


Listener = Callable[[str, str], None]
T = TypeVar("T")


class Watcher(Generic[T]):
    """Watches one kind, in one namespace or in all; `objects` maps namespace to name to what `read` makes of an object.

    `read` gets whole objects, where `whole` is told, else their metadata.
    """

    def __init__(
        self,
        cluster: Cluster,
        kind: ResourceKind,
        namespace: str | None,
        read: Callable[[Mapping[str, Any]], T],
        *,
        whole: bool = True,
    ) -> None:
        self._read = read
        self._listed_as, self._watched_as = (JSON, JSON) if whole else (METADATA_LIST, METADATA)
        self._cluster = cluster
        self._kind = kind
        self._namespace = namespace
        self._listeners: set[Listener] = set()
        self._synced = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.listed = 0.0
        """When all objects were listed last, on the monotonic clock: what came and went before that was told to nobody."""
        self.objects: dict[str, dict[str, T]] = {}
        """As last told. While the kind is not served they stay: that it is not says nothing of them."""
        self.gone: dict[tuple[str, str], T] = {}
        """Of those that were deleted lately, by namespace and name, the last that was told."""
        self.before: T | None = None
        """What was told before of the object that is told of."""
        self.listing = False
        """Whether a listing tells of it: what it was between the two was told to nobody."""
        self.outages = 0
        """How often it was found that the kind is not served."""
        self.error: ClusterError | None = None
        """Why the kind can't be read now, or None."""

    def listen(self, listener: Listener) -> None:
        self._listeners.add(listener)

    def mute(self, listener: Listener) -> None:
        self._listeners.discard(listener)

    def start(self) -> None:
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name=f"informer {self._kind.plural}")

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    async def synced(self, seconds: float) -> bool:
        """Whether the first list is there, waiting for it so long; at once False where it can't be had."""
        if self.error is None and not self._synced.is_set():
            try:
                async with asyncio.timeout(seconds):
                    await self._synced.wait()
            except TimeoutError:
                return False
        return self.error is None and self._synced.is_set()

    def of(self, namespace: str) -> Mapping[str, T]:
        return self.objects.get(namespace, {})

    async def _run(self) -> None:
        failures = 0
        while True:
            try:
                version = await self._list()
                self.error = None
                self._synced.set()
                failures = 0
                await self._watch(version)
            except Stale:
                continue
            except Exception as defect:  # whatever an answer holds, the watch must go on
                error = defect if isinstance(defect, ClusterError) else _unreadable(self._kind, defect)
                self.error = error
                self._synced.set()
                wait = error.retry_after or _BACKOFF[min(failures, len(_BACKOFF) - 1)]
                failures += 1
                if isinstance(error, NotFoundError):  # the route is missing, which says nothing of the objects
                    self.outages += 1
                await asyncio.sleep(wait * random.uniform(0.8, 1.2))  # noqa: S311 - jitter

    async def _list(self) -> str:
        found: dict[str, dict[str, T]] = {}
        query = {"limit": str(_CHUNK)}
        while True:
            path = self._kind.path(self._namespace)
            page = await self._cluster.request("GET", path, query=query, accept=self._listed_as)
            for item in page["items"] or ():
                namespace, name = _place(item)
                found.setdefault(namespace, {})[name] = self._read(item)
            token = page["metadata"].get("continue")
            if not token:
                break
            query["continue"] = token
        self._replace(found)
        return str(page["metadata"]["resourceVersion"])

    def _replace(self, found: dict[str, dict[str, T]]) -> None:
        self.listed = time.monotonic()
        before, self.objects, self.listing = self.objects, found, True
        for namespace in before.keys() | found.keys():
            old, new = before.get(namespace, {}), found.get(namespace, {})
            for name in old.keys() | new.keys():
                if old.get(name) != new.get(name):
                    self.before = old.get(name)
                    if name not in new:
                        self._bury(namespace, name, old[name])
                    self._tell(namespace, name)
        self.listing = False

    async def _watch(self, version: str) -> None:
        while True:
            query = {"resourceVersion": version, "timeoutSeconds": str(random.randint(240, 320))}  # noqa: S311 - jitter
            try:
                async with self._cluster.watch(self._kind.path(self._namespace), query, self._watched_as) as events:
                    async for event in events:
                        version = self._take(event) or version
            except ClusterError as error:
                if not error.retry or isinstance(error, Stale | NotFoundError):
                    raise
                await asyncio.sleep(random.uniform(0.2, 1.0))  # noqa: S311 - jitter
                raise

    def _take(self, event: Mapping[str, Any]) -> str | None:
        item = event["object"]
        if event["type"] == "ERROR":
            raise Stale(str(item.get("message", "the watch is too old")))
        if event["type"] != "BOOKMARK":
            namespace, name = _place(item)
            self.before = self.objects.get(namespace, {}).get(name)
            if event["type"] == "DELETED":
                self.objects.get(namespace, {}).pop(name, None)
                self._bury(namespace, name, self._read(item))
                self._tell(namespace, name)
            elif self.before != (found := self._read(item)):
                self.objects.setdefault(namespace, {})[name] = found
                self._tell(namespace, name)
        return str(item["metadata"]["resourceVersion"])

    def _bury(self, namespace: str, name: str, last: T) -> None:
        self.gone.pop((namespace, name), None)
        self.gone[namespace, name] = last
        if len(self.gone) > _GONE:
            del self.gone[next(iter(self.gone))]

    def _tell(self, namespace: str, name: str) -> None:
        for listener in tuple(self._listeners):
            listener(namespace, name)


def _unreadable(kind: ResourceKind, defect: Exception) -> ClusterError:
    words = f"the watch of {kind.plural} can't be read: {type(defect).__name__}"
    return ClusterError(Reason.ProgressingWithRetry, words, retry=True)


def _place(item: Mapping[str, Any]) -> tuple[str, str]:
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]


def _meta(item: Mapping[str, Any]) -> Meta:
    metadata = item["metadata"]
    controlled = any(owner.get("controller") for owner in metadata.get("ownerReferences", ()))
    return Meta(metadata["resourceVersion"], controlled, edited_by(metadata), content_of(metadata))


def content_of(metadata: Mapping[str, Any]) -> int | None:
    """Another once somebody edits what is synced of an object, as far as its metadata tell; None: they tell nothing."""
    if "generation" not in metadata:
        return None
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    kept = frozenset((k, v) for k, v in annotations.items() if k not in (EDITED_BY, CHANGE_REASON))
    return hash((metadata["generation"], frozenset(labels.items()), kept))


def edited_by(metadata: Mapping[str, Any]) -> str:
    """Who edited an object last, where that is stamped."""
    return sys.intern(str((metadata.get("annotations") or {}).get(EDITED_BY) or "")[:_USER])


class Informer(Watcher[Meta]):
    """Of metadata only: which objects there are, and in which version."""

    def __init__(self, cluster: Cluster, kind: ResourceKind, namespace: str | None) -> None:
        super().__init__(cluster, kind, namespace, self._meta, whole=False)
        self.tells_who = False
        """Whether an object was seen that says who edited it."""

    def _meta(self, item: Mapping[str, Any]) -> Meta:
        found = _meta(item)
        self.tells_who = self.tells_who or bool(found.edited_by)
        return found


class Informers:
    """One informer for each kind and namespace, started when first wanted and stopped when nobody wants it."""

    def __init__(self, cluster: Cluster, *, by_namespace: bool) -> None:
        """`by_namespace`: the operator may read some namespaces only, so none is watched as a whole."""
        self._cluster = cluster
        self._by_namespace = by_namespace
        self._known: dict[tuple[str, str, str | None, str], tuple[Informer, int]] = {}

    def _key(self, kind: ResourceKind, namespace: str, user: str) -> tuple[str, str, str | None, str]:
        return (kind.group, kind.kind, namespace if self._by_namespace or user else None, user)

    def acquire(self, kind: ResourceKind, namespace: str, user: str = "") -> Informer:
        """`user`: the ServiceAccount to watch as; it is asked for its namespace only. Empty: the operator itself."""
        key = self._key(kind, namespace, user)
        cluster = self._cluster.acting_as(user) if user else self._cluster
        informer, users = self._known.get(key) or (Informer(cluster, kind, key[2]), 0)
        self._known[key] = (informer, users + 1)
        informer.start()
        return informer

    async def release(self, kind: ResourceKind, namespace: str, user: str = "") -> None:
        key = self._key(kind, namespace, user)
        informer, users = self._known[key]
        if users > 1:
            self._known[key] = (informer, users - 1)
            return
        del self._known[key]
        await informer.stop()

    async def close(self) -> None:
        for informer, _ in self._known.values():
            await informer.stop()
        self._known.clear()
