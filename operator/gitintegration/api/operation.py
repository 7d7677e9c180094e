"""GitOperation: one action, run once, like a Job."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from gitintegration.api import git_names
from gitintegration.api.base_model import Model
from gitintegration.api.integration import Credentials, Name
from gitintegration.api.integration_status import (
    Condition,
    ConflictStatus,
    GitAuthor,
    HistoryEntry,
    LiveAuthor,
    PullRequestStatus,
)

Sha = Annotated[str, Field(pattern="^[0-9a-f]{7,40}$", max_length=40)]
Branch = Annotated[str, Field(min_length=1, max_length=244), AfterValidator(git_names.check_branch)]
PipelineRef = Annotated[str, Field(min_length=1, max_length=253)]
Digest = Annotated[str, Field(min_length=1, max_length=64)]


class OperationKind(StrEnum):
    push = "push"
    pull = "pull"
    test = "test"
    history = "history"


class Phase(StrEnum):
    Pending = "Pending"
    Running = "Running"
    Succeeded = "Succeeded"
    Failed = "Failed"


class IntegrationRef(Model):
    """A GitIntegration in the operation's own namespace."""

    name: Name = Field(description="Name of a GitIntegration in the same namespace.")


class PullRequestSpec(Model):
    """How the pull request reads."""

    title: str | None = Field(None, min_length=1, max_length=255, description="Title. Default: made from the plan.")
    body: str | None = Field(None, max_length=65536, description="Text. Default: made from the plan.")
    draft: bool = Field(False, description="Open it as a draft, where the forge has them.")
    labels: list[Annotated[str, Field(min_length=1, max_length=255)]] | None = Field(
        None, max_length=32, description="Labels to set, where the forge has them."
    )


class PushOperation(Model):
    """Write pipelines of the cluster to a branch."""

    branch: Branch | None = Field(
        None,
        description="Branch to write to; made from the default branch's head where it does not exist. "
        "Default: the default branch.",
    )
    message: str | None = Field(
        None, min_length=1, max_length=65536, description="Commit message. Default: made from the plan."
    )
    pipelines: list[PipelineRef] | None = Field(
        None, min_length=1, max_length=10000, description="Ids or names. Absent: every pipeline that is ahead."
    )
    create_pull_request: bool = Field(
        False, description="Open, or update, one pull request from the branch to the default branch."
    )
    pull_request: PullRequestSpec | None = Field(None, description="How the pull request reads.")
    dry_run: bool = Field(False, description="Only tell what would be done, with its digest.")
    expected_remote_commit: Sha | None = Field(
        None, description="Fail with StaleRemote unless the branch is at this commit."
    )
    plan_digest: Digest | None = Field(
        None, description="Do exactly the plan of an earlier dry run, or fail with PlanStale."
    )


class Resolution(Model):
    """Settles the conflict of one pipeline, or of one field of it."""

    pipeline: PipelineRef = Field(description="Its id or name.")
    field: str | None = Field(
        None, min_length=1, max_length=1024, description="A field, as status.conflicts names it. Default: all of them."
    )
    take: Literal["ours", "theirs", "base"] | None = Field(
        None,
        description="The cluster's values (ours), the repository's (theirs), or what both were before (base; needs a field).",
    )
    value: Any = Field(
        None,
        description="The field's value on both sides, in place of `take`.",
        json_schema_extra={"x-kubernetes-preserve-unknown-fields": True},
    )

    @model_validator(mode="after")
    def _one_way(self) -> Resolution:
        if (self.take is None) == (self.value is None):
            raise ValueError("needs one of take and value")
        if self.field is None and self.take not in ("ours", "theirs"):
            raise ValueError("names no field: only ours and theirs settle a whole pipeline")
        return self


