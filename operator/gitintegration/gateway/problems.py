"""What went wrong, as an answer: in the words of this API, whoever found it, and by the names of its own fields."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match, Mount

from gitintegration.cluster.client import NotFoundError, Unauthenticated
from gitintegration.errors import ClusterError, Forbidden, NotAdmitted, Refused, Stale
from gitintegration.gateway.callers import Allowance
from gitintegration.gateway.gate import CALLER, Refusal
from gitintegration.gateway.models import FIELDS

_TOLD, _FIELD = 20, 128
"""So many wrong fields are told, and so many characters of a name that the caller made up."""
Fields = list[dict[str, str]]

_WORDS = {
    "missing": "is required",
    "extra_forbidden": "is no field of this request",
    "bool_type": "must be true or false",
    "string_type": "must be a string",
    "string_unicode": "must be a string of Unicode",
    "string_too_short": "must have {min_length} characters or more",
    "string_too_long": "may have {max_length} characters",
    "string_pattern_mismatch": "must match {pattern}",
    "list_type": "must be a list",
    "too_short": "must hold {min_length} or more",
    "too_long": "may hold {max_length}",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "dict_type": "must be an object",
    "literal_error": "must be one of {expected}",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "is too large a number",
    "greater_than_equal": "must be {ge} or more",
    "less_than_equal": "must be {le} or less",
}
"""By the kind of error that pydantic tells."""


def answer(
    status: int, code: str, message: str, fields: Fields | None = None, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    challenge = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    body = {"error": {"code": code, "message": message, "fields": fields or []}}
    return JSONResponse(body, status_code=status, headers={**challenge, **(headers or {})})


class Answers:
    """What was refused, by the gateway or by the API server, as an answer. An API server that is away is told in the log,
    once a second at most: nobody fills a disk by asking."""

    def __init__(self) -> None:
        self._log = structlog.get_logger("gateway")
        self._lines = Allowance(1.0, time.monotonic())

    async def refused(self, request: Request, error: Exception) -> JSONResponse:
        asking = (request.scope.get("extensions") or {}).get(CALLER)
        if isinstance(error, Unauthenticated) and asking is not None:
            request.app.state.callers.forget(asking.token)
        return self.problem(error)

    def problem(self, error: Exception) -> JSONResponse:
        match error:
            case Refusal():
                return answer(error.status, error.code, error.message, error.fields, error.headers)
            case NotFoundError():
                return answer(404, "not_found", error.message)
            case Unauthenticated():
                return answer(401, "unauthorized", "the API server does not know this token any more")
            case Forbidden() | NotAdmitted():
                return answer(403, "forbidden", error.message)
            case Stale():
                return answer(409, "conflict", error.message)
            case Refused():
                return _wrong(_of_cluster(error)) if error.causes else answer(422, "invalid", error.message, _BODY)
        assert isinstance(error, ClusterError)
        now = time.monotonic()
        if self._lines.left(now) >= 1:
            self._lines.spend(now)
            self._log.warning("the API server does not serve", error=error.message)
        wait = {"Retry-After": f"{error.retry_after:.0f}"} if error.retry_after else None
        return answer(503, "unavailable", error.message, headers=wait)


async def invalid(_: Request, error: Exception) -> JSONResponse:
    """Fields by name; never what was given, which may be a credential."""
    assert isinstance(error, RequestValidationError)
    return _wrong([field for found in error.errors()[:_TOLD] for field in _told(found)])


async def http(request: Request, error: Exception) -> Response:
    """What is no endpoint. OPTIONS is answered here as well: what may be asked for is known by then."""
    assert isinstance(error, HTTPException)
    if error.status_code == 400:  # raised before a body is looked at: it is not text, or holds what no number can be
        return _wrong([{"field": "body", "message": "can't be read as JSON in UTF-8"}])
    if error.status_code != 405:
        code = HTTPStatus(error.status_code).name.lower()
        return answer(error.status_code, code, str(error.detail), headers=error.headers)
    allow = {"Allow": ", ".join(sorted(_methods(request.app.routes, request.scope)))}
    if request.method == "OPTIONS":
        return Response(status_code=204, headers=allow)
    return answer(405, "method_not_allowed", f"this path takes {allow['Allow']}", headers=allow)


async def defect(_: Request, error: Exception) -> JSONResponse:
    structlog.get_logger("gateway").error("request failed", error=type(error).__name__)
    return answer(500, "internal", "internal error")


def _methods(routes: Sequence[BaseRoute], scope: Mapping[str, Any]) -> set[str]:
    """All that a path takes, by whichever route; files are only read."""
    asked = {
        method: [route for route in routes if route.matches({**scope, "method": method})[0] is Match.FULL]
        for method in ("DELETE", "GET", "PATCH", "POST", "PUT")
    }
    found = {m for m, takers in asked.items() if m == "GET" or not all(isinstance(r, Mount) for r in takers)}
    found &= {m for m, takers in asked.items() if takers}
    return found | {"OPTIONS"} | ({"HEAD"} if "GET" in found else set())


# --- fields ---------------------------------------------------------------------------------------------------------

_VALUE = re.compile(r'^(Invalid|Unsupported) value: ("([^"\\]|\\.)*"|[^:]*): ')
_BODY: Fields = [{"field": "body", "message": "is not what the API server takes"}]


def _wrong(fields: Fields) -> JSONResponse:
    words = "; ".join(f"{field['field']}: {field['message']}" for field in fields[:5])
    return answer(422, "invalid", words, fields[:_TOLD])


def _told(found: Mapping[str, Any]) -> Fields:
    """One error of pydantic's. What speaks of several fields of an object names each."""
    where, context = tuple(found["loc"][1:]), found.get("ctx") or {}
    if found["type"] == "json_invalid":
        where, words = (), f"is no JSON: {context.get('error', '')} at character {found['loc'][-1]}"
    elif found["type"] == "value_error":
        words = str(context["error"])
    elif found["type"] == FIELDS:
        return [{"field": _named((*where, name)), "message": context["words"]} for name in context["names"]]
    else:
        words = _WORDS.get(found["type"], "is not what is taken here").format(**context)
    return [{"field": _named(where), "message": words}]


