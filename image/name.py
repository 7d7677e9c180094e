"""The image's name, in the one place where it stands. Without an argument it is printed; with one it is written there.

name.py [REGISTRY/REPOSITORY[:TAG][@DIGEST]]
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

_PLACE = Path(__file__).parents[1] / "manifests" / "image" / "kustomization.yaml"
_NAME = re.compile(
    r"(?P<newName>(?:[\w.-]+(?::\d+)?/)?[a-z0-9]+(?:[._/-]+[a-z0-9]+)*)"
    r"(?::(?P<newTag>\w[\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)


def parsed(name: str) -> dict[str, str]:
    """newName, newTag and digest, as kustomize calls them. Raises SystemExit."""
    found = _NAME.fullmatch(name)
    parts = {key: value for key, value in found.groupdict().items() if value} if found else {}
    if len(parts) < 2:
        raise SystemExit(
            f"{name!r} is no name of an image as registry.example.com/team/gitintegration:0.1.0, with a tag or a digest"
        )
    return parts


def read(text: str) -> str:
    """The name that the component gives."""
    parts: dict[str, str] = dict(re.findall(r"^    (newName|newTag|digest): \"(\S+)\"$", text, re.MULTILINE))
    tag, digest = parts.get("newTag"), parts.get("digest")
    return parts["newName"] + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")


def written(text: str, name: str) -> str:
    """The component with another name."""
    lines = "".join(f'    {key}: "{value}"\n' for key, value in parsed(name).items())
    return re.sub(r"(  - name: gitintegration\n)(?:    .*\n)*", lambda found: str(found[1]) + lines, text)


if __name__ == "__main__":
    if sys.argv[1:]:
        _PLACE.write_text(written(_PLACE.read_text(), sys.argv[1]))
    print(read(_PLACE.read_text()))
