"""GitIntegration: what its users write; what they read back is in integration_status.py."""

from __future__ import annotations

import math
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from gitintegration.api import git_names
from gitintegration.api.base_model import Model
from gitintegration.api.durations import PATTERN, parse_duration
from gitintegration.api.names import API_VERSION, KIND, LABEL_LENGTH, NAME_LENGTH, SUBDOMAIN, split_api_version
from gitintegration.api.suspension import Suspend

Name = Annotated[str, Field(min_length=1, max_length=NAME_LENGTH, pattern=SUBDOMAIN)]
LONGEST_TIMEOUT = 600.0
"""Seconds."""
Duration = Annotated[str, Field(pattern=PATTERN, max_length=32)]
MaxDeletes = Annotated[int | str, Field(json_schema_extra={"x-kubernetes-int-or-string": True})]


def _message(text: str) -> str:
    if "\0" in text:
        raise ValueError("holds a NUL character, which no commit can have")
    return git_names.check_template(text, "integration", "namespace", "created", "updated", "deleted", "pipelines")


def _new_file(path: str) -> str:
    git_names.check_template(path, "name", "kind")
    if "{name}" not in path or path.startswith("/") or not path.endswith((".yaml", ".yml", ".json")):
        raise ValueError("must hold {name}, be relative, and end in .yaml, .yml or .json")
    return path


class Mode(StrEnum):
    Manual = "Manual"
    Pull = "Pull"
    Push = "Push"
    Bidirectional = "Bidirectional"


class Provider(StrEnum):
    generic = "generic"
    github = "github"
    gitlab = "gitlab"
    gitea = "gitea"
    bitbucket = "bitbucket"
    azuredevops = "azuredevops"


class CredentialType(StrEnum):
    token = "token"
    basic = "basic"
    ssh = "ssh"
    github_app = "githubApp"


class SecretRef(Model):
    """A Secret in the integration's own namespace."""

    name: Name = Field(description="Name of a Secret in the same namespace.")


class ConfigMapRef(Model):
    """A ConfigMap in the integration's own namespace."""

    name: Name = Field(description="Name of a ConfigMap in the same namespace.")


class Credentials(Model):
    """How to log in to the git server. Absent: anonymously."""

    type: CredentialType | None = Field(
        None,
        description="How to log in. Default: told by the keys of the Secret (token, "
        "username+password, identity, or githubAppID).",
    )
    secret_ref: SecretRef = Field(description="The Secret that holds the credentials.")
    installation_id: str | None = Field(
        None,
        alias="installationID",
        pattern="^[0-9]+$",
        max_length=32,
        description="Installation of the GitHub App, with type githubApp; may stand in the Secret instead.",
    )
    reclaim_policy: Literal["Retain", "Delete"] = Field(
        "Retain",
        description="Delete: the Secret goes with the GitIntegration, unless another GitIntegration still names it.",
    )


class Author(Model):
    """Who the operator's commits are by."""

    name: git_names.Ident = Field("GitIntegration", min_length=1, max_length=128, description="Name in the commits.")
    email: git_names.Ident = Field(
        "gitintegration@planasonix.com", min_length=1, max_length=254, description="Mail address in the commits."
    )


class Authors(Model):
    """Whose commits are that carry edits of the cluster."""

    mode: Literal["person", "fixed"] = Field(
        "person",
        description="person: who edited the pipelines, as the API server knows them (manifests/authors); spec.author where nobody is "
        "known. fixed: spec.author, always.",
    )
    domain: str = Field(
        "kubernetes.invalid",
        max_length=253,
        pattern=SUBDOMAIN,
        description="Domain of the mail address of a user whose name is none: {user}@{domain}.",
    )
    map_ref: ConfigMapRef | None = Field(
        None,
        description="ConfigMap with the key `authors`: a line `user = Name <address>` for each user who is called so in commits, as "
        "git svn has it. Who is not in it is called as without.",
    )


class Committer(Model):
    """Who commits, where that is another than the author: the account of a forge that knows the signing key, say."""

    name: git_names.Ident = Field(min_length=1, max_length=128, description="Name in the commits.")
    email: git_names.Ident = Field(min_length=1, max_length=254, description="Mail address in the commits.")


class Commit(Model):
    """What commits are beside their changes."""

    signing_secret_ref: SecretRef | None = Field(
        None,
        description="Secret with the private key that every commit is signed with, of SSH as `identity` or of OpenPGP as `git.asc`, and "
        "its `passphrase` where it has one. Nothing is pushed unsigned then.",
    )
    committer: Committer | None = Field(
        None, description="Who commits, for a forge that asks for the signing key's account. Default: spec.author."
    )


