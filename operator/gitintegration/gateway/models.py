"""Bodies of the REST API, field by field as it is documented. Unknown fields are refused."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator
from pydantic_core import PydanticCustomError

from gitintegration.api import git_names

_SUBDOMAIN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
"""Of a DNS name, as Kubernetes has it."""
Text = Annotated[str, Field(min_length=1, max_length=2048)]
Credential = Annotated[SecretStr, Field(min_length=1, max_length=65536)]
SecretName = Annotated[str, Field(min_length=1, max_length=253, pattern=_SUBDOMAIN)]
Ids = Annotated[list[Annotated[str, Field(min_length=1, max_length=253)]], Field(min_length=1, max_length=10_000)]
Branch = Annotated[str, Field(min_length=1, max_length=244), AfterValidator(git_names.check_branch)]
Provider = Literal["generic", "github", "gitlab", "gitea", "bitbucket", "azuredevops"]


FIELDS = "fields"
"""The error of several fields that don't go together."""


def _together(words: str, *names: str) -> PydanticCustomError:
    """These fields of an object are wrong, all for one reason."""
    return PydanticCustomError(FIELDS, "{words}", {"words": words, "names": names})


class Body(BaseModel):
    """Types are what JSON says they are: the text "false" is no boolean."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, strict=True)


class Credentials(Body):
    """How to log in to the git server. What is given is stored in a Secret, and never told again."""

    type: Literal["token", "basic", "ssh", "github_app"] = Field(description="Which of the fields below are used.")
    token: Credential | None = Field(None, description="For type token.")
    username: Text | None = Field(None, description="For type basic; with type token, where the server wants one.")
    password: Credential | None = Field(None, description="For type basic.")
    private_key: Credential | None = Field(None, description="For type ssh: a PEM or OpenSSH private key.")
    passphrase: Credential | None = Field(None, description="For type ssh: of an encrypted key.")
    known_hosts: Annotated[str, Field(min_length=1, max_length=65536)] | None = Field(
        None, description="For type ssh: the server's host keys; an unknown one is refused."
    )

    installation_id: Annotated[str, Field(pattern="^[0-9]+$", max_length=32)] | None = Field(
        None, description="For type github_app: the App's installation."
    )
    app_id: Annotated[str, Field(pattern="^[0-9A-Za-z.]+$", max_length=64)] | None = Field(
        None, description="For type github_app, with its private_key; without them, the App of this service is used."
    )

    @model_validator(mode="after")
    def _complete(self) -> Credentials:
        needed = {
            "token": ["token"],
            "basic": ["username", "password"],
            "ssh": ["private_key", "known_hosts"],
            "github_app": ["installation_id", *(["private_key"] if self.app_id else [])],
        }[self.type]
        if missing := [name for name in needed if getattr(self, name) is None]:
            raise _together(f"is required with type {self.type}", *missing)
        return self

    @property
    def needs_shared_app(self) -> bool:
        """Only an installation is named: of the App whose key lies in the Secret that the service is set up with."""
        return self.type == "github_app" and self.app_id is None

    def spec(self, secret_name: str) -> dict[str, Any]:
        """How a GitIntegration names it."""
        kind = {"github_app": "githubApp"}.get(self.type, self.type)
        made: dict[str, Any] = {"type": kind, "secretRef": {"name": secret_name}}
        return {**made, **({"installationID": self.installation_id} if self.installation_id else {})}

    def secret(self) -> dict[str, str]:
        """The keys of a Secret as the operator reads it."""
        keys: dict[str, SecretStr | str | None] = {
            "token": self.token,
            "username": self.username,
            "password": self.password or self.passphrase,
            "identity": self.private_key,
            "known_hosts": self.known_hosts,
        }
        if self.type == "github_app":
            keys = {"githubAppID": self.app_id, "githubAppPrivateKey": self.private_key}
        shown = {k: v.get_secret_value() if isinstance(v, SecretStr) else v for k, v in keys.items()}
        return {k: v for k, v in shown.items() if v is not None}


class ConfigBody(Body):
    """What to sync with. What is left out keeps its value, or its default where there is none yet."""

    enabled: bool | None = Field(
        None, description="False suspends all syncing; true ends a suspension, however it began."
    )
    provider: Provider | None = Field(None, description="What serves the repository.")
    repository_url: Text | None = Field(None, description="Address to clone from, without a credential.")
    default_branch: Branch | None = Field(None, description="Branch.")
    path_prefix: Annotated[str, Field(max_length=512), AfterValidator(git_names.check_prefix)] | None = Field(
        None, description="Folder of the manifests."
    )
    sync_mode: Literal["manual", "pull", "push", "bidirectional"] | None = Field(
        None,
        description="What is carried without being asked for by push and pull. Manual, so nothing, where an integration is "
        "made and this is left out.",
    )
    credentials: Credentials | None = Field(None, description="How to log in.")
    ssh_key_id: SecretName | None = Field(None, description="Name of a Secret that is there already.")
    author_name: Annotated[str, Field(min_length=1, max_length=128), AfterValidator(git_names.check_ident)] | None = (
        Field(None, description="Commits' author.")
    )
    author_email: Annotated[str, Field(min_length=1, max_length=254), AfterValidator(git_names.check_ident)] | None = (
        Field(None, description="His address.")
    )

    @model_validator(mode="after")
    def _one_login(self) -> ConfigBody:
        if self.credentials and self.ssh_key_id:
            raise _together("credentials and ssh_key_id exclude each other", "credentials", "ssh_key_id")
        return self

    def spec(self, *, new: bool) -> dict[str, Any]:
        """The fields of a GitIntegration's spec that it sets; None takes one away."""
        mode = self.sync_mode or ("manual" if new else None)
        author = {"name": self.author_name, "email": self.author_email}
        made: dict[str, Any] = {
            "enabled": self.enabled,
            "provider": self.provider,
            "repositoryURL": self.repository_url,
            "defaultBranch": self.default_branch,
            "pathPrefix": self.path_prefix,
            "sync": {"mode": mode.capitalize()} if mode else None,
            "author": {k: v for k, v in author.items() if v is not None} or None,
        }
        resumed = {"suspend": None} if self.enabled and not new else {}
        return {k: v for k, v in made.items() if v is not None} | resumed


