"""What people see, at two widths, without colour: golden texts in `views.golden`, one after the other."""

from __future__ import annotations

import io
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Group

from gitintegration.commands.diagnosis import Finding, State
from gitintegration.commands.views import (
    ago,
    blame_view,
    commit_heading,
    commit_patches,
    confirmed_view,
    conflict_view,
    detail,
    field_view,
    findings_view,
    heading,
    held_view,
    is_in_sync,
    operation_view,
    overview,
    patches,
    plain_patches,
    settled_view,
    show,
    suspension_view,
    trace_view,
)

NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
GOLDEN = Path(__file__).with_name("views.golden")


def condition(kind: str, status: str, reason: str, message: str) -> dict[str, str]:
    return {"type": kind, "status": status, "reason": reason, "message": message}


WELL: dict[str, Any] = {
    "metadata": {"namespace": "data", "name": "analytics"},
    "spec": {"repositoryURL": "https://git.example.com/acme/pipelines.git"},
    "status": {
        "inSync": True,
        "branch": "main",
        "remoteCommit": "1a2b3c4d5e6f7a8b9c0d",
        "lastSyncedCommit": "1a2b3c4d5e6f7a8b9c0d",
        "lastSuccessfulSyncAt": "2026-11-27T11:58:00Z",
        "pipelineCount": 12,
        "localAheadCount": 0,
        "remoteAheadCount": 0,
        "conflictCount": 0,
        "connection": {"reachable": True, "latencyMs": 18},
        "conditions": [
            condition("Ready", "True", "Succeeded", "12 pipelines are the same"),
            condition("InSync", "True", "InSync", "12 pipelines are the same"),
        ],
        "history": [
            {
                "sha": "1a2b3c4d5e6f7a8b9c0d",
                "message": "update orders",
                "author": "Ann <ann@example.com>",
                "committedAt": "2026-11-27T09:00:00Z",
            }
        ],
    },
}
TROUBLED: dict[str, Any] = {
    "metadata": {"namespace": "team", "name": "etl"},
    "spec": {"repositoryURL": "ssh://git@git.example.com/acme/etl.git"},
    "status": {
        "inSync": False,
        "branch": "main",
        "remoteCommit": "ffffffffffffffffffff",
        "lastSuccessfulSyncAt": "2026-11-25T12:00:00Z",
        "pipelineCount": 3,
        "localAheadCount": 1,
        "remoteAheadCount": 1,
        "conflictCount": 1,
        "conditions": [
            condition("Ready", "False", "Conflicts", "orders is in conflict; settle it: kubectl apply -f resolve.yaml")
        ],
        "ahead": [
            {
                "kind": "Pipeline",
                "name": "orders",
                "side": "both",
                "reason": "Conflict",
                "path": "pipelines/orders.yaml",
            },
            {"kind": "Pipeline", "name": "fresh", "side": "cluster", "reason": "Pending"},
        ],
        "aheadTruncated": True,
        "conflicts": [
            {
                "kind": "Pipeline",
                "name": "orders",
                "reason": "BothModified",
                "fields": ["spec.schedule", "spec.steps[name=load].image"],
                "path": "pipelines/orders.yaml",
                "values": [
                    {"field": "spec.schedule", "base": '"0 5 * * *"', "ours": '"@daily"', "theirs": '"[red]@hourly"'},
                    {"field": "spec.steps[name=load].image", "ours": '"etl:2"', "theirs": "••• 1a2b3c4d"},
                ],
                "ours": {"by": "kubectl-edit", "at": "2026-11-27T11:57:00Z"},
                "theirs": {"by": "Alice [b]\x1b[31m", "at": "2026-11-27T10:00:00Z", "commit": "1a2b3c4d5e6f7a8b9c0d"},
            }
        ],
        "invalid": [
            {"path": "pipelines/[red]bad[/].yaml", "reason": "NotYAML", "message": "line 2: \x1b[31mno\x1b[0m\nend"}
        ],
        "review": {"branch": "cluster-changes", "commit": "abcdefabcdefabcd"},
        "pullRequest": {"number": 7, "state": "open", "url": "https://git.example.com/acme/etl/pulls/7"},
        "pullRequests": [
            {
                "number": 9,
                "state": "failure",
                "description": "1 conflict with the cluster: [red]orders",
                "url": "https://git.example.com/acme/etl/pulls/9",
            }
        ],
    },
}
NEW: dict[str, Any] = {"metadata": {"namespace": "team", "name": "new"}, "spec": {"repositoryURL": "https://x/y"}}
OPERATION: dict[str, Any] = {
    "metadata": {"namespace": "data", "name": "pull-x7k2p"},
    "spec": {"kind": "pull", "pull": {"dryRun": True}},
    "status": {
        "phase": "Succeeded",
        "conditions": [
            condition("Succeeded", "True", "Succeeded", "dry run: 1 updated; do it with planDigest 0a1b2c3d")
        ],
        "changes": [
            {
                "kind": "Pipeline",
                "name": "users",
                "action": "update",
                "fields": ["spec.owner", "spec.schedule"],
                "path": "pipelines/[red]users[/].yaml",
            }
        ],
        "changesTruncated": True,
        "conflicts": TROUBLED["status"]["conflicts"],
        "history": [
            {
                "sha": "9f8e7d6c5b4a39281706",
                "message": "Users\x1b[31m go",
                "author": "Ada <ada@example.com>",
                "committedAt": "2026-11-26T12:00:00Z",
                "pipelinesTouched": ["a", "b", "c", "d", "e", "f"],
                "pipelinesTouchedCount": 40,
            }
        ],
    },
}
PLAN: dict[str, Any] = {
    "kind": "push",
    "operation": {
        "status": {
            "conditions": [
                condition("Succeeded", "True", "Succeeded", "dry run: 1 updated; do it with planDigest 0a1b")
            ]
        }
    },
    "changes": [
        {
            "kind": "Pipeline",
            "name": "orders",
            "path": "pipelines/orders.yaml",
            "action": "update",
            "fields": [
                {"field": "spec.owner", "old": '"ann"', "new": '"[red]bad[/]"'},
                {"field": "spec.retries", "new": "3"},
            ],
        },
        {"kind": "Pipeline", "name": "users", "path": "pipelines/users.yaml", "action": "delete"},
    ],
    "files": [
        {
            "path": "pipelines/orders.yaml",
            "patch": "diff --git a/pipelines/orders.yaml b/pipelines/orders.yaml\n--- a/pipelines/orders.yaml\n"
            "+++ b/pipelines/orders.yaml\n@@ -1 +1,2 @@\n-owner: ann\n+owner: '[red]bad[/]'\x1b[31m\n+retries: 3\n",
        },
        {"path": "pipelines/users.yaml", "linesAdded": 0, "linesRemoved": 9, "withheld": "longer than 64 KiB"},
    ],
}
SUSPENDED: dict[str, Any] = {
    "metadata": {"namespace": "data", "name": "analytics"},
    "spec": {"suspend": {"reason": "the [red]warehouse[/]\x1b[31m is moved", "until": "2026-12-24T18:00:00Z"}},
}
HELD: list[dict[str, Any]] = [
    {
        "digest": "1f0c3a5b7d9e",
        "reason": "DeletesHeld",
        "side": "cluster",
        "count": 120,
        "known": 121,
        "pipelines": [{"kind": "Pipeline", "name": "crm"}, {"kind": "Pipeline", "name": "[red]bad[/]"}],
        "truncated": True,
    },
    {
        "digest": "0a1b2c3d4e5f",
        "reason": "PrefixChanged",
        "side": "git",
        "count": 1,
        "known": 121,
        "pipelines": [{"kind": "Pipeline", "name": "fresh"}],
        "prefixBefore": "pipelines/",
        "prefix": "prod/",
    },
]
FOUND = [
    Finding("version", State.ok, "this command is 0.1.0"),
    Finding(
        "crds",
        State.bad,
        "gitintegrations.planasonix.com is of another release: it lacks spec.suspend",
        "kubectl apply --server-side -k manifests/",
    ),
    Finding(
        "rights",
        State.warn,
        "you may not patch gitintegrations.planasonix.com",
        "ask an administrator to run: kubectl -n data create rolebinding gitintegration-api-user --clusterrole=gitintegration-api-user --user=ann",
    ),
    Finding(
        "lease",
        State.unknown,
        "whether its Lease is held is not known",
        "ask an administrator to run: kubectl -n gitintegration-system get leases",
    ),
    Finding("repository", State.bad, "analytics: [red]the server[/] says\x1b[31m no"),
]
COMMIT: dict[str, Any] = {
    "sha": "1a2b3c4d5e6f7a8b9c0d1a2b3c4d5e6f7a8b9c0d",
    "message": "Orders are [red]hourly",
    "body": ["So that\x1b[31m nobody waits."],
    "author": "Ann <ann@example.com>",
    "committedAt": "2026-11-27T09:00:00Z",
}
MOVED: dict[str, Any] = {
    "changes": [{"kind": "Pipeline", "name": "users", "path": "pipelines/all.yaml", "patch": "--- a/Pipeline/users\n"}],
    "files": PLAN["files"][:1],
}
BY_ANN = {
    "by": "Ann",
    "at": "2026-11-27T09:00:00Z",
    "commit": "1a2b3c4d5e6f7a8b9c0d1a2b3c4d5e6f7a8b9c0d",
    "message": "Orders are hourly",
}
BY_EVE = {"by": "Eve [red]\x1b[31m", "at": "2026-11-20T09:00:00Z", "commit": "ffff3c4d5e6f7a8b9c0d"}
BLAMED: dict[str, Any] = {
    "branch": "main",
    "commit": "1a2b3c4d5e6f7a8b9c0d",
    "blame": {
        "kind": "Pipeline",
        "name": "orders",
        "path": "pipelines/orders.yaml",
        "line": 3,
        "inSync": False,
        "side": "cluster",
        "reason": "Mode",
        "ours": {"by": "kubectl-edit", "at": "2026-11-27T11:57:00Z"},
        "theirs": BY_ANN,
        "whole": False,
    },
}
FIELDS: list[dict[str, Any]] = [
    {"field": "metadata.name", "line": 5, "value": '"orders"', "theirs": BY_EVE},
    {"field": "spec.schedule", "line": 7, "value": '"@hourly"', "theirs": BY_ANN},
    {
        "field": "spec.steps[name=load].image",
        "line": 12,
        "value": '"registry.example.com/team/etl:1.2.3"',
        "theirs": BY_EVE,
        "differs": True,
        "live": '"registry.example.com/team/etl:1.2.4"',
        "ours": {"by": "kubectl-edit", "at": "2026-11-27T11:57:00Z"},
    },
    {"field": "spec.token", "line": 8, "value": "••• 1a2b3c4d"},
    {
        "field": "spec.retries",
        "differs": True,
        "live": "3",
        "ours": {
            "by": "kubectl-patch",
            "editors": ["ann@example.com", "[red]bob\x1b[31m"],
            "at": "2026-11-27T11:57:00Z",
        },
    },
]
SAME: dict[str, Any] = {**BLAMED, "blame": {"kind": "Pipeline", "name": "orders", "inSync": True, "theirs": BY_ANN}}
SETTLED: list[dict[str, Any]] = [
    {"pipeline": "orders", "take": "ours"},
    {"pipeline": "users", "field": "spec.schedule", "take": "theirs"},
    {"pipeline": "users", "field": "spec.steps[name=load].image", "value": "[red]etl:3\x1b[31m"},
    {"pipeline": "users", "field": "spec.owner", "take": "base"},
]
VIEWS = {
    "patches": Group(heading(PLAN), *patches(PLAN)),
    "fields": Group(heading(PLAN), field_view(PLAN)),
    "commit": Group(commit_heading(COMMIT, NOW), *commit_patches(MOVED)),
    "trace": trace_view(BLAMED, FIELDS, NOW),
    "trace of what is the same": trace_view(SAME, FIELDS[:2], NOW),
    "blame": blame_view(BLAMED, FIELDS, NOW),
    "overview": overview([WELL, TROUBLED, NEW], NOW),
    "well": detail(WELL, NOW),
    "troubled": detail(TROUBLED, NOW),
    "new": detail(NEW, NOW),
    "operation": operation_view(OPERATION, NOW),
    "suspended": suspension_view(SUSPENDED),
    "held": held_view(WELL, HELD),
    "held no more": confirmed_view(WELL, HELD, []),
    "held otherwise": confirmed_view(WELL, HELD[:1], HELD[1:]),
    "findings": findings_view(FOUND),
    "settled": settled_view(SETTLED),
    "conflict": conflict_view(TROUBLED["status"]["conflicts"][0], NOW),
}