class Verify(Model):
    """Whose commits are taken from git. What others pushed is not pulled, and nothing is pushed onto it."""

    mode: Literal["Head", "Commits"] = Field(
        "Head",
        description="Head: the branch's head must be signed. Commits: so must all commits that it follows by first parents, since the last "
        "one that was verified.",
    )
    secret_ref: SecretRef | None = Field(
        None,
        description="Secret with the key `allowed_signers`: public keys, in the form of OpenSSH's file of that name. Each key that ends in "
        "`.asc` holds OpenPGP public keys. The operator's own commits are taken without.",
    )
    config_map_ref: ConfigMapRef | None = Field(
        None, description="The same in a ConfigMap. Either this one or secretRef is set."
    )
    allowed_authors: list[Annotated[str, Field(min_length=1, max_length=254)]] | None = Field(
        None,
        min_length=1,
        max_length=64,
        description="Mail addresses of the authors whose commits are taken, `*@example.com` say; for a key that signs for many, as a forge's does.",
    )

    @model_validator(mode="after")
    def _one_place_of_keys(self) -> Verify:
        if (self.secret_ref is None) == (self.config_map_ref is None):
            raise ValueError("verify needs either secretRef or configMapRef, with the keys that are trusted")
        return self


class Requirement(Model):
    """One condition on a label."""

    key: str = Field(max_length=316, description="The label.")
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"] = Field(description="How the label is compared.")
    values: list[Annotated[str, Field(max_length=63)]] | None = Field(
        None, max_length=64, description="Values for In and NotIn."
    )


class LabelSelector(Model):
    """Which objects, by their labels; all conditions must hold."""

    match_labels: dict[str, Annotated[str, Field(max_length=63)]] | None = Field(
        None, max_length=32, description="Labels and the values they must have."
    )
    match_expressions: list[Requirement] | None = Field(None, max_length=32, description="Conditions on labels.")


class Resource(Model):
    """One kind of pipelines."""

    api_version: str = Field(
        min_length=1,
        max_length=NAME_LENGTH + 1 + LABEL_LENGTH,
        pattern=API_VERSION,
        description="Version in which new files are written. Matching is by group and kind.",
    )
    kind: str = Field(
        min_length=1,
        max_length=LABEL_LENGTH,
        pattern=KIND,
        description="Kind of the pipelines. Namespaced; nothing that holds credentials or gives rights, and what runs code "
        "by itself only where the operator allows it (--allowed-workloads).",
    )
    label_selector: LabelSelector | None = Field(
        None,
        description="Only objects and manifests with these labels. Where there is an object, its labels say which of several "
        "integrations it belongs to; where they change, it is handed over.",
    )
    ignore_fields: list[Annotated[str, Field(max_length=256, pattern="^/")]] | None = Field(
        None,
        max_length=64,
        description="JSON pointers to fields that are neither compared nor carried, /spec/suspend say. `*` stands for any item "
        "of a list, and for any part of a key: /spec/steps/*/image, /metadata/annotations/example.com~1*.",
    )
    ignore_managers: list[Annotated[str, Field(min_length=1, max_length=128)]] | None = Field(
        None,
        max_length=16,
        description="Field managers whose writes are nobody's edits, an autoscaler's say: what they change in an object is not "
        "carried to git. A change in git is carried all the same.",
    )
    redact: list[Annotated[str, Field(max_length=256, pattern="^/")]] | None = Field(
        None,
        max_length=64,
        description="JSON pointers, as in ignoreFields, to fields whose values are shown nowhere: where a conflict tells values, "
        "these are ••• and a digest. Fields whose format is password in the kind's schema are among them.",
    )
    on_create: bool = Field(
        False,
        description="Carry the ignored fields once, when an object or a file is made; neither compared nor carried later.",
    )
    namespace: Literal["Strict", "Ignore"] = Field(
        "Strict",
        description="What becomes of a manifest that names another namespace. Strict: it is told in status.invalid. "
        "Ignore: it is synced with this namespace, and the text of its file keeps the one it names.",
    )


DEFAULT_RESOURCES = (Resource(api_version="planasonix.com/v1alpha1", kind="Pipeline"),)


class Push(Model):
    """How modes Push and Bidirectional write to git."""

    quiet_period: Duration = Field(
        "1s", description="Edits in the cluster closer together than this become one commit. 0s: at once."
    )
    branch: git_names.Branch | None = Field(
        None,
        min_length=1,
        max_length=244,
        description="Branch that changes of the cluster are offered on, for a repository that takes them by review only. "
        "They stay ahead until the default branch has them. Default: the default branch itself.",
    )
    create_pull_request: bool = Field(
        False,
        description="Open, or update, one pull request from that branch to the default branch. One that was closed "
        "unmerged stays closed until there is a new change.",
    )
    message_template: Annotated[str, AfterValidator(_message)] | None = Field(
        None,
        max_length=4096,
        description="Commit message. Variables in braces: integration, namespace, created, updated, deleted, pipelines.",
    )


