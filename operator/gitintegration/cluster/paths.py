"""The one place that makes a path of the API server's, out of segments that are checked and encoded.

Names come from resources, Secrets' references and files that anybody may have written: `../../other/secrets/prod` must
never be more than a name that is not there. So no other text is a path (`Path` is made only here), and the client sends
it as it stands.
"""

from __future__ import annotations

from typing import NewType
from urllib.parse import quote

from gitintegration.api.names import NAME_LENGTH, split_api_version
from gitintegration.errors import Reason, SpecError

Path = NewType("Path", str)


def api_path(*segments: str) -> Path:
    """The path of these segments. Raises SpecError for one that can't be a segment, by Kubernetes' own rule for names."""
    return Path("".join(f"/{quote(_checked(segment), safe='')}" for segment in segments))


def version_path(api_version: str, *segments: str) -> Path:
    """The same below a group and version: `apps/v1`, or `v1` of the core group."""
    group, version = split_api_version(api_version)
    return api_path("apis", group, version, *segments) if group else api_path("api", version, *segments)


def _checked(segment: str) -> str:
    bad = segment in ("", ".", "..") or len(segment) > NAME_LENGTH or not segment.isprintable()
    if bad or any(ch in segment for ch in "/%\\?# "):
        raise SpecError(Reason.InvalidSpec, f"{segment[:80]!r} is no name of an object")
    return segment
