"""The endpoints. Stateless: any number of replicas may serve."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Generic, TypeVar

from fastapi import APIRouter, Depends, FastAPI, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi_offline import FastAPIOffline
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from gitintegration.api.suspension import is_suspended
from gitintegration.cluster.client import Cluster
from gitintegration.cluster.integrations import KIND as INTEGRATIONS
from gitintegration.cluster.operations import KIND as OPERATIONS
from gitintegration.cluster.operations import PLANS
from gitintegration.core.status import timestamp
from gitintegration.errors import ClusterError, SpecError, Stale
from gitintegration.gateway import models, problems
from gitintegration.gateway.callers import Callers
from gitintegration.gateway.gate import CALLER, Asking, Gate, Heads, Refusal
from gitintegration.gateway.resources import SECRETS, Resources, Right, Who, host_of, is_dying

WAIT = 30.0
"""Seconds that `test` and `history` wait for their operation."""
_KEEP, _KEEP_SHORT = 86_400, 300
"""Seconds that operations stay once they have ended: those that a caller may ask for, and those that were answered."""
_NAMESPACE = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_OPERATION = r"^gitop_[a-z0-9]+$"
_AGAIN = 5
"""So often a change is made anew where the integration moved under it."""

T = TypeVar("T")


class Data(BaseModel, Generic[T]):
    """Every answer lies in `data`."""

    data: T


@dataclass(frozen=True, slots=True)
class Setting:
    """`namespace` is where the plain paths lead; `name` is what the integration behind them is called."""

    namespace: str
    name: str = "default"
    app_secret: str = "github-app"
    """Secret of the integration's namespace with the GitHub App, for callers who name an installation only."""