class Sync(Model):
    """When and how to sync."""

    mode: Mode = Field(
        Mode.Bidirectional,
        description="Which way the operator writes by itself: Pull to the cluster, Push to git, Bidirectional both, "
        "Manual neither. What it may not write it counts as ahead.",
    )
    interval: Duration = Field("5m", description="How often git is asked for changes, with 5 % jitter. At least 10s.")
    timeout: Duration = Field("60s", description="Deadline of one round trip to the git server, at most 10m.")
    strategy: Literal["merge", "ours", "theirs"] = Field(
        "merge",
        description="Who wins where both sides changed one field: nobody (merge: a conflict is told), the cluster (ours) "
        "or the repository (theirs).",
    )
    drift: Literal["keep", "revert"] | None = Field(
        None,
        description="What becomes of edits in the cluster with mode Pull. Keep: they stay, counted as ahead. Revert: git's values are put "
        "back, also of what was deleted, and an event tells what and who. Ignored fields, and what git never held, are let be. Default: keep.",
    )
    prune: bool = Field(True, description="Carry a delete on one side to the other.")
    max_deletes: MaxDeletes = Field(
        "50%",
        description="More deletes than this at once (a count or a percentage), and more than 3, wait for confirmation.",
    )
    push: Push = Field(Push(), description="How modes Push and Bidirectional write to git.")

    @model_validator(mode="after")
    def _drift_is_of_pull(self) -> Sync:
        if self.drift == "revert" and self.mode is not Mode.Pull:
            raise ValueError("drift revert is for mode Pull; other modes keep or carry edits of the cluster")
        return self

    @property
    def interval_seconds(self) -> float:
        return parse_duration(self.interval)

    @property
    def timeout_seconds(self) -> float:
        """An older schema let in more."""
        return min(parse_duration(self.timeout), LONGEST_TIMEOUT)


class Oidc(Model):
    """Tokens that a CI system gives its jobs (GitHub Actions, GitLab CI), as proof in place of a shared secret."""

    issuer: str = Field(
        min_length=9,
        max_length=512,
        pattern="^https://[^?#@ ]+$",
        description="Who signs them, https://token.actions.githubusercontent.com say. The receiver asks only issuers that its "
        "administrator allows (--oidc-issuers).",
    )
    audience: str = Field(min_length=1, max_length=512, description="Whom they must be made for.")
    claims: dict[str, Annotated[str, Field(min_length=1, max_length=512)]] = Field(
        min_length=1,
        max_length=16,
        description="What else they must say, at least one thing, exactly: repository: acme/pipelines. Without it anybody's job "
        "at that issuer would do.",
    )


class Webhook(Model):
    """Deliveries of a forge that tell when to look. Nothing else is taken from them, and git is asked at each interval as well."""

    secret_ref: SecretRef | None = Field(
        None,
        description="Secret whose key `token` the forge signs with, or sends. `tokenPrevious` serves as well, while it is rotated.",
    )
    oidc: Oidc | None = Field(None, description="Tokens of a CI system that are taken as well, or instead.")
    register_hook: bool = Field(
        False,
        alias="register",
        description="Enter the hook at the forge, by its API, with the credentials; bring it up to date, and remove it when "
        "this is disabled or deleted.",
    )
    base_url: str | None = Field(
        None,
        alias="baseURL",
        min_length=8,
        max_length=512,
        pattern="^https?://[^?#@ ]+$",
        description="Where the forge reaches the receiver. Default: what the operator is told by --hooks-url.",
    )

    @model_validator(mode="after")
    def _proves(self) -> Webhook:
        if self.secret_ref is None and self.oidc is None:
            raise ValueError("needs secretRef or oidc: without either anybody could send deliveries")
        if self.register_hook and self.secret_ref is None:
            raise ValueError("register needs secretRef, whose token the forge is to sign with")
        return self


class PullRequests(Model):
    """What is told on open pull requests to the branch: what merging each would do to the cluster. Nothing is written there for it."""

    check: Literal["off", "status", "statusAndComment"] = Field(
        "statusAndComment",
        description="Status: a commit status `gitintegration/NAMESPACE/NAME` on its head, and on the merge commit once that is live, "
        "held or in conflict. StatusAndComment: one comment as well, kept up to date, on those that touch a pipeline. "
        'Write "off" in quotes: YAML takes the bare word for false.',
    )
    forks: bool = Field(
        False,
        description="Check those from forks too: whoever may open one then has his manifests planned, and tried at the API server by a dry run. "
        "False: they get the status error, which says so.",
    )
    when_unreachable: Literal["error", "success"] = Field(
        "error",
        description="The status of one that can't be checked for 10 minutes, because a server doesn't answer say. Success lets it be "
        "merged unchecked where the check is required.",
    )