class PullOperation(Model):
    """Bring pipelines of a branch into the cluster."""

    branch: Branch | None = Field(None, description="Branch to read. Default: the default branch.")
    strategy: Literal["merge", "ours", "theirs"] = Field(
        "merge", description="Who wins where both sides changed one field: nobody, the cluster, or the repository."
    )
    pipelines: list[PipelineRef] | None = Field(None, max_length=10000, description="Ids or names. Absent: all.")
    resolutions: list[Resolution] | None = Field(None, max_length=1000, description="Settles named conflicts.")
    dry_run: bool = Field(False, description="Only tell what would be done, with its digest.")
    expected_remote_commit: Sha | None = Field(
        None, description="Fail with StaleRemote unless the branch is at this commit."
    )
    plan_digest: Digest | None = Field(
        None, description="Do exactly the plan of an earlier dry run, or fail with PlanStale."
    )
    revision: Sha | None = Field(None, description="Restore the named pipelines as they stood at this commit.")


class TestOperation(Model):
    """Look whether a repository can be reached, read and written. Changes nothing there."""

    __test__ = False  # not a test, whatever pytest makes of its name

    repository_url: str | None = Field(
        None,
        alias="repositoryURL",
        min_length=1,
        max_length=2048,
        description="Address to try. Default: the integration's own.",
    )
    credentials: Credentials | None = Field(None, description="How to log in. Default: as the integration does.")


class HistoryOperation(Model):
    """Tell which commits touched pipelines."""

    branch: Branch | None = Field(None, description="Branch to read. Default: the default branch.")
    path: str | None = Field(
        None, max_length=512, description="Only commits that touched this file or folder. Default: the prefix."
    )
    limit: int = Field(30, ge=1, le=500, description="So many commits at most.")
    revision: Sha | None = Field(
        None,
        description="This commit of the branch alone, with what it changed in pipelines: values and patches, in status.plan.",
    )
    blame: PipelineRef | None = Field(
        None,
        description="In place of commits, where each field of this pipeline (KIND/NAME, or an id or name) comes from: in status.blame and "
        "status.plan. By the default branch; `limit` versions of its file are looked at.",
    )

    @model_validator(mode="after")
    def _one_question(self) -> HistoryOperation:
        if self.blame is not None and (self.revision, self.path, self.branch) != (None, None, None):
            raise ValueError("blame is of the default branch: name neither revision nor path nor branch beside it")
        return self


class GitOperationSpec(Model):
    """What to do. Can't be changed."""

    integration_ref: IntegrationRef = Field(description="The GitIntegration to act for.")
    kind: OperationKind = Field(description="What to do; the block of the same name says how.")
    push: PushOperation | None = Field(None, description="For kind push.")
    pull: PullOperation | None = Field(None, description="For kind pull.")
    test: TestOperation | None = Field(None, description="For kind test.")
    history: HistoryOperation | None = Field(None, description="For kind history.")
    force: bool = Field(
        False,
        description="Push or pull though the integration is suspended; without, such an operation fails with Suspended.",
    )
    ttl_seconds_after_finished: int | None = Field(
        None,
        ge=0,
        le=31_536_000,
        description="Delete the operation so many seconds after it has ended. Absent: keep it.",
    )


class Progress(Model):
    """How far it is."""

    done: int = Field(description="Pipelines dealt with.")
    total: int = Field(description="Pipelines to deal with.")


class Counts(Model):
    """What was done, or with dryRun would be, by number of pipelines."""

    created: int | None = Field(None, description="Made where they were not.")
    updated: int | None = Field(None, description="Changed.")
    deleted: int | None = Field(None, description="Removed.")
    unchanged: int | None = Field(None, description="The same already.")
    merged: int | None = Field(None, description="Changed on both sides, in different fields; among the updated.")
    conflicted: int | None = Field(None, description="Left alone, in conflict.")
    invalid: int | None = Field(None, description="Left alone, invalid.")