def build(connect: Callable[[], Awaitable[Cluster]], setting: Setting) -> FastAPI:
    """The application; the cluster is connected to when it starts."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.cluster = await connect()
        app.state.callers = Callers(Who(app.state.cluster).user)
        yield
        await app.state.cluster.close()

    app = FastAPIOffline(
        redoc_url=None,
        title="Git integration",
        version="1",
        summary="Synchronize pipeline definitions with a Git repository.",
        lifespan=lifespan,
        redirect_slashes=False,  # it would lead to http://, with the token
        strict_content_type=False,  # the gate has looked
        responses={
            int(status): {"model": models.Problems, "description": status.phrase}
            for status in (
                HTTPStatus.BAD_REQUEST,
                HTTPStatus.UNAUTHORIZED,
                HTTPStatus.FORBIDDEN,
                HTTPStatus.NOT_FOUND,
                HTTPStatus.REQUEST_TIMEOUT,
                HTTPStatus.CONFLICT,
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                HTTPStatus.UNPROCESSABLE_ENTITY,
                HTTPStatus.SERVICE_UNAVAILABLE,
            )
        },
    )
    app.state.setting = setting
    answers = problems.Answers()
    app.add_middleware(Heads)
    app.add_middleware(Gate, callers=lambda: app.state.callers, answer=answers.problem)
    for prefix in ("/api/git-integration", "/api/namespaces/{namespace}/git-integration"):
        app.include_router(_router(), prefix=prefix)

    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    app.add_exception_handler(Refusal, answers.refused)
    app.add_exception_handler(ClusterError, answers.refused)
    app.add_exception_handler(RequestValidationError, problems.invalid)
    app.add_exception_handler(HTTPException, problems.http)
    app.add_exception_handler(Exception, problems.defect)
    return app


# --- who asks -------------------------------------------------------------------------------------------------------


class Caller:
    """Who asks, in which namespace."""

    def __init__(self, who: Who, asking: Asking, namespace: str, resources: Resources, app_secret: str) -> None:
        self._who, self._user, self._namespace, self.resources = who, asking.user, namespace, resources
        self.app_secret, self.gone = app_secret, asking.gone

    async def needs(self, *rights: Right) -> None:
        """Asked before anything is written, so that nothing is done by half. Raises Refusal."""
        if missing := await self._who.missing(self._user, self._namespace, rights):
            name = self._user.get("username", "")
            raise Refusal(403, "forbidden", f"{name} may not {missing} in namespace {self._namespace}")

    async def names(self, secret: str) -> None:
        """Who names a Secret that is there already must be allowed to read it. Raises Refusal."""
        await self.needs(Right("get", SECRETS, secret))


async def _caller(request: Request) -> Caller:
    asking: Asking = request.scope["extensions"][CALLER]
    cluster, setting = request.app.state.cluster, request.app.state.setting
    where = request.path_params.get("namespace", setting.namespace)
    if not re.fullmatch(_NAMESPACE, where):
        words = "is no name of a namespace"
        raise Refusal(422, "invalid", f"namespace: {words}", [{"field": "namespace", "message": words}])
    resources = Resources(cluster, asking.token, where, setting.name)
    return Caller(Who(cluster), asking, where, resources, setting.app_secret)


As = Annotated[Caller, Depends(_caller)]


# --- the endpoints --------------------------------------------------------------------------------------------------


def _router() -> APIRouter:
    router = APIRouter(tags=["git-integration"])
    told: dict[str, Any] = {"response_model_exclude_unset": True}
    router.add_api_route("", get_config, methods=["GET"], summary="Get Git integration config", **told)
    router.add_api_route("", save_config, methods=["POST"], summary="Save or update Git integration")
    going: dict[int | str, dict[str, Any]] = {202: {"model": Data[models.Deleting], "description": "Going"}}
    router.add_api_route(
        "", remove_config, methods=["DELETE"], status_code=204, responses=going, summary="Remove Git integration"
    )
    router.add_api_route("/push", push, methods=["POST"], status_code=202, summary="Push pipeline to Git")
    router.add_api_route("/pull", pull, methods=["POST"], status_code=202, summary="Pull pipeline from Git")
    router.add_api_route("/status", status, methods=["GET"], summary="Get sync status", **told)
    late: dict[int | str, dict[str, Any]] = {504: {"model": models.Problems, "description": "Gateway Timeout"}}
    router.add_api_route("/test", test, methods=["POST"], responses=late, summary="Test Git connection", **told)
    router.add_api_route("/history", history, methods=["GET"], responses=late, summary="Get commit history")
    router.add_api_route("/operations/{operation_id}", operation, methods=["GET"], summary="How an operation stands")
    router.add_api_route(
        "/operations/{operation_id}/plan", plan, methods=["GET"], summary="What an operation does, with values"
    )
    return router


async def get_config(caller: As) -> Data[models.Config | models.NotConfigured]:
    await caller.needs(Right("get", INTEGRATIONS))
    found = await caller.resources.integration()
    if found is None:
        return Data(data=models.NotConfigured(enabled=False, repository_url=None, default_branch=None))
    spec, told = found["spec"], found.get("status") or {}
    credentials = spec.get("credentials") or {}
    secret = (credentials.get("secretRef") or {}).get("name")
    author = spec.get("author") or {}
    return Data(
        data=models.Config(
            enabled=not is_suspended(spec, datetime.now(UTC)) and not is_dying(found),
            provider=spec.get("provider"),
            repository_url=spec["repositoryURL"],
            default_branch=_branch(found),
            path_prefix=spec.get("pathPrefix"),
            ssh_key_id=secret if credentials.get("type") == "ssh" else None,
            author_name=author.get("name"),
            author_email=author.get("email"),
            last_sync_at=told.get("lastSyncAt"),
            **({"deleting": True} if is_dying(found) else {}),
        )
    )


async def save_config(caller: As, body: models.ConfigBody) -> Data[models.Saved]:
    rights = [Right(verb, INTEGRATIONS) for verb in ("get", "create", "patch")]
    stored = body.credentials if body.credentials and not body.credentials.needs_shared_app else None
    if stored:
        rights += [Right("create", SECRETS), Right("patch", SECRETS, caller.resources.secret_name)]
    await caller.needs(*rights)
    for attempt in range(_AGAIN):
        try:
            made = await _saved(caller, body, stored)
            break
        except Stale:
            if attempt == _AGAIN - 1:
                raise
    saved = made["spec"]
    return Data(
        data=models.Saved(
            enabled=not is_suspended(saved, datetime.now(UTC)),
            provider=saved.get("provider", "generic"),
            repository_url=saved["repositoryURL"],
            default_branch=_branch(made),
            path_prefix=saved.get("pathPrefix", ""),
            updated_at=timestamp(datetime.now(UTC)),
        )
    )


async def _saved(caller: Caller, body: models.ConfigBody, stored: models.Credentials | None) -> dict[str, Any]:
    """The integration as the body wants it. Raises Stale where it moved meanwhile, and Refusal."""
    found = await caller.resources.settled(caller.gone)
    await _may_log_in_there(caller, body, found)
    spec = body.spec(new=found is None)
    if body.credentials:
        name = caller.resources.secret_name if stored else caller.app_secret
        spec["credentials"] = {**body.credentials.spec(name), "reclaimPolicy": "Delete" if stored else "Retain"}
    elif body.ssh_key_id:
        reference = {"name": body.ssh_key_id}
        spec["credentials"] = {"type": "ssh", "secretRef": reference, "reclaimPolicy": "Retain"}
    return await caller.resources.save(found, spec, stored.secret() if stored else None)


async def _may_log_in_there(caller: Caller, body: models.ConfigBody, found: Mapping[str, Any] | None) -> None:
    """No credential is sent by a body to where its owner did not mean it to go. Raises Refusal."""
    before = found["spec"] if found else {}
    address = body.repository_url or before.get("repositoryURL")
    if address is None:
        raise _wrong("repository_url", "is required")
    host = _host(address)
    kept = ((before.get("credentials") or {}).get("secretRef") or {}).get("name")
    if body.ssh_key_id:
        await caller.names(body.ssh_key_id)
    elif body.credentials:
        if body.credentials.needs_shared_app:
            await caller.names(caller.app_secret)
    elif kept and host != _host_before(before):
        if kept == caller.resources.secret_name:
            raise _wrong("credentials", f"send them again: those that are stored were not given for {host}")
        await caller.names(kept)


def _host(address: str) -> str:
    try:
        return host_of(address)
    except SpecError as error:
        raise _wrong("repository_url", error.message.removeprefix("spec.repositoryURL: ")) from None


def _host_before(spec: Mapping[str, Any]) -> str | None:
    try:
        return host_of(spec.get("repositoryURL", ""))
    except SpecError:
        return None  # an older CRD let it in


def _wrong(field: str, message: str) -> Refusal:
    return Refusal(422, "invalid", f"{field}: {message}", [{"field": field, "message": message}])


async def remove_config(caller: As) -> Response:
    rights = [Right(verb, INTEGRATIONS) for verb in ("get", "delete")]
    await caller.needs(*rights, Right("delete", SECRETS, caller.resources.secret_name))
    found = await caller.resources.integration()
    if found is None:
        raise _not_configured()
    await caller.resources.remove(found)
    if await caller.resources.vanished(found, caller.gone):
        return Response(status_code=204)
    return JSONResponse(Data(data=models.Deleting()).model_dump(), status_code=202)


async def push(caller: As, body: models.PushBody) -> Data[models.Accepted]:
    block = {
        "branch": body.branch,
        "message": body.message,
        "pipelines": body.pipeline_ids,
        "createPullRequest": body.create_pull_request,
        "pullRequest": {k: v for k, v in (("title", body.pr_title), ("body", body.pr_body)) if v is not None} or None,
        "dryRun": body.dry_run,
    }
    return await _operate(caller, "push", block, force=body.force)


async def pull(caller: As, body: models.PullBody) -> Data[models.Accepted]:
    block = {
        "branch": body.branch,
        "strategy": body.strategy,
        "pipelines": body.pipeline_ids,
        "resolutions": [resolution.spec() for resolution in body.resolutions] if body.resolutions else None,
        "dryRun": body.dry_run,
    }
    return await _operate(caller, "pull", block, force=body.force)


async def status(caller: As) -> Data[models.SyncStatus]:
    await caller.needs(Right("get", INTEGRATIONS))
    found = await caller.resources.integration()
    if found is None:
        raise _not_configured()
    told = found.get("status") or {}
    active = told.get("activeOperation")
    return Data(
        data=models.SyncStatus(
            in_sync=told.get("inSync", False) and not is_dying(found),
            local_ahead_count=told.get("localAheadCount", 0),
            remote_ahead_count=told.get("remoteAheadCount", 0),
            last_successful_sync_at=told.get("lastSuccessfulSyncAt"),
            active_operation=models.ActiveOperation(
                id=_id(active["id"]), kind=active["kind"], status=active["status"], started_at=active["startedAt"]
            )
            if active
            else None,
            conflicts=_conflicts(told),
            **_ahead(told),
            **_if_any(_trouble(found)),
        )
    )


def _trouble(found: Mapping[str, Any]) -> tuple[str, str] | None:
    """Why an integration is not as it should be: reason and message."""
    if is_dying(found):
        return "Deleting", "it is being removed"
    told = found.get("status") or {}
    ready = next((c for c in told.get("conditions") or () if c["type"] == "Ready"), None)
    if ready is None:
        return "Progressing", "it has not been looked at yet; does the operator run?"
    well = ready["status"] == "True" and ready["reason"] != "Suspended"
    return None if well else (ready["reason"], ready["message"])


def _if_any(trouble: tuple[str, str] | None) -> dict[str, models.Error]:
    return {"error": models.Error(code=_code(trouble[0]), message=trouble[1])} if trouble else {}


async def test(caller: As, body: models.TestBody | None = None) -> Data[models.Tested]:
    wanted = body or models.TestBody()
    given = wanted.credentials
    rights = [Right(verb, OPERATIONS) for verb in ("create", "get")]
    if given and not given.needs_shared_app:
        rights.append(Right("create", SECRETS))
    await caller.needs(*rights)
    block: dict[str, Any] = {}
    if wanted.repository_url is None:
        await _configured(caller)
    else:
        _host(wanted.repository_url)
        block["repositoryURL"] = wanted.repository_url
    if given:
        block["credentials"] = given.spec(caller.app_secret)
    if given and given.needs_shared_app:
        await caller.names(caller.app_secret)
    secret = given.secret() if given and not given.needs_shared_app else None
    done = await _waited(caller, await caller.resources.operate("test", block, _KEEP_SHORT, secret))
    told = done.get("status") or {}
    found = told.get("test") or {}
    return Data(
        data=models.Tested(
            reachable=found.get("reachable", False),
            permissions=found.get("permissions") or [],
            default_branch=found.get("defaultBranch"),
            latency_ms=found.get("latencyMs"),
            **_if_any(_verdict(told) if told.get("phase") == "Failed" else None),
        )
    )


async def history(
    caller: As,
    branch: Annotated[
        str | None, Query(min_length=1, max_length=244, description="Default: the default branch.")
    ] = None,
    path: Annotated[str | None, Query(max_length=512, description="Only commits that touched it.")] = None,
    limit: Annotated[int, Query(ge=1, le=500, description="So many commits at most.")] = 30,
) -> Data[list[models.Commit]]:
    await caller.needs(*(Right(verb, OPERATIONS) for verb in ("create", "get")))
    await _configured(caller)
    block = {"branch": branch, "path": path, "limit": limit}
    shown = {k: v for k, v in block.items() if v is not None}
    done = await _waited(caller, await caller.resources.operate("history", shown, _KEEP_SHORT))
    told = done.get("status") or {}
    if told.get("phase") == "Failed":
        reason, message = _verdict(told)
        raise Refusal(404 if reason == "BranchNotFound" else 409, _code(reason), message)
    return Data(
        data=[
            models.Commit(
                sha=commit["sha"],
                message=commit["message"],
                author=commit["author"],
                committed_at=commit["committedAt"],
                pipeline_ids_touched=commit.get("pipelinesTouched") or [],
            )
            for commit in told.get("history") or ()
        ]
    )


_OperationId = Annotated[str, Path(pattern=_OPERATION, max_length=120)]


async def _operation(caller: Caller, operation_id: str) -> dict[str, Any]:
    """Raises Refusal."""
    found = await caller.resources.operation(operation_id.replace("_", "-", 1))
    if found is None:
        raise Refusal(404, "not_found", f"there is no operation {operation_id}; ended ones are kept for a day")
    return found


async def operation(caller: As, operation_id: _OperationId) -> Data[models.Operation]:
    await caller.needs(Right("get", OPERATIONS))
    found = await _operation(caller, operation_id)
    told = found.get("status") or {}
    reason, message = _verdict(told)
    return Data(
        data=models.Operation(
            operation_id=operation_id,
            kind=found["spec"]["kind"],
            status={"Succeeded": "succeeded", "Failed": "failed"}.get(told.get("phase", ""), "running"),
            message=message or None,
            reason=reason or None,
            branch=told.get("branch"),
            commit=told.get("commit"),
            pull_request=models.PullRequest(**told["pullRequest"]) if told.get("pullRequest") else None,
            started_at=told.get("startedAt"),
            finished_at=told.get("finishedAt"),
            counts=told.get("counts") or {},
            changes=[
                models.Change(
                    pipeline_id=c.get("id"),
                    name=c.get("name"),
                    path=c.get("path"),
                    action=c.get("action"),
                    fields=c.get("fields") or [],
                )
                for c in told.get("changes") or ()
            ],
            conflicts=_conflicts(told),
        )
    )


async def plan(
    caller: As, operation_id: _OperationId, page: Annotated[int, Query(ge=1, le=1000)] = 1
) -> Data[models.PlanPage]:
    await caller.needs(Right("get", OPERATIONS), Right("get", PLANS))
    found = await _operation(caller, operation_id)
    told = (found.get("status") or {}).get("plan") or {}
    shown = await caller.resources.plan_page(found, page)
    if shown is None and (page > 1 or told):
        raise Refusal(404, "not_found", f"the plan of {operation_id} has {told.get('pages', 0)} pages")
    return Data(
        data=models.PlanPage(
            page=page,
            pages=told.get("pages", 0),
            truncated=bool(told.get("truncated")),
            changes=[_planned(change) for change in (shown or {}).get("changes") or ()],
            files=[
                models.PlannedFile(
                    path=file["path"],
                    lines_added=file["linesAdded"],
                    lines_removed=file["linesRemoved"],
                    patch=file.get("patch"),
                    withheld=file.get("withheld"),
                )
                for file in (shown or {}).get("files") or ()
            ],
        )
    )


def _planned(change: Mapping[str, Any]) -> models.PlannedChange:
    return models.PlannedChange(
        pipeline_id=change.get("id"),
        name=change.get("name"),
        path=change.get("path"),
        action=change.get("action"),
        fields=[models.PlannedField(**field) for field in change.get("fields") or ()],
        lines_added=change["linesAdded"],
        lines_removed=change["linesRemoved"],
        patch=change.get("patch"),
        withheld=change.get("withheld"),
    )


# --- what they share ------------------------------------------------------------------------------------------------


async def _operate(caller: Caller, kind: str, block: dict[str, Any], *, force: bool) -> Data[models.Accepted]:
    await caller.needs(Right("create", OPERATIONS), Right("get", INTEGRATIONS))
    found = await _configured(caller)
    if is_suspended(found["spec"], datetime.now(UTC)) and not force:
        words = (
            f'the integration is disabled: POST {{"enabled": true}} to go on, or ask for this {kind} with "force": true'
        )
        raise Refusal(409, "suspended", words)
    shown = {k: v for k, v in block.items() if v is not None and v is not False}
    made = await caller.resources.operate(kind, shown, _KEEP, force=force)
    branch = block["branch"] or _branch(found)
    return Data(data=models.Accepted(operation_id=_id(made["metadata"]["name"]), status="running", branch=branch))


async def _configured(caller: Caller) -> dict[str, Any]:
    found = await caller.resources.integration()
    if found is None:
        raise _not_configured()
    if is_dying(found):
        raise Refusal(409, "deleting", "the integration is being removed; POST makes a new one")
    return found


async def _waited(caller: Caller, made: dict[str, Any]) -> dict[str, Any]:
    name = made["metadata"]["name"]
    done = await caller.resources.ended(name, WAIT, caller.gone)
    if done is None:
        words = f"it has not ended within {WAIT:g} s; ask for operations/{_id(name)}. Does the operator run?"
        raise Refusal(504, "timeout", words)
    return done


def _not_configured() -> Refusal:
    return Refusal(404, "not_configured", "no Git integration is configured here; POST one first")


def _branch(found: dict[str, Any]) -> str | None:
    told = (found.get("status") or {}).get("connection") or {}
    branch: str | None = found["spec"].get("defaultBranch") or told.get("defaultBranch")
    return branch


def _id(name: str) -> str:
    return name.replace("-", "_", 1)


def _verdict(told: dict[str, Any]) -> tuple[str, str]:
    found: dict[str, str] = next((c for c in told.get("conditions") or () if c["type"] == "Succeeded"), {})
    return found.get("reason", ""), found.get("message", "")


def _code(reason: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", reason).lower() or "failed"


def _ahead(told: dict[str, Any]) -> dict[str, Any]:
    """What is ahead or not carried, where anything is."""
    entries = [
        models.AheadEntry(
            pipeline_id=entry.get("id"),
            name=entry.get("name"),
            side=entry.get("side"),
            path=entry.get("path"),
            reason=entry.get("reason"),
        )
        for entry in told.get("ahead") or ()
    ]
    if not entries:
        return {}
    return {"ahead": entries, **({"ahead_truncated": True} if told.get("aheadTruncated") else {})}


_AUTHORS = {"ours": models.LiveAuthor, "theirs": models.GitAuthor}


def _conflicts(told: dict[str, Any]) -> list[models.ConflictEntry]:
    return [
        models.ConflictEntry(
            pipeline_id=c.get("id"),
            name=c.get("name"),
            path=c.get("path"),
            fields=c.get("fields") or [],
            reason=c.get("reason"),
            values=[
                models.ConflictValue(**{name: v.get(name) for name in models.ConflictValue.model_fields})
                for v in c.get("values") or ()
            ],
            **{side: model(**c[side]) for side, model in _AUTHORS.items() if c.get(side)},
        )
        for c in told.get("conflicts") or ()
    ]
