"""`status.history`: the newest commits that touched the prefix, kept as the branch moves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from gitintegration.api.base_model import PIPELINE_ID
from gitintegration.api.names import NAME_LENGTH
from gitintegration.commits.files import GitItem
from gitintegration.core.bounds import touched
from gitintegration.core.status import timestamp
from gitintegration.git.log import SUBJECT
from gitintegration.git.objects import CommitInfo
from gitintegration.session.git_index import GitIndex

LOOK_BACK = 20
"""So many commits come with the first fetch, for the history to begin with."""


Touched = Mapping[str, Sequence[str]]
"""Ids of the pipelines in a file, by its path."""


def pipeline_id(item: GitItem) -> str:
    """The annotation where there is one, else the name."""
    if PIPELINE_ID.encode() in item.value:
        annotations = (orjson.loads(item.value).get("metadata") or {}).get("annotations") or {}
        return str(annotations.get(PIPELINE_ID, item.key.name))[:NAME_LENGTH]
    return item.key.name


def ids_in(index: GitIndex, paths: Iterable[str]) -> dict[str, list[str]]:
    """What the index knows of these files."""
    return {path: [pipeline_id(i) for i in index.files[path].items] for path in paths if path in index.files}


def shown(commit: CommitInfo, before: Touched, after: Touched) -> dict[str, object]:
    """One commit as `status.history` keeps it."""
    told = entry(commit, before, after)
    return {**told, **touched(told["pipelinesTouched"])}


def entry(commit: CommitInfo, before: Touched, after: Touched) -> dict[str, Any]:
    """One commit with all that it touched; a file that it removed is known from `before`."""
    ids = [i for path in commit.paths for i in (*after.get(path, ()), *before.get(path, ()))]
    return {
        "sha": commit.sha,
        "message": commit.message.partition("\n")[0][:SUBJECT],
        "author": commit.author,
        "committedAt": timestamp(datetime.fromtimestamp(commit.time, UTC)),
        "pipelinesTouched": list(dict.fromkeys(ids)),
    }