class ChangeStatus(Model):
    """What is done with one pipeline."""

    kind: str | None = Field(None, description="Kind of the pipeline.")
    name: str | None = Field(None, description="Its name.")
    id: str | None = Field(None, description="Its planasonix.com/pipeline-id, else its name.")
    path: str | None = Field(None, description="Its file.")
    action: Literal["create", "update", "delete"] | None = Field(None, description="What is done.")
    fields: list[str] | None = Field(None, description="The fields that change.")
    lines_added: int | None = Field(None, description="Lines that its file gets; for a pull, its object as YAML.")
    lines_removed: int | None = Field(None, description="Lines that its file loses; for a pull, its object as YAML.")


class PlanStatus(Model):
    """Where the plan is told with values and lines: in GitOperationPlans of the namespace, that go with the operation."""

    name: str | None = Field(None, description="Of its pages: NAME-1, NAME-2 and so on.")
    pages: int | None = Field(None, description="How many there are.")
    changes: int | None = Field(None, description="How many changes they tell.")
    truncated: bool | None = Field(None, description="Not all is told: the lines or the last changes are left out.")


class FieldChange(Model):
    """A field as it was and as it will be, as JSON of 200 characters at most; absent: it is not there."""

    field: str = Field(max_length=1024, description="The field.")
    old: str | None = Field(None, max_length=1024, description="What it was.")
    new: str | None = Field(None, max_length=1024, description="What it will be.")


class PlannedChange(Model):
    """What becomes of one pipeline."""

    kind: str | None = Field(None, description="Kind of the pipeline.")
    name: str | None = Field(None, description="Its name.")
    id: str | None = Field(None, description="Its planasonix.com/pipeline-id, else its name.")
    path: str | None = Field(None, description="Its file.")
    action: Literal["create", "update", "delete"] | None = Field(None, description="What is done.")
    fields: list[FieldChange] | None = Field(None, max_length=500, description="The fields that change, with values.")
    fields_truncated: bool | None = Field(None, description="There are more than 500.")
    lines_added: int | None = Field(None, description="Lines that its file gets; for a pull, its object as YAML.")
    lines_removed: int | None = Field(None, description="Lines that its file loses; for a pull, its object as YAML.")
    patch: str | None = Field(
        None,
        max_length=100_000,
        description="For a pull, and where that of its file is withheld: the object before and after, as a unified patch of YAML.",
    )
    withheld: str | None = Field(None, max_length=1024, description="Why there is no patch.")


class PlannedFile(Model):
    """What becomes of one file; for a push, and of a commit that is shown."""

    path: str = Field(max_length=4096, description="Where it lies.")
    lines_added: int | None = Field(None, description="Lines that it gets.")
    lines_removed: int | None = Field(None, description="Lines that it loses.")
    patch: str | None = Field(
        None, max_length=100_000, description="What is committed, as a unified patch that git apply takes."
    )
    withheld: str | None = Field(None, max_length=1024, description="Why there is no patch.")


class CommitAuthor(GitAuthor):
    """The same, with what the commit says."""

    message: str | None = Field(None, description="The first line of its message.")


class BlamedField(Model):
    """A field of a pipeline, and where its value comes from. Values are JSON of 200 characters at most."""

    field: str = Field(max_length=1024, description="The field.")
    line: int | None = Field(None, description="Where it stands in its file.")
    value: str | None = Field(None, max_length=1024, description="What git holds; absent: nothing.")
    theirs: CommitAuthor | None = Field(
        None, description="The commit that gave it that value; absent where it lies further back than was looked."
    )
    differs: bool | None = Field(None, description="The cluster holds something else.")
    live: str | None = Field(None, max_length=1024, description="What that is; absent: nothing.")
    ours: LiveAuthor | None = Field(None, description="Who edited that, where it is known.")


