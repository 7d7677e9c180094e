"""From the models to CustomResourceDefinitions: structural schemas, described field by field, with CEL rules."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from pydantic import BaseModel

from gitintegration.api.base_model import GROUP, VERSION
from gitintegration.api.git_names import IDENT_RULE, PREFIX_RULE
from gitintegration.api.integration import GitIntegrationSpec
from gitintegration.api.integration_base import GitIntegrationBaseSpec
from gitintegration.api.integration_status import GitIntegrationStatus
from gitintegration.api.operation import GitOperationPlanSpec, GitOperationSpec, GitOperationStatus, OperationKind
from gitintegration.api.pipeline import PipelineSpec
from gitintegration.api.syncable import NEVER, NEVER_GROUPS, OWN

_DROPPED = {"title", "examples", "discriminator", "$defs", "additionalProperties"}
_HEADER = "# Generated from the models by `make generate`; do not edit.\n"


def render_crds() -> dict[str, str]:
    """File name -> text, for each kind."""
    made = [_integration(), _operation(), _plans(), _bases(), _pipeline()]
    return {f"{GROUP}_{crd['spec']['names']['plural']}.yaml": _HEADER + _dump(crd) for crd in made}


def _dump(crd: Mapping[str, Any]) -> str:
    return str(yaml.safe_dump(dict(crd), sort_keys=False, width=120, allow_unicode=True))


def schema_of(model: type[BaseModel], *, open_objects: Sequence[str] = ()) -> dict[str, Any]:
    """The structural schema of a model. Objects named in `open_objects` (model titles) keep unknown fields."""
    root = model.model_json_schema(by_alias=True)
    made = _structural(root, root.get("$defs", {}), set(open_objects))
    assert isinstance(made, dict)
    return made


def _structural(node: Any, definitions: Mapping[str, Any], open_objects: set[str]) -> Any:
    if isinstance(node, list):
        return [_structural(item, definitions, open_objects) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        target = definitions[node["$ref"].rsplit("/", 1)[-1]]
        node = {**target, **{k: v for k, v in node.items() if k != "$ref"}}
    if options := node.get("anyOf"):
        kept = [option for option in options if option != {"type": "null"}]
        rest = {k: v for k, v in node.items() if k != "anyOf"}
        if rest.get("default", ...) is None:
            del rest["default"]
        if node.get("x-kubernetes-int-or-string"):
            return _told({k: v for k, v in rest.items() if k not in _DROPPED})
        return _structural({**kept[0], **rest}, definitions, open_objects)
    if node.get("default", ...) is None:
        node = {k: v for k, v in node.items() if k != "default"}
    result = {k: v for k, v in node.items() if k not in _DROPPED and k not in ("properties", "items", "const")}
    if "default" in result:
        result = _told({**result, "default": _without_nulls(result["default"])})
    if "const" in node:
        result["enum"] = [node["const"]]
    if "properties" in node:
        result["properties"] = {n: _structural(p, definitions, open_objects) for n, p in node["properties"].items()}
    if "items" in node:
        result["items"] = _structural(node["items"], definitions, open_objects)
    extra = node.get("additionalProperties")
    if isinstance(extra, dict):
        result["additionalProperties"] = _structural(extra, definitions, open_objects)
    elif extra is True or node.get("title") in open_objects:
        result["x-kubernetes-preserve-unknown-fields"] = True
    return result


def _told(field: dict[str, Any]) -> dict[str, Any]:
    return {**field, "description": field.get("description", "") + default_words(field)}


def default_words(field: Mapping[str, Any]) -> str:
    """What kubectl explain is to say of a default, which it does not show by itself: at the end of the description."""
    value = field.get("default")
    if value is None or isinstance(value, dict | list):
        return ""
    return f" Default: {json.dumps(value) if value == '' or not isinstance(value, str) else value}."


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_nulls(v) for k, v in value.items() if v is not None}
    return [_without_nulls(v) for v in value] if isinstance(value, list) else value


def _rule(rule: str, message: str, path: str | None = None, reason: str | None = None) -> dict[str, str]:
    extra = {"fieldPath": path, "reason": reason}
    return {"rule": rule, "message": message, **{k: v for k, v in extra.items() if v}}


_URL_RULES = [
    _rule(
        r"""self.matches('^(https?|ssh)://') || (!self.contains('://') && self.matches('^([A-Za-z0-9._-]+@)?[A-Za-z0-9.-]+:[^/-].*$|^([A-Za-z0-9._-]+@)?[A-Za-z0-9.-]+:/[^/].*$'))""",
        "repositoryURL: use https://, http://, ssh:// or user@host:path",
    ),
    _rule(
        r"""!self.matches('^https?://[^/?#]*@') && !self.matches('^ssh://[^/?#]*:[^/?#]*@')""",
        "repositoryURL holds a credential: put it into a Secret and name that in credentials.secretRef",
        reason="FieldValueForbidden",  # this one alone does not repeat the value, which is a secret
    ),
    _rule(r"""!self.matches('[\\s?#]')""", "repositoryURL must not hold white space, ? or #"),
]
_BAD_PATH = PREFIX_RULE.replace("\\", "\\\\")  # within a string of CEL
_PREFIX_RULES = [
    _rule(
        f"""!self.startsWith('/') && !(self.startsWith('./') ? self.substring(2) : self).matches('{_BAD_PATH}') || self in ['.', './']""",
        "pathPrefix must stay in the repository: relative, without .., backslashes, colons, or names that git, Windows or "
        "macOS can't have, or take for .git",
    ),
    _rule(
        r"""!self.matches('[*?{}\\[\\]]')""", "pathPrefix must name one folder, and is no pattern: without * ? [ ] { }"
    ),
]
_NEW_FILE_RULES = [
    _rule(
        f"""!self.startsWith('/') && !self.matches('{_BAD_PATH}') && !self.contains('//')""",
        "newFilePath must stay below pathPrefix: relative, without .., backslashes, colons, or names that git, Windows or "
        "macOS can't have, or take for .git",
    ),
    _rule(
        r"""self.contains('{name}') && !self.replace('{name}', '').replace('{kind}', '').matches('[{}]')""",
        "newFilePath must hold {name}, and no other variable than {name} and {kind}",
    ),
    _rule(r"""self.matches('[.](yaml|yml|json)$')""", "newFilePath must end in .yaml, .yml or .json"),
]
_IDENT_RULE = _rule(
    f"""!self.matches('{IDENT_RULE.replace(chr(92), chr(92) * 2)}')""",
    "holds a line break, another control character or an angle bracket, which no commit can have there",
)
_BRANCH_RULE = _rule(
    r"""self.matches('^[^-/.][^\\s~^:?*\\[\\\\]*$') && !self.contains('..') && !self.contains('@{') && !self.endsWith('/') && !self.endsWith('.lock') && !self.endsWith('.')""",
    "is not a branch name that git accepts",
)
_GROUP_OF = "(r.apiVersion.contains('/') ? r.apiVersion.split('/')[0] : '')"
_NEVER = sorted(f"{group}/{kind}" for group, kind in NEVER)
_RESOURCES_RULES = [
    _rule(
        f"self.all(r, !({_GROUP_OF} in {sorted(NEVER_GROUPS)} || {_GROUP_OF} + '/' + r.kind in {_NEVER}))",
        "resources: Secrets and RBAC, and what else holds credentials or gives rights, can't be synced",
    ),
    _rule(
        f"self.all(r, {_GROUP_OF} != '{GROUP}' || r.kind == '{OWN}')",
        f"resources: of the operator's own kinds only {OWN} can be synced",
    ),
    _rule(
        "self.all(r, self.exists_one(o, o.kind == r.kind && o.apiVersion.split('/')[0] == r.apiVersion.split('/')[0]))",
        "resources: a kind of a group can be listed once only",
    ),
]
_TEMPLATE_RULE = _rule(
    r"""!self.replace('{integration}', '').replace('{namespace}', '').replace('{created}', '').replace('{updated}', '').replace('{deleted}', '').replace('{pipelines}', '').matches('[{}]')""",
    "messageTemplate: the variables are {integration}, {namespace}, {created}, {updated}, {deleted} and {pipelines}",
)


def _integration() -> dict[str, Any]:
    spec = schema_of(GitIntegrationSpec)
    fields = spec["properties"]
    fields["repositoryURL"]["x-kubernetes-validations"] = _URL_RULES
    fields["pathPrefix"]["x-kubernetes-validations"] = _PREFIX_RULES
    fields["newFilePath"]["x-kubernetes-validations"] = _NEW_FILE_RULES
    fields["defaultBranch"]["x-kubernetes-validations"] = [_BRANCH_RULE]
    committer = fields["commit"]["properties"]["committer"]
    for text in (*fields["author"]["properties"].values(), *committer["properties"].values()):
        text["x-kubernetes-validations"] = [_IDENT_RULE]
    fields["verify"]["x-kubernetes-validations"] = [
        _rule(
            "has(self.secretRef) != has(self.configMapRef)",
            "verify needs either secretRef or configMapRef, with the keys that are trusted",
        )
    ]
    resources = fields["resources"]
    del resources["default"]  # it would be an item that no manager owns, and so one that no apply can take away
    resources |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["apiVersion", "kind"]}
    resources["x-kubernetes-validations"] = _RESOURCES_RULES
    sync = fields["sync"]["properties"]
    sync["interval"]["x-kubernetes-validations"] = [
        _rule("duration(self) >= duration('10s')", "sync.interval must be at least 10s")
    ]
    sync["timeout"]["x-kubernetes-validations"] = [
        _rule("duration(self) >= duration('1s') && duration(self) <= duration('10m')", "sync.timeout must be 1s to 10m")
    ]
    sync["maxDeletes"]["x-kubernetes-validations"] = [
        _rule(
            "type(self) == int ? self >= 0 : self.matches('^([0-9]{1,6}|[0-9]{1,2}%|100%)$')",
            "sync.maxDeletes must be a count or a percentage like 50%",
        )
    ]
    push = sync["push"]["properties"]
    push["branch"]["x-kubernetes-validations"] = [_BRANCH_RULE]
    push["messageTemplate"]["x-kubernetes-validations"] = [_TEMPLATE_RULE]
    push["quietPeriod"]["x-kubernetes-validations"] = [
        _rule("duration(self) <= duration('5m')", "sync.push.quietPeriod must be at most 5m")
    ]
    spec["x-kubernetes-validations"] = [
        _rule(
            "!has(self.credentials) || !has(self.credentials.type) || (self.credentials.type == 'ssh') == "
            "(!self.repositoryURL.matches('^https?://'))",
            "credentials.type ssh goes with an ssh address, token, basic and githubApp with http and https",
            ".credentials.type",
        ),
        _rule(
            "!has(self.sync.push) || !self.sync.push.createPullRequest || has(self.sync.push.branch)",
            "sync.push.createPullRequest needs sync.push.branch, the branch to make the pull request from",
        ),
    ]
    return _crd(
        "GitIntegration",
        "gitintegrations",
        "gi",
        "Keeps the pipelines of its namespace and the manifests of a git repository the same, in both directions.",
        spec,
        schema_of(GitIntegrationStatus),
        _COLUMNS,
    )


def _column(name: str, kind: str, path: str, *, wide: bool = False) -> dict[str, Any]:
    return {"name": name, "type": kind, "jsonPath": path, **({"priority": 1} if wide else {})}


_READY = '.status.conditions[?(@.type=="Ready")]'
_COLUMNS = [
    _column("Repository", "string", ".spec.repositoryURL", wide=True),
    _column("Branch", "string", ".status.branch", wide=True),
    _column("In-Sync", "string", '.status.conditions[?(@.type=="InSync")].status'),
    _column("Local-Ahead", "integer", ".status.localAheadCount"),
    _column("Remote-Ahead", "integer", ".status.remoteAheadCount"),
    _column("Conflicts", "integer", ".status.conflictCount"),
    _column("Ready", "string", f"{_READY}.status"),
    _column("Reason", "string", f"{_READY}.reason"),
    _column("Last-Sync", "date", ".status.lastSyncAt", wide=True),
    _column("Age", "date", ".metadata.creationTimestamp"),
]


_NO_DIGEST_OF_A_DRY_RUN = _rule(
    "!(self.dryRun && has(self.planDigest))", "dryRun makes a planDigest, it does not take one"
)
_OPERATION_COLUMNS = [
    _column("Integration", "string", ".spec.integrationRef.name", wide=True),
    _column("Kind", "string", ".spec.kind"),
    _column("Branch", "string", ".status.branch"),
    _column("Phase", "string", ".status.phase"),
    _column("Dry-Run", "boolean", ".spec..dryRun"),
    _column("Reason", "string", '.status.conditions[?(@.type=="Succeeded")].reason'),
    _column("Created", "integer", ".status.counts.created", wide=True),
    _column("Updated", "integer", ".status.counts.updated", wide=True),
    _column("Deleted", "integer", ".status.counts.deleted", wide=True),
    _column("Conflicts", "integer", ".status.counts.conflicted", wide=True),
    _column("Commit", "string", ".status.commit", wide=True),
    _column("Age", "date", ".metadata.creationTimestamp"),
]


def _operation() -> dict[str, Any]:
    spec = schema_of(GitOperationSpec)
    fields = spec["properties"]
    for kind in ("push", "pull", "history"):
        fields[kind]["properties"]["branch"]["x-kubernetes-validations"] = [_BRANCH_RULE]
    fields["test"]["properties"]["repositoryURL"]["x-kubernetes-validations"] = _URL_RULES
    fields["history"]["properties"]["path"]["x-kubernetes-validations"] = _PREFIX_RULES
    fields["pull"]["x-kubernetes-validations"] = [
        _rule(
            "!has(self.revision) || (has(self.pipelines) && size(self.pipelines) > 0)",
            "pull.revision restores named pipelines: name them in pull.pipelines",
        ),
        _NO_DIGEST_OF_A_DRY_RUN,
    ]
    fields["push"]["x-kubernetes-validations"] = [
        _rule(
            "!has(self.pullRequest) || self.createPullRequest",
            "push.pullRequest goes with push.createPullRequest: true",
        ),
        _NO_DIGEST_OF_A_DRY_RUN,
    ]
    named = [
        _rule(f"(self.kind == '{kind}') == has(self.{kind})", f"kind {kind} goes with the block `{kind}`, and no other")
        for kind in OperationKind
    ]
    spec["x-kubernetes-validations"] = [
        _rule("self == oldSelf", "a GitOperation can't be changed: make a new one"),
        *named,
    ]
    return _crd(
        "GitOperation",
        "gitoperations",
        "gitop",
        "One action for a GitIntegration, run once, like a Job.",
        spec,
        schema_of(GitOperationStatus),
        _OPERATION_COLUMNS,
    )


def _plans() -> dict[str, Any]:
    columns = [
        _column("Operation", "string", ".spec.operation"),
        _column("Page", "integer", ".spec.page"),
        _column("Age", "date", ".metadata.creationTimestamp"),
    ]
    words = str(GitOperationPlanSpec.__doc__)
    spec = schema_of(GitOperationPlanSpec)
    return _crd("GitOperationPlan", "gitoperationplans", "gitopplan", words, spec, None, columns, hidden=True)


def _bases() -> dict[str, Any]:
    columns = [_column("Shard", "string", ".spec.shard"), _column("Age", "date", ".metadata.creationTimestamp")]
    words = str(GitIntegrationBaseSpec.__doc__)
    spec = schema_of(GitIntegrationBaseSpec)
    return _crd("GitIntegrationBase", "gitintegrationbases", "gib", words, spec, None, columns, hidden=True)


def _pipeline() -> dict[str, Any]:
    spec = schema_of(PipelineSpec, open_objects=("PipelineSpec", "Step"))
    columns = [
        _column("Display-Name", "string", ".spec.displayName"),
        _column("Schedule", "string", ".spec.schedule"),
        _column("Owner", "string", ".spec.owner", wide=True),
        _column("Age", "date", ".metadata.creationTimestamp"),
    ]
    status = {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "description": "How it runs."}
    return _crd("Pipeline", "pipelines", "pl", "A pipeline definition.", spec, status, columns)


def _crd(
    kind: str,
    plural: str,
    short: str,
    description: str,
    spec: dict[str, Any],
    status: dict[str, Any] | None,
    columns: list[dict[str, Any]],
    *,
    hidden: bool = False,
) -> dict[str, Any]:
    meta = {
        "apiVersion": {"type": "string", "description": "Version of this schema."},
        "kind": {"type": "string", "description": f"{kind}."},
        "metadata": {"type": "object"},
    }
    if status and (seen := status.get("properties", {}).get("observedGeneration")):
        status = {**status, "default": {"observedGeneration": seen["default"]}}  # new is in progress, not current
    properties = {**meta, "spec": spec, **({"status": status} if status else {})}
    version: dict[str, Any] = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "additionalPrinterColumns": columns,
        "schema": {
            "openAPIV3Schema": {
                "type": "object",
                "description": description,
                "required": ["spec"],
                "properties": properties,
            }
        },
    }
    if status:
        version["subresources"] = {"status": {}}
    names = {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower(), "shortNames": [short]}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {**names, "categories": [] if hidden else ["all", "planasonix"]},
            "scope": "Namespaced",
            "versions": [version],
        },
    }