class PushBody(Body):
    """Write pipelines to a branch."""

    branch: Branch | None = Field(None, description="Default: the default branch.")
    message: Annotated[str, Field(min_length=1, max_length=65536)] | None = Field(None, description="Commit message.")
    pipeline_ids: Ids | None = Field(None, description="Which; all that are ahead where it is left out.")
    create_pull_request: bool = Field(False, description="Open, or update, one pull request to the default branch.")
    pr_title: Annotated[str, Field(min_length=1, max_length=255)] | None = Field(None, description="Its title.")
    pr_body: Annotated[str, Field(max_length=65536)] | None = Field(None, description="Its text.")
    dry_run: bool = Field(False, description="Only tell what would be done.")
    force: bool = Field(False, description="Also where the integration is disabled.")

    @model_validator(mode="after")
    def _whole(self) -> PushBody:
        given = [name for name in ("pr_title", "pr_body") if getattr(self, name) is not None]
        if given and not self.create_pull_request:
            raise _together("goes with create_pull_request: true", *given)
        return self


class ResolutionBody(Body):
    """Settles the conflict of one pipeline, or of one field of it."""

    pipeline_id: Annotated[str, Field(min_length=1, max_length=253)] = Field(description="Which.")
    field: Annotated[str, Field(min_length=1, max_length=1024)] | None = Field(
        None, description="As conflicts name it; all of them where it is left out."
    )
    take: Literal["ours", "theirs", "base"] | None = Field(
        None, description="The cluster's values, the repository's, or what both were before (of a field)."
    )
    value: Any = Field(None, description="The field's value, in place of take.")

    @model_validator(mode="after")
    def _one_way(self) -> ResolutionBody:
        if (self.take is None) == (self.value is None):
            raise _together("needs one of take and value", "take", "value")
        if self.field is None and self.take not in ("ours", "theirs"):
            raise _together("is required: only ours and theirs settle a whole pipeline", "field")
        return self

    def spec(self) -> dict[str, Any]:
        """A resolution of a GitOperation."""
        made = {"pipeline": self.pipeline_id, "field": self.field, "take": self.take, "value": self.value}
        return {k: v for k, v in made.items() if v is not None}


class PullBody(Body):
    """Bring pipelines of a branch into the cluster."""

    branch: Branch | None = Field(None, description="Default: the default branch.")
    strategy: Literal["merge", "ours", "theirs"] = Field("merge", description="Who wins a conflict.")
    pipeline_ids: Ids | None = Field(None, description="Which; all where it is left out.")
    resolutions: Annotated[list[ResolutionBody], Field(max_length=1000)] | None = Field(
        None, description="Settle named conflicts."
    )
    dry_run: bool = Field(False, description="Only tell what would be done.")
    force: bool = Field(False, description="Also where the integration is disabled.")


class TestBody(Body):
    """What to try; the saved integration where it is left out."""

    __test__ = False

    repository_url: Text | None = Field(None, description="Address to try.")
    credentials: Credentials | None = Field(None, description="How to log in; needs repository_url.")

    @model_validator(mode="after")
    def _together(self) -> TestBody:
        if self.credentials and not self.repository_url:
            raise _together("is required with credentials; leave both out to test what is saved", "repository_url")
        return self


# --- answers --------------------------------------------------------------------------------------------------------


class Error(BaseModel):
    """Why something is not as it should be."""

    code: str
    message: str


