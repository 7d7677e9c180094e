"""GitIntegrationBase: where the operator keeps what both sides agreed on."""

from __future__ import annotations

from pydantic import Field

from gitintegration.api.base_model import Model


class GitIntegrationBaseSpec(Model):
    """The operator's memory: what both sides last agreed on, what is about to be written. Do not edit; deleting it is safe."""

    integration_uid: str = Field(alias="integrationUID", max_length=64, description="UID of the GitIntegration.")
    shard: str = Field(max_length=32, description="Bits that the hashes of the keys in this piece begin with.")
    data: str = Field(
        max_length=1_400_000,
        description="Records: JSON, compressed by zlib, in base64; before it the number of their form and a colon, where that is not 1.",
    )
    revision: str | None = Field(
        None, max_length=80, description="A number that counts on, and the branch's head that the records are of."
    )
