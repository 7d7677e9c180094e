"""What a commit says of its items."""

from __future__ import annotations

from dataclasses import dataclass

from gitintegration.core.values import ObjectKey
from gitintegration.reconcile.item import RunStats, Verb, summary


@dataclass(frozen=True)
class Change:
    key: ObjectKey
    verb: Verb
    version: str = "7"


def test_a_summary_names_what_is_made_changed_and_gone() -> None:
    verbs = {"orders": Verb.create, "users": Verb.update, "old": Verb.delete, "bills": Verb.create}
    told = summary(Change(ObjectKey("planasonix.com", "Pipeline", name), verb) for name, verb in verbs.items())
    assert (told.created, told.updated, told.deleted) == (["orders", "bills"], ["users"], ["old"])


def test_what_was_restored_and_not_edited_since_is_told_so() -> None:
    keys = [ObjectKey("planasonix.com", "Pipeline", name) for name in ("orders", "users", "new")]
    restored = {keys[0]: ("7", "9f8e7d6c5b4a3921"), keys[1]: ("6", "9f8e7d6c5b4a3921")}
    told = summary([Change(key, Verb.update) for key in keys], restored)
    assert (told.restored, told.revision, told.updated) == (["orders"], "9f8e7d6c5b4a", ["users", "new"])
    assert told.words == "restore orders from 9f8e7d6c5b4a; update new, users"


def test_an_event_names_what_was_pulled_and_what_was_pushed() -> None:
    one = RunStats(pulled={Verb.update: ["orders"]})
    assert one.words == "1 pipeline pulled into the cluster: update orders"
    both = RunStats(
        commits=["9f8e7d6c5b4a3921"],
        pushed=["Update c"],
        pulled={Verb.delete: ["z"], Verb.create: ["e", "d", "c", "b", "a"]},
    )
    words = "6 pipelines pulled into the cluster: create a, b, c and 2 more; delete z; pushed 9f8e7d6c5b4a: Update c"
    assert both.words == words