class Config(BaseModel):
    enabled: bool
    provider: str | None = None
    repository_url: str | None
    default_branch: str | None
    path_prefix: str | None = None
    ssh_key_id: str | None = None
    author_name: str | None = None
    author_email: str | None = None
    last_sync_at: str | None = None
    deleting: Literal[True] | None = Field(None, description="There while the integration is being removed.")


class Deleting(BaseModel):
    """It is not gone yet; GET tells when."""

    status: Literal["deleting"] = "deleting"


class NotConfigured(BaseModel):
    enabled: Literal[False] = False
    repository_url: None = None
    default_branch: None = None


class Saved(BaseModel):
    enabled: bool
    provider: str
    repository_url: str
    default_branch: str | None
    path_prefix: str
    updated_at: str


class Accepted(BaseModel):
    operation_id: str
    status: str
    branch: str | None


class ActiveOperation(BaseModel):
    id: str
    kind: str
    status: str
    started_at: str


class ConflictValue(BaseModel):
    """What was agreed on of a field, and what the cluster (ours) and git (theirs) hold, as JSON; null: nothing."""

    field: str | None
    base: str | None
    ours: str | None
    theirs: str | None


class LiveAuthor(BaseModel):
    """Who made the cluster's change: the person where that is known, else the field manager, and when that wrote last."""

    by: str | None = None
    editors: list[str] | None = Field(
        None, description="There where by is no person: who edited it, one of whom it may have been."
    )
    at: str | None = None


class GitAuthor(BaseModel):
    """Whose commit made git's change, and when."""

    by: str | None = None
    at: str | None = None
    commit: str


class ConflictEntry(BaseModel):
    pipeline_id: str | None
    name: str | None
    path: str | None
    fields: list[str]
    reason: str | None
    values: list[ConflictValue]
    ours: LiveAuthor | None = Field(None, description="There where it is known.")
    theirs: GitAuthor | None = Field(None, description="There where it is known.")


class AheadEntry(BaseModel):
    pipeline_id: str | None
    name: str | None
    side: str | None
    path: str | None = None
    reason: str | None


class SyncStatus(BaseModel):
    in_sync: bool
    local_ahead_count: int
    remote_ahead_count: int
    last_successful_sync_at: str | None
    active_operation: ActiveOperation | None
    conflicts: list[ConflictEntry]
    ahead: list[AheadEntry] | None = Field(
        None, description="There where something is ahead, or is not carried: what, on which side, and why; at most 50."
    )
    ahead_truncated: Literal[True] | None = Field(None, description="There where there are more than 50.")
    error: Error | None = Field(None, description="There where not all is well: why.")


class Tested(BaseModel):
    reachable: bool
    permissions: list[str]
    default_branch: str | None
    latency_ms: int | None
    error: Error | None = Field(None, description="There where the test failed: why.")


class Commit(BaseModel):
    sha: str
    message: str
    author: str
    committed_at: str
    pipeline_ids_touched: list[str]


class Change(BaseModel):
    pipeline_id: str | None
    name: str | None
    path: str | None
    action: str | None
    fields: list[str]


class PullRequest(BaseModel):
    number: int
    url: str
    state: str


class Operation(BaseModel):
    """How an operation stands, or ended."""

    operation_id: str
    kind: str
    status: Literal["running", "succeeded", "failed"]
    message: str | None
    reason: str | None
    branch: str | None
    commit: str | None
    pull_request: PullRequest | None
    started_at: str | None
    finished_at: str | None
    counts: dict[str, int]
    changes: list[Change]
    conflicts: list[ConflictEntry]


class PlannedField(BaseModel):
    field: str
    old: str | None = Field(None, description="JSON, 200 characters at most; null: it is not there.")
    new: str | None = Field(None, description="JSON, 200 characters at most; null: it is not there.")


class PlannedChange(BaseModel):
    """What becomes of one pipeline, with values."""

    pipeline_id: str | None
    name: str | None
    path: str | None
    action: str | None
    fields: list[PlannedField]
    lines_added: int
    lines_removed: int
    patch: str | None = Field(None, description="For a pull: the object before and after, as a unified patch of YAML.")
    withheld: str | None = Field(None, description="Why there is no patch.")


class PlannedFile(BaseModel):
    """What becomes of one file; for a push."""

    path: str
    lines_added: int
    lines_removed: int
    patch: str | None = Field(None, description="What is committed, as a unified patch that git apply takes.")
    withheld: str | None = Field(None, description="Why there is no patch.")


class PlanPage(BaseModel):
    """A page of what an operation does, or with dry_run would do."""

    page: int
    pages: int
    truncated: bool = Field(description="Not all is told: the lines or the last changes are left out.")
    changes: list[PlannedChange]
    files: list[PlannedFile]


class Problem(BaseModel):
    code: str
    message: str
    fields: list[dict[str, str]] = []


class Problems(BaseModel):
    """Every error looks like this."""

    error: Problem
