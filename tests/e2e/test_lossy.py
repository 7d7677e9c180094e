"""An edit that takes comments beside its own is told wherever somebody looks: an event, the operation, a metric, the log."""

from __future__ import annotations

from collections.abc import Callable

from tests.bed.operator import OperatorProcess
from tests.bed.world import World, eventually, manifest
from tests.e2e.test_operations import ask, why

MakeWorld = Callable[..., World]
PATH = "pipelines/orders.yaml"
TAGS = "  tags: [c, # from the catalogue\n    a, # first\n    b]\n"
REORDERED = ["b", "c", "a"]


def lossy(operator: OperatorProcess) -> float:
    lines = operator.metrics().splitlines()
    return sum(float(line.split()[1]) for line in lines if line.startswith("gitintegration_lossy_edits_total"))


def test_a_sync_tells_it(world: MakeWorld, operator: OperatorProcess) -> None:
    w = world({PATH: manifest("orders") + TAGS})
    w.secret()
    w.integrate()
    w.in_sync()
    before = lossy(operator)
    w.patch("orders", {"owner": "bob"})
    eventually(lambda: "bob" in (w.repo.read(PATH) or ""))
    assert TAGS in (w.repo.read(PATH) or ""), "another field's edit leaves them"
    assert "LossyEdit" not in w.kubectl("get", "events", "-o", "jsonpath={.items[*].reason}")
    w.patch("orders", {"tags": REORDERED})
    eventually(lambda: "catalogue" not in (w.repo.read(PATH) or "catalogue"))
    told = eventually(lambda: w.kubectl("get", "events", "--field-selector=reason=LossyEdit", "-o", "yaml"))
    assert eventually(lambda: PATH in w.kubectl("get", "events", "--field-selector=reason=LossyEdit", "-o", "yaml")), (
        told
    )
    eventually(lambda: lossy(operator) >= before + 1)
    assert PATH in operator.log()
    w.in_sync()


def test_a_push_tells_it_in_its_status(world: MakeWorld) -> None:
    w = world({PATH: manifest("orders") + TAGS})
    w.secret()
    w.integrate(sync={"mode": "Pull"})
    w.in_sync()
    w.patch("orders", {"tags": REORDERED})
    eventually(lambda: w.sync_now().get("localAheadCount") == 1)
    done = ask(w, "push")
    assert why(done)[0] == "Succeeded", why(done)
    assert done["lossy"] == [PATH]