class BlameStatus(Model):
    """A pipeline: where it lies, how it stands, and who edited it last."""

    kind: str | None = Field(None, description="Kind of the pipeline.")
    name: str | None = Field(None, description="Its name.")
    id: str | None = Field(None, description="Its planasonix.com/pipeline-id, else its name.")
    path: str | None = Field(None, description="Its file.")
    line: int | None = Field(None, description="Where its manifest begins there.")
    in_sync: bool | None = Field(None, description="Both sides are the same.")
    side: str | None = Field(None, description="Which side is ahead: cluster, git, or both.")
    reason: str | None = Field(None, description="Why it is not the same, as in status.ahead of the GitIntegration.")
    message: str | None = Field(None, description="The same in words, where there is more to say.")
    ours: LiveAuthor | None = Field(None, description="Who edited the object last, beside the operator.")
    theirs: CommitAuthor | None = Field(None, description="The commit that changed its manifest last.")
    fields: int | None = Field(None, description="How many fields the plan tells.")
    whole: bool | None = Field(
        None, description="False: of some fields it was not found out, their values are older than what was looked at."
    )


class GitOperationPlanSpec(Model):
    """A page of what an operation does, or with dryRun would do, with values. Written by the operator alone."""

    operation: str = Field(max_length=253, description="The GitOperation.")
    page: int = Field(ge=1, description="From 1 on.")
    changes: list[PlannedChange] | None = Field(None, description="Changes, in no order.")
    files: list[PlannedFile] | None = Field(
        None, description="For a push or a commit: the files of these and other changes."
    )
    fields: list[BlamedField] | None = Field(None, description="Of a pipeline that is asked after with blame.")


class TestResult(Model):
    """How the repository was met."""

    __test__ = False

    reachable: bool | None = Field(None, description="Whether it answered.")
    permissions: list[str] | None = Field(None, max_length=8, description="What the credentials may do: read, write.")
    default_branch: str | None = Field(None, description="What the remote's HEAD points to.")
    latency_ms: int | None = Field(None, description="Milliseconds of one round trip.")
    operator_version: str | None = Field(None, description="Version of the operator that tried it.")


class GitOperationStatus(Model):
    """How it went, written by the operator."""

    observed_generation: int = Field(-1, description="Generation of the spec that was acted on; -1 before.")
    phase: Phase | None = Field(None, description="Pending, Running, Succeeded or Failed.")
    started_at: str | None = Field(None, description="When it began.", json_schema_extra={"format": "date-time"})
    finished_at: str | None = Field(None, description="When it ended.", json_schema_extra={"format": "date-time"})
    progress: Progress | None = Field(None, description="How far it is.")
    branch: str | None = Field(None, description="The branch written to or read.")
    base_commit: str | None = Field(None, description="The branch's head when it was planned; empty for none.")
    commit: str | None = Field(None, description="The commit that was pushed, or pulled.")
    pull_request: PullRequestStatus | None = Field(None, description="The pull request.")
    counts: Counts | None = Field(None, description="What was done, by number of pipelines.")
    changes: list[ChangeStatus] | None = Field(None, description="What was done, at most 200.")
    changes_truncated: bool | None = Field(None, description="There are more than 200 changes.")
    conflicts: list[ConflictStatus] | None = Field(None, description="What was left alone in conflict, at most 50.")
    conflicts_truncated: bool | None = Field(None, description="There are more than 50 conflicts.")
    lossy: list[str] | None = Field(
        None, max_length=50, description="Files that lost a comment or a line beside those edited, at most 50."
    )
    plan_digest: str | None = Field(None, description="Names exactly this plan.")
    plan: PlanStatus | None = Field(None, description="Where the plan is told with values.")
    test: TestResult | None = Field(None, description="How the repository was met.")
    history: list[HistoryEntry] | None = Field(None, max_length=500, description="The commits, newest first.")
    blame: BlameStatus | None = Field(None, description="The pipeline that was asked after.")
    conditions: list[Condition] | None = Field(
        None,
        description="Succeeded and Ready: True, False, or Unknown until it has ended; Reconciling, Stalled and Failed while they are true.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