class GitIntegrationSpec(Model):
    """What to keep the same with what."""

    enabled: bool = Field(True, description="False suspends all syncing; the status keeps its last values.")
    suspend: Suspend | None = Field(
        None, description="Suspends all syncing as well, and says why; with until it goes on by itself at that time."
    )
    provider: Provider = Field(Provider.generic, description="What serves the repository.")
    repository_url: str = Field(
        alias="repositoryURL",
        min_length=1,
        max_length=2048,
        description="Address to clone from: https://, http://, ssh:// or user@host:path; never with a credential in it.",
    )
    default_branch: git_names.Branch | None = Field(
        None,
        min_length=1,
        max_length=244,
        description="Branch to sync with. Default: what the remote's HEAD points to.",
    )
    path_prefix: git_names.Prefix = Field(
        "pipelines/",
        max_length=512,
        description="Folder of the manifests; nothing outside it is read or written. Empty: the whole repository. One folder, no "
        "pattern. Where it changes, what would be copied to the new one waits for confirmation, as a mass delete does.",
    )
    ignore: str | None = Field(
        None,
        max_length=8192,
        description="Patterns as in .gitignore, one a line, for files below the prefix that are no pipelines; "
        "a file .gitintegrationignore below the prefix adds to them.",
    )
    new_file_path: Annotated[git_names.Path, AfterValidator(_new_file)] | None = Field(
        None,
        min_length=1,
        max_length=512,
        description="Place below the prefix for a pipeline that has no file yet. Variables: {name}, {kind}. "
        "Default: {name}.yaml with one kind, {kind}/{name}.yaml with several.",
    )
    credentials: Credentials | None = Field(None, description="How to log in to the git server. Absent: anonymously.")
    service_account_name: Name | None = Field(
        None,
        description="ServiceAccount of this namespace that pipelines are read and written as. "
        "Default: what --default-service-account names, else the operator itself.",
    )
    author: Author = Field(Author(), description="Who the operator's commits are by.")
    authors: Authors | None = Field(
        None,
        description="Whose commits are that carry edits of the cluster. Absent: who edited, as far as that is known.",
    )  # no default of the CRD's: the release before would refuse a spec that holds it
    commit: Commit | None = Field(None, description="Signatures of the operator's commits, and who commits.")
    verify: Verify | None = Field(None, description="Whose commits are taken from git, by their signatures.")
    resources: list[Resource] = Field(
        list(DEFAULT_RESOURCES),
        min_length=1,
        max_length=32,
        description="The kinds that are pipelines here. Default: Pipeline of planasonix.com/v1alpha1.",
    )
    sync: Sync = Field(Sync(), description="When and how to sync.")
    proxy_secret_ref: SecretRef | None = Field(
        None, description="Secret with the keys address, username and password of an HTTP proxy."
    )
    webhook: Webhook | None = Field(
        None, description="Look as soon as the forge tells of a push, and not at the next interval only."
    )
    pull_requests: PullRequests | None = Field(
        None,
        description="Check open pull requests to the branch, and tell there what merging them would do. Absent: none.",
    )
    history_limit: int = Field(10, ge=0, le=50, description="Commits shown in status.history.")

    @model_validator(mode="after")
    def _signs_what_it_verifies(self) -> GitIntegrationSpec:
        if self.verify and self.sync.mode is not Mode.Pull and not (self.commit and self.commit.signing_secret_ref):
            raise ValueError(
                "verify needs commit.signingSecretRef, or mode Pull: commits of its own must be signed as well"
            )
        return self

    @property
    def authorship(self) -> Authors:
        """Whose commits are, also where nobody said so."""
        return self.authors or Authors()

    def suspended_for(self, now: datetime) -> float:
        """Seconds for which nothing is synced from now on: 0 where it is not suspended, inf where no end is known."""
        if not self.enabled:
            return math.inf
        return max(0.0, self.suspend.seconds_left(now)) if self.suspend else 0.0

    @property
    def listed(self) -> frozenset[tuple[str, str]]:
        """The kinds that it names, by group and kind, whether they can be worked with now or not."""
        return frozenset((split_api_version(r.api_version)[0], r.kind) for r in self.resources)

    @property
    def anywhere(self) -> frozenset[tuple[str, str]]:
        """The kinds whose manifests may name another namespace."""
        return frozenset(
            (split_api_version(r.api_version)[0], r.kind) for r in self.resources if r.namespace == "Ignore"
        )
