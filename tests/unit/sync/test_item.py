"""An item whose values are folded is the same item."""

from __future__ import annotations

from gitintegration.core.diff import ABSENT, Change
from gitintegration.core.merge import Base, Decision, Write
from gitintegration.core.state.record import ItemRecord, Watermark
from gitintegration.core.values import ObjectKey
from gitintegration.sync.cluster_side import Live
from gitintegration.sync.item import Item, in_turn, summary

KEY = ObjectKey("planasonix.com", "Pipeline", "orders")
OLD, NEW = {"spec": {"owner": "ann"}}, {"spec": {"owner": "bob"}}


def item(decision: Decision) -> Item:
    record = ItemRecord(KEY, Watermark("pipelines/orders.yaml", "b10b", "41"), Base(OLD, OLD))
    live = Live({"metadata": {"name": "orders", "resourceVersion": "42"}}, NEW)
    return Item(KEY, None, record, None, live, OLD, OLD, decision)  # type: ignore[arg-type]


def test_what_is_asked_for_unfolds_and_its_turn_folds_it_again() -> None:
    whole, folded = (item(Decision(git=Write(NEW), local_ahead=True)) for _ in range(2))
    folded.fold()
    assert folded.is_folded
    for each in in_turn([folded]):
        assert each.live == whole.live
        assert not each.is_folded
    assert folded.is_folded
    assert folded == whole
    assert not folded.is_folded


def test_what_is_folded_is_let_go_after_its_last_turn_and_nothing_else() -> None:
    whole, folded = (item(Decision(git=Write(NEW))) for _ in range(2))
    folded.fold()
    for each in in_turn([whole, folded], last=True):
        assert each.live and each.live.view == NEW
    assert not folded.is_folded
    assert not hasattr(folded, "live")
    assert whole.live and whole.live.view == NEW


def test_what_is_absent_stays_absent() -> None:
    """It is told by identity, which a pickle does not keep by itself."""
    made = item(Decision(git=Write(NEW), local=(Change(("spec", "owner"), ABSENT, "bob"),)))
    made.fold()
    assert made.decision.local[0].old is ABSENT


def test_what_is_set_while_it_is_folded_stays() -> None:
    made = item(Decision(git=Write(NEW)))
    made.fold()
    for each in in_turn([made]):
        each.git_view = NEW
    assert made.is_folded
    assert (made.git_view, made.manifest, made.record and made.record.path) == (NEW, OLD, "pipelines/orders.yaml")


def test_a_summary_unfolds_nothing_and_knows_what_is_deleted() -> None:
    created, deleted = item(Decision(git=Write(NEW))), item(Decision(git=Write(None)))
    deleted.key = KEY._replace(name="refunds")
    created.fold()
    told = summary([created, deleted])
    assert (told.created, told.updated, told.deleted) == (["orders"], [], ["refunds"])
    assert created.is_folded
