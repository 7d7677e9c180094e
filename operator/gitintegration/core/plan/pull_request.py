"""How a pull request reads where nobody said it: from the plan. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from gitintegration.core.layout import Summary, commit_message
from gitintegration.core.plan.plan import PlannedChange

_TITLE, _LISTED, _FIELDS = 255, 200, 12


def pull_request_text(changes: Sequence[PlannedChange], *, integration: str, namespace: str) -> tuple[str, str]:
    """Title and body: what becomes of each pipeline, field by field."""
    named = {action: [c.key.name for c in changes if c.action == action] for action in ("create", "update", "delete")}
    summary = Summary(named["create"], named["update"], named["delete"])
    title = commit_message(summary, integration=integration, namespace=namespace).partition("\n")[0]
    ordered = sorted(changes, key=lambda c: (c.action, c.key.kind, c.key.name))
    lines = [_line(change) for change in ordered[:_LISTED]]
    more = [f"- and {len(ordered) - _LISTED} more"] if len(ordered) > _LISTED else []
    origin = f"Made from the cluster by GitIntegration `{namespace}/{integration}`."
    return title[:_TITLE] or "Pipelines", "\n".join([*lines, *more, "", origin, ""])


def _line(change: PlannedChange) -> str:
    fields = ", ".join(f"`{field}`" for field in change.fields[:_FIELDS])
    more = f" and {len(change.fields) - _FIELDS} more" if len(change.fields) > _FIELDS else ""
    return f"- {change.action} **{change.key.name}** ({change.path})" + (f": {fields}{more}" if fields else "")