def _named(where: tuple[str | int, ...]) -> str:
    path = ".".join(str(part) for part in where) or "body"
    return path[:_FIELD].encode(errors="replace").decode()


_OURS = {
    "spec.enabled": "enabled",
    "spec.provider": "provider",
    "spec.repositoryURL": "repository_url",
    "spec.defaultBranch": "default_branch",
    "spec.pathPrefix": "path_prefix",
    "spec.sync.mode": "sync_mode",
    "spec.sync": "sync_mode",
    "spec.author.name": "author_name",
    "spec.author.email": "author_email",
    "spec.credentials": "credentials",
    "spec.credentials.type": "credentials.type",
    "spec.credentials.installationID": "credentials.installation_id",
    "spec.credentials.secretRef.name": "ssh_key_id",
    "spec.push.branch": "branch",
    "spec.push.message": "message",
    "spec.push.pipelines": "pipeline_ids",
    "spec.push.pullRequest.title": "pr_title",
    "spec.push.pullRequest.body": "pr_body",
    "spec.pull.branch": "branch",
    "spec.pull.strategy": "strategy",
    "spec.pull.pipelines": "pipeline_ids",
    "spec.test.repositoryURL": "repository_url",
    "spec.test.credentials": "credentials",
    "spec.history.branch": "branch",
    "spec.history.path": "path",
    "spec.history.limit": "limit",
}
"""Where a body's field lies in the resource."""


def _of_cluster(error: Refused) -> Fields:
    """What the API server says of the resource, by the body's fields; each once."""
    told: dict[str, str] = {}
    for path, message in error.causes:
        ours = next((_OURS[p] for p in _upwards(path) if p in _OURS), "body")
        told.setdefault(ours, _plain(message))
    return [{"field": field, "message": message} for field, message in told.items()]


def _upwards(path: str) -> list[str]:
    parts = path.split("[", 1)[0].split(".")
    return [".".join(parts[:n]) for n in range(len(parts), 1, -1)]


def _plain(message: str) -> str:
    """Without the value, which the API server repeats, and with the names that a caller knows."""
    words = _VALUE.sub("", message)
    for theirs, ours in (("repositoryURL", "repository_url"), ("pathPrefix", "path_prefix"), ("spec.", "")):
        words = words.replace(theirs, ours)
    return words
