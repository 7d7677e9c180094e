"""Which labels make an object a pipeline of an integration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gitintegration.api.integration import LabelSelector


def selects(selector: LabelSelector | None, whole: Mapping[str, Any] | None) -> bool:
    """Whether the object or manifest has the labels; nothing has none."""
    if whole is None:
        return False
    if selector is None:
        return True
    labels = (whole.get("metadata") or {}).get("labels") or {}
    if any(labels.get(name) != value for name, value in (selector.match_labels or {}).items()):
        return False
    for requirement in selector.match_expressions or ():
        value, values = labels.get(requirement.key), requirement.values or []
        holds = {
            "In": value in values,
            "NotIn": value not in values,
            "Exists": requirement.key in labels,
            "DoesNotExist": requirement.key not in labels,
        }[requirement.operator]
        if not holds:
            return False
    return True
