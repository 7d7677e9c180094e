"""What forges document of their APIs, as far as they are asked: each request, and each answer of a test, is held against it."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import yaml
from openapi_core import OpenAPI
from openapi_core.testing import MockRequest, MockResponse

from gitintegration.api.integration import Provider

_HERE = Path(__file__).parent / "described"
DESCRIBED = tuple(Provider(file.stem) for file in sorted(_HERE.glob("*.yaml")))


def hold(provider: Provider, request: httpx.Request, answer: httpx.Response | None) -> None:
    """Raises where one of the two is not as the forge describes it; a parameter that it does not know is one."""
    if provider not in DESCRIBED:
        return
    text, api = _described(provider)
    path = request.url.raw_path.decode().partition("?")[0]
    root = f"{request.url.scheme}://{request.url.host}"
    asked = MockRequest(
        root,
        request.method.lower(),
        path,
        args=dict(request.url.params),
        data=request.content or None,
        content_type="application/json",
    )
    api.validate_request(asked)
    if answer is not None:
        api.validate_response(asked, MockResponse(answer.content, answer.status_code, content_type="application/json"))
    template = _template(text, f"{root}{path}")
    names = {
        _name(text, one) for part in (template, template[request.method.lower()]) for one in part.get("parameters", ())
    }
    assert request.url.params.keys() <= names, request.url


@cache
def _described(provider: Provider) -> tuple[Any, OpenAPI]:
    text = yaml.safe_load((_HERE / f"{provider.value}.yaml").read_text())
    return text, OpenAPI.from_dict(text)


def _template(text: Any, url: str) -> Any:
    path = url.removeprefix(text["servers"][0]["url"])
    (found,) = [
        parts for template, parts in text["paths"].items() if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path)
    ]
    return found


def _name(text: Any, parameter: Any) -> str:
    reference = parameter.get("$ref", "").rpartition("/")[2]
    return str((text["components"]["parameters"][reference] if reference else parameter)["name"])
