"""What edits would make of files, told as patches before anything is committed."""

from __future__ import annotations

from itertools import islice

import orjson

from gitintegration.commits import files
from gitintegration.commits.files import Edits
from gitintegration.core.plan.detail import FilePatch, Secrets
from gitintegration.core.redaction import Secret
from gitintegration.core.values import ObjectKey
from gitintegration.core.yaml_read import ReadLimits
from gitintegration.git.workers import Workers
from gitintegration.reconcile.item import RunRequest
from gitintegration.session.session import SyncSession

_SECONDS = 60.0


async def preview(
    workers: Workers, session: SyncSession, request: RunRequest, limits: ReadLimits, edits: Edits
) -> list[FilePatch]:
    """What edits would make of files."""
    secrets, found = _secrets(session, request, edits), list[FilePatch]()
    while len(found) < len(edits):
        left = dict(islice(edits.items(), len(found), None))
        found += await workers.run(_SECONDS, files.preview, session.directory, left, secrets, limits)
    return found


def _secrets(session: SyncSession, request: RunRequest, edits: Edits) -> dict[str, Secrets]:
    """What is not to be shown of the files: of the items that are edited, and of those beside them."""
    if not any(kind.redaction.pointers for kind in request.kinds.values()):
        return {}

    def of(key: ObjectKey, value: bytes) -> list[Secret]:
        kind = request.kinds.get((key.group, key.kind))
        return kind.redaction.secrets(orjson.loads(value)) if kind else []

    found: dict[str, Secrets] = {}
    for path, (blob, changes) in edits.items():
        known = session.index.files.get(path)
        if blob and (known is None or known.blob != blob):
            found[path] = Secrets(unknown=True)
            continue
        edited = {change.key for change in changes}
        there = known.items if blob and known else ()
        before = [secret for item in there for secret in of(item.key, item.value)]
        after = [secret for item in there if item.key not in edited for secret in of(item.key, item.value)]
        after += [secret for change in changes if change.value is not None for secret in of(change.key, change.value)]
        found[path] = Secrets(before, after)
    return found
