"""Pipeline: the kind that comes with the operator."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from gitintegration.api.base_model import Model


class Step(Model):
    """One step of a pipeline; unknown fields are kept."""

    name: str = Field(min_length=1, max_length=253, description="Name of the step, unique within the pipeline.")


class PipelineSpec(Model):
    """A pipeline definition; unknown fields are kept."""

    display_name: str | None = Field(None, description="Name for people.")
    description: str | None = Field(None, description="What the pipeline is for.")
    owner: str | None = Field(None, description="Who answers for it.")
    schedule: str | None = Field(None, description="When it runs, as cron.")
    enabled: bool | None = Field(None, description="Whether it runs.")
    source: dict[str, Any] | None = Field(None, description="Where the data comes from.")
    steps: list[Step] | None = Field(
        None,
        max_length=1024,
        description="What is done with it, in order.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    destination: dict[str, Any] | None = Field(None, description="Where it goes.")
