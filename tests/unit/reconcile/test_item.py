"""What a commit says of its items."""

from __future__ import annotations

from dataclasses import dataclass

from gitintegration.core.values import ObjectKey
from gitintegration.reconcile.item import Verb, summary


@dataclass(frozen=True)
class Change:
    key: ObjectKey
    verb: Verb


def test_a_summary_names_what_is_made_changed_and_gone() -> None:
    verbs = {"orders": Verb.create, "users": Verb.update, "old": Verb.delete, "bills": Verb.create}
    told = summary(Change(ObjectKey("planasonix.com", "Pipeline", name), verb) for name, verb in verbs.items())
    assert (told.created, told.updated, told.deleted) == (["orders", "bills"], ["users"], ["old"])
