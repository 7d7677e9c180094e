"""Events say what servers and files put into messages, but no terminal obeys it."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gitintegration.cluster.events import write_event

SEEN = {"metadata": {"namespace": "data", "name": "gi", "uid": "1"}}


class Cluster:
    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    async def request(self, method: str, path: str, *, body: dict[str, Any]) -> None:
        self.sent.append(body)


@given(st.text(max_size=2000))
async def test_an_event_holds_no_control_character(words: str) -> None:
    cluster = Cluster()
    await write_event(cluster, SEEN, of="GitIntegration", kind="Warning", reason="PushRejected", message=words)  # type: ignore[arg-type]
    message = cluster.sent[0]["message"]
    assert message.isprintable()
    assert len(message) == min(len(words), 1000)
