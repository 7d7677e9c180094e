"""Edits of one large file, beside one parse of it: in this process, as a worker makes them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import orjson

from gitintegration.core.yaml_edit import Location, edit_file
from gitintegration.core.yaml_read import ReadLimits, read_documents
from tests.bench.results import Edits

_LIMITS = ReadLimits(size=4 << 20)
_DOCUMENT = """\
---
# Orders {n}, every morning.
apiVersion: planasonix.com/v1alpha1
kind: Pipeline
metadata:
  name: orders-{n}   # the key
  labels: {{team: crm, tier: "gold"}}
spec:
  displayName: 'Orders'
  schedule: "0 5 * * *" # early
  owner: ann
  steps:
    - name: extract
      sql: |
        select id, placed_at, customer, total, currency, channel, discount, region
        from orders.placed_at_some_time_of_the_day
        where placed_at > now() - interval '1 day' and not cancelled and region <> 'test'
        order by placed_at, customer, total, currency, channel, discount, region
      # keep this small
      batch: 100
    - name: load
      table: dwh.orders
      note: what is loaded twice is the same, and what is late is loaded by the next run; ask the owner before a reload
  tags:
  - a
  - b
"""


def measure(documents: int = 1000, rounds: int = 3) -> Edits:
    """Medians of seconds of CPU."""
    source = "".join(_DOCUMENT.format(n=n) for n in range(documents)).encode()
    changed = []
    for value in read_documents(source, _LIMITS):
        value["spec"]["owner"] = "bob"
        changed.append(orjson.loads(orjson.dumps(value)))
    every = {Location(n): value for n, value in enumerate(changed)}
    one = {Location(documents // 2): changed[documents // 2]}
    return Edits(
        documents,
        len(source),
        _median(rounds, lambda: read_documents(source, _LIMITS)),
        _median(rounds, lambda: edit_file(source, "x.yaml", one, _LIMITS)),
        _median(rounds, lambda: edit_file(source, "x.yaml", every, _LIMITS)),
    )


def _median(rounds: int, run: Callable[[], object]) -> float:
    taken = []
    for _ in range(rounds):
        began = time.process_time()
        run()
        taken.append(time.process_time() - began)
    return statistics.median(taken)
