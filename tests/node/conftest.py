"""What a test that failed tells of the node, which is gone when it is read."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.node.bed import Bed

_PODS = ("get", "pods,events,leases", "--sort-by=.metadata.creationTimestamp", "-o=wide")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    bed = item.funcargs.get("bed") if isinstance(item, pytest.Function) else None
    if report.failed and isinstance(bed, Bed):
        lines = bed.pods.log().splitlines()[-60:]
        report.sections.append(("the Pods", bed.pods.kubectl(*_PODS, check=False)))
        report.sections.append(("the last lines of the Pods", "\n".join(lines)))
        report.sections.append(("the node", bed.node.logs()))
    return report
