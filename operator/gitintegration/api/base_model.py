"""How every model of the API behaves: camelCase outside, frozen, unknown fields refused by name."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

GROUP = "planasonix.com"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

REQUESTED_AT = f"{GROUP}/requestedAt"
CONFIRM_DELETES = f"{GROUP}/confirmDeletes"
PIPELINE_ID = f"{GROUP}/pipeline-id"


class Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="forbid")