def rendered() -> str:
    texts = []
    for width in (80, 140):
        for name, view in VIEWS.items():
            out = io.StringIO()
            show(view, out, width)
            assert all(len(line) <= width for line in out.getvalue().splitlines())
            texts.append(f"=== {name} at {width}\n{out.getvalue()}")
    return "".join(texts)


def test_views_are_as_agreed() -> None:
    """`GOLDEN=1 pytest` writes them anew."""
    if "GOLDEN" in os.environ:
        GOLDEN.write_text(rendered())
    assert rendered() == GOLDEN.read_text()


def test_patches_in_a_pipe_are_as_they_are() -> None:
    files = PLAN["files"]
    assert plain_patches(PLAN).splitlines(keepends=True) == [
        "push: dry run: 1 updated; do it with planDigest 0a1b\n",
        *files[0]["patch"].splitlines(keepends=True),
        "pipelines/users.yaml: +0 -9, not shown: longer than 64 KiB\n",
    ]


def test_what_others_wrote_is_shown_as_it_is() -> None:
    """No markup of theirs, and no escape that a terminal would obey."""
    assert "[red]bad[/]" in rendered()
    assert "\x1b" not in rendered()


@pytest.mark.parametrize(
    ("then", "words"),
    [
        (None, "never"),
        ("2026-11-27T12:00:00Z", "0s ago"),
        ("2026-11-27T11:59:01Z", "59s ago"),
        ("2026-11-27T11:00:00Z", "1h ago"),
        ("2026-11-20T11:00:00Z", "7d ago"),
        ("2026-11-27T12:00:30Z", "0s ago"),
    ],
)
def test_times(then: str | None, words: str) -> None:
    assert ago(then, NOW) == words


def test_only_what_is_still_looked_at_is_in_sync() -> None:
    assert is_in_sync(WELL, NOW)
    assert not is_in_sync(TROUBLED, NOW)
    assert not is_in_sync(NEW, NOW)
    assert not is_in_sync({**WELL, "spec": {**WELL["spec"], "enabled": False}}, NOW)
    assert not is_in_sync({**WELL, "spec": {**WELL["spec"], "suspend": {"reason": "moved"}}}, NOW)
    over = {"reason": "moved", "until": "2026-11-27T12:00:00Z"}
    assert is_in_sync({**WELL, "spec": {**WELL["spec"], "suspend": over}}, NOW)
