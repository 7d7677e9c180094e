"""How every model of the API behaves: camelCase outside, frozen, unknown fields refused by name."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from gitintegration import messages
from gitintegration.errors import Reason, SpecError
from gitintegration.messages import Message

GROUP = "planasonix.com"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

REQUESTED_AT = f"{GROUP}/requestedAt"
CONFIRM_DELETES = f"{GROUP}/confirmDeletes"
HOOK_RECEIVED = f"{GROUP}/hookReceived"
HOOK_MARK = r"[0-9TZ:.-]{20,32}( commit=[0-9a-f]{40,64})?( delivery=[0-9A-Za-z_-]{1,64})?( spread=[0-9]{1,2})?"
"""What the receiver of webhooks leaves, and all that the annotation may hold where it writes it (core/hooks.py)."""
SHARD = f"{GROUP}/shard"
ALLOWED_HOSTS = f"{GROUP}/allowed-hosts"
OWNED_BY = f"{GROUP}/owned-by"
"""Of Secrets: the hosts that its credentials may go to, and the GitIntegration that it may be deleted with."""
PIPELINE_ID = f"{GROUP}/pipeline-id"
EDITED_BY = f"{GROUP}/edited-by"
"""Of pipelines and operations: who edited it last, as the policy of manifests/authors has it."""
CHANGE_REASON = f"{GROUP}/change-reason"
"""Of pipelines: why it was edited, for the commit's message; taken off once that is made."""
AUTHORS_POLICY = "gitintegration-authors"
"""Name of that policy and of its binding."""


class Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="forbid")


M = TypeVar("M", bound=Model)


def read_spec(model: type[M], spec: Any, wrong: Message = messages.SPEC_FIELD) -> M:
    """A spec as the API server holds it. Raises SpecError that names the first field that is wrong, never its value."""
    try:
        return model.model_validate(spec or {})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        path = ".".join(str(part) for part in first["loc"])
        words = wrong(field=f"spec.{path}", words=first["msg"].removeprefix("Value error, "))
        raise SpecError(Reason.InvalidSpec, words) from None
