"""Writes what is generated from the models and from the table of messages: `python -m gitintegration.api [--check]`, from the project's root."""

from __future__ import annotations

import sys
from pathlib import Path

from gitintegration.api.crd import render_crds
from gitintegration.api.policy import render_authors, render_policies
from gitintegration.api.reference import render_reference
from gitintegration.messages import render_messages


def main() -> int:
    """Writes the files; with --check, only tells which differ and fails."""
    check = "--check" in sys.argv[1:]
    made = {Path("crds") / name: text for name, text in render_crds().items()}
    made[Path("manifests") / "base" / "policy.yaml"] = render_policies()
    made[Path("manifests") / "authors" / "policy.yaml"] = render_authors()
    made[Path("docs") / "reference.md"] = render_reference()
    made[Path("docs") / "messages.md"] = render_messages()
    stale = [path for path, text in made.items() if not path.exists() or path.read_text() != text]
    for path in stale:
        print(f"{path} is not what the models say; run make generate" if check else f"wrote {path}")
        if not check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(made[path])
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
