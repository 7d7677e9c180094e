"""GitIntegration: what its users read back, and GitOperations too."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gitintegration.api.base_model import Model


class Condition(Model):
    """As in every Kubernetes API."""

    type: str = Field(
        max_length=316, description="Ready, Reconciling, Stalled; Connected, InSync; of an operation Succeeded, Failed."
    )
    status: Literal["True", "False", "Unknown"] = Field(description="Whether it holds.")
    reason: str = Field(max_length=1024, description="Why, in one word.")
    message: str = Field(max_length=32768, description="Why, and what to do.")
    observed_generation: int | None = Field(None, description="Generation of the spec that this speaks of.")
    last_transition_time: str = Field(
        description="When status last changed.", json_schema_extra={"format": "date-time"}
    )


class Connection(Model):
    """How the git server was met last."""

    reachable: bool | None = Field(None, description="Whether it answered.")
    permissions: list[str] | None = Field(None, max_length=8, description="What the credentials may do: read, write.")
    default_branch: str | None = Field(None, description="What the remote's HEAD points to.")
    latency_ms: int | None = Field(None, description="Milliseconds of one round trip.")
    checked_at: str | None = Field(None, description="When.", json_schema_extra={"format": "date-time"})


class ConflictValues(Model):
    """What was agreed on of a field in conflict, and what each side holds now: JSON, of 200 characters at most."""

    field: str | None = Field(None, description="The field.")
    base: str | None = Field(None, description="Its value when both sides were the same; absent: it had none.")
    ours: str | None = Field(None, description="Its value in the cluster; absent: it has none.")
    theirs: str | None = Field(None, description="Its value in git; absent: it has none.")


class LiveAuthor(Model):
    """Who edited a field in the cluster, as far as that is known."""

    by: str | None = Field(
        None,
        description="The person, where edits are stamped (manifests/authors) and only that one edited the object since git had it; "
        "else the field manager, kubectl-edit say.",
    )
    editors: list[str] | None = Field(
        None,
        description="Where by is no person: who is known to have edited the object since git had it, in that order. Whose of them the field "
        "is nobody can say, and edits that were not seen may be others'.",
    )
    at: str | None = Field(
        None,
        description="When that field manager wrote last: the API server keeps no time of single fields.",
        json_schema_extra={"format": "date-time"},
    )


class GitAuthor(Model):
    """Whose commit gave a field its value in git."""

    by: str | None = Field(None, description="The author's name.")
    at: str | None = Field(None, description="When it was committed.", json_schema_extra={"format": "date-time"})
    commit: str | None = Field(None, description="The commit.")


class ConflictStatus(Model):
    """A pipeline that both sides changed; neither side is written until it is settled."""

    kind: str | None = Field(None, description="Kind of the pipeline.")
    name: str | None = Field(None, description="Its name.")
    id: str | None = Field(None, description="Its planasonix.com/pipeline-id, else its name.")
    path: str | None = Field(None, description="Its file.")
    fields: list[str] | None = Field(None, description="The fields that disagree.")
    reason: str | None = Field(None, description="BothModified, BothCreated, DeletedInGit or DeletedInCluster.")
    values: list[ConflictValues] | None = Field(
        None, description="What they hold of the first of these fields; of many, or long ones, some are left out."
    )
    ours: LiveAuthor | None = Field(
        None, description="Who made the cluster's change; absent where that is not known. Of several, the last."
    )
    theirs: GitAuthor | None = Field(
        None, description="Who made git's change; absent where it lies too far back. Of several, the last."
    )


class AheadStatus(Model):
    """A pipeline that one side holds otherwise than the other, and why."""

    kind: str | None = Field(None, description="Kind of the pipeline.")
    name: str | None = Field(None, description="Its name.")
    id: str | None = Field(None, description="Its planasonix.com/pipeline-id, else its name.")
    side: str | None = Field(None, description="Which side is ahead: cluster, git, or both.")
    path: str | None = Field(None, description="Its file, where it has one.")
    reason: str | None = Field(
        None,
        description="Pending: the next sync carries it. Mode, Review, NotPruned: the spec does not let it. Conflict, Held, Contested, Refused, "
        "Unreadable, KindUnavailable, Overlap: the conditions, conflicts and invalid tell more. Controlled (a controller owns it), NotSelected "
        "(spec.resources[].labelSelector), Ignored (spec.ignore, .gitintegrationignore): it is not carried, and not counted as ahead.",
    )


class InvalidStatus(Model):
    """A manifest that was left alone, and why."""

    path: str | None = Field(None, description="Its file.")
    reason: str | None = Field(None, description="Why, in one word.")
    message: str | None = Field(None, description="Why, and what to do.")


class HeldPipeline(Model):
    """A pipeline that a held change is about."""

    kind: str | None = Field(None, description="Its kind.")
    name: str | None = Field(None, description="Its name.")


class HeldStatus(Model):
    """Deletes, or copies to another prefix, that wait until a person confirms them."""

    digest: str | None = Field(
        None, description="Names exactly these; planasonix.com/confirmDeletes with it releases them and no others."
    )
    reason: str | None = Field(None, description="DeletesHeld or PrefixChanged.")
    side: str | None = Field(None, description="Where they would be carried out: cluster or git.")
    count: int | None = Field(None, description="How many there are.")
    known: int | None = Field(None, description="Of so many pipelines that are known.")
    pipelines: list[HeldPipeline] | None = Field(None, description="Which, at most 50.")
    truncated: bool | None = Field(None, description="There are more than are listed.")
    prefix_before: str | None = Field(None, description="Of PrefixChanged: the prefix that they stay below.")
    prefix: str | None = Field(None, description="Of PrefixChanged: the one that they would be copied to.")


class HistoryEntry(Model):
    """A commit that touched the prefix."""

    sha: str | None = Field(None, description="The commit.")
    message: str | None = Field(None, description="Its message.")
    body: list[str] | None = Field(
        None, description="The further lines of its message, where this commit alone was asked for; at most 64."
    )
    author: str | None = Field(None, description="Name and mail address.")
    committed_at: str | None = Field(None, description="When.", json_schema_extra={"format": "date-time"})
    pipelines_touched: list[str] | None = Field(
        None,
        description="Ids of the pipelines it touched: at most 20 in a GitIntegration, in a GitOperation all that fit.",
    )
    pipelines_touched_count: int | None = Field(None, description="How many pipelines it touched.")


class ActiveOperation(Model):
    """A GitOperation that runs now."""

    id: str | None = Field(None, description="Its name.")
    kind: str | None = Field(None, description="What it does.")
    status: str | None = Field(None, description="running.")
    started_at: str | None = Field(None, description="When it began.", json_schema_extra={"format": "date-time"})


class PullRequestStatus(Model):
    """The pull request, as the forge told it last."""

    number: int | None = Field(None, description="Its number at the forge.")
    url: str | None = Field(None, description="Its page.")
    state: Literal["open", "merged", "closed"] | None = Field(None, description="What became of it.")


class ReviewStatus(Model):
    """The branch that changes are offered on."""

    branch: str | None = Field(None, description="Its name.")
    commit: str | None = Field(None, description="Its head, as the operator left it; absent where it is not there.")
    follows: bool | None = Field(
        None,
        description="False: it can't be made to follow the default branch, which changed a file that reviewers edited "
        "here; merge the default branch into it by hand.",
    )


class WebhookStatus(Model):
    """The hook, and what came by it."""

    path: str | None = Field(None, description="Where the receiver takes its deliveries.")
    url: str | None = Field(None, description="The same with the receiver's address, where that is known.")
    registered: bool | None = Field(None, description="Whether the operator entered it at the forge.")
    id: str | None = Field(None, description="Its id there.")
    secret_version: str | None = Field(
        None, description="resourceVersion of the Secret whose token the forge was given."
    )
    rotated_at: str | None = Field(
        None, description="When the forge was given it.", json_schema_extra={"format": "date-time"}
    )
    last_event_at: str | None = Field(
        None,
        description="When a delivery last asked to look, as of the last sync.",
        json_schema_extra={"format": "date-time"},
    )
    last_delivery: str | None = Field(None, description="The forge's own id of that delivery.")


class CheckStatus(Model):
    """A pull request, and what its check was told to say last."""

    number: int | None = Field(None, description="Its number at the forge.")
    url: str | None = Field(None, description="Its page.")
    head: str | None = Field(
        None, description="The commit that it would bring; once it is merged, the one that it was merged as."
    )
    base: str | None = Field(None, description="The branch's commit that this was found against first.")
    state: Literal["pending", "success", "failure", "error"] | None = Field(None, description="Of the commit status.")
    description: str | None = Field(None, description="Its words.")
    checked_at: str | None = Field(
        None, description="When this was found first.", json_schema_extra={"format": "date-time"}
    )
    merged: bool | None = Field(None, description="Whether it is merged, and not live yet.")
    comment: str | None = Field(None, description="Id of the comment.")
    digest: str | None = Field(None, description="Names what the forge was told last, so that it is not told again.")


class SigningKeyStatus(Model):
    """What commits are signed with."""

    type: str | None = Field(None, description="ssh or openpgp.")
    fingerprint: str | None = Field(None, description="As ssh-keygen -l tells it; with OpenPGP the primary key's.")
    public_key: str | None = Field(None, description="What the forge is given as a signing key.")


class VerifiedStatus(Model):
    """The last commit that was verified."""

    commit: str | None = Field(None, description="The commit.")
    author: str | None = Field(None, description="Its author.")
    key: str | None = Field(None, description="Fingerprint of the key that signed it.")
    signer: str | None = Field(None, description="Whose key that is, as allowed_signers or the OpenPGP key has it.")


class GitIntegrationStatus(Model):
    """What was found, written by the operator."""

    observed_generation: int = Field(
        -1, description="Generation of the spec that was looked at last; -1 until the first sync has ended."
    )
    conditions: list[Condition] | None = Field(
        None,
        description="Ready; Reconciling and Stalled while they are true; Connected; InSync; WebhookConfigured with spec.webhook; "
        "PullRequestsChecked with spec.pullRequests; Verified with spec.verify.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
    connection: Connection | None = Field(None, description="How the git server was met last.")
    branch: str | None = Field(
        None, description="Branch that is synced with: spec.defaultBranch, else the remote's own."
    )
    in_sync: bool | None = Field(
        None, description="Both sides are the same. Absent where a side could not be seen at the last look."
    )
    pipeline_count: int | None = Field(None, description="Pipelines known on either side.")
    local_ahead_count: int | None = Field(None, description="Pipelines changed in the cluster and not yet in git.")
    remote_ahead_count: int | None = Field(None, description="Pipelines changed in git and not yet in the cluster.")
    ahead: list[AheadStatus] | None = Field(
        None, description="What is ahead, and then what is not carried and why, at most 50."
    )
    ahead_truncated: bool | None = Field(None, description="There are more than 50.")
    conflict_count: int | None = Field(None, description="Pipelines that both sides changed in the same field.")
    conflicts: list[ConflictStatus] | None = Field(None, description="The conflicts, at most 50.")
    conflicts_truncated: bool | None = Field(None, description="There are more than 50 conflicts.")
    invalid: list[InvalidStatus] | None = Field(None, description="Manifests that were left alone, at most 50.")
    invalid_truncated: bool | None = Field(None, description="There are more than 50 invalid manifests.")
    held: list[HeldStatus] | None = Field(
        None, description="What waits for confirmation: the annotation planasonix.com/confirmDeletes with its digest."
    )
    active_operation: ActiveOperation | None = Field(None, description="The GitOperation that runs now.")
    review: ReviewStatus | None = Field(
        None, description="The branch that changes are offered on, where spec.sync.push.branch names one."
    )
    pull_request: PullRequestStatus | None = Field(
        None, description="The pull request of that branch, with spec.sync.push.createPullRequest."
    )
    pull_requests: list[CheckStatus] | None = Field(
        None, description="Open pull requests that are checked, with spec.pullRequests; the newest 20."
    )
    pull_requests_told: list[str] | None = Field(
        None,
        description="Of others, what their forge was told, as number, commit, digests and comment; it is for the operator alone.",
    )
    signing_key: SigningKeyStatus | None = Field(
        None, description="The key that commits are signed with, with spec.commit.signingSecretRef."
    )
    verified: VerifiedStatus | None = Field(None, description="The last commit that was verified, with spec.verify.")
    remote_commit: str | None = Field(None, description="The branch's head when last looked at.")
    last_synced_commit: str | None = Field(None, description="The commit at which both sides last agreed.")
    last_sync_at: str | None = Field(
        None,
        description="Last sync that saw both sides; refreshed at most every 10 minutes while nothing else changes.",
        json_schema_extra={"format": "date-time"},
    )
    last_successful_sync_at: str | None = Field(
        None, description="Last sync without an error.", json_schema_extra={"format": "date-time"}
    )
    last_handled_reconcile_at: str | None = Field(
        None, description="Echo of the annotation planasonix.com/requestedAt."
    )
    webhook_path: str | None = Field(None, description="Path of the hook at the receiver, with spec.webhook.")
    webhook: WebhookStatus | None = Field(None, description="The hook, and what came by it.")
    history: list[HistoryEntry] | None = Field(None, description="Newest commits that touched the prefix.")
    observed_memory: str | None = Field(
        None,
        description="Digest of what both sides agreed on. A process that starts reads what git holds only where it is another, "
        "or something moved since.",
    )
    observed_branch: str | None = Field(None, description="Branch that the sync memory belongs to.")
    observed_source: str | None = Field(
        None, description="Digest of repository, branch and prefix that the sync memory belongs to."
    )
    observed_selection: str | None = Field(
        None, description="Digest of the kinds and labels that all pipelines were looked at for."
    )
    observed_definitions: dict[str, str] | None = Field(
        None, description="UID of each kind's CustomResourceDefinition that what both sides agreed on belongs to."
    )
    observed_prefix: str | None = Field(
        None,
        description="Prefix that pipelines were last written below; another in the spec asks before it copies them.",
    )
