"""Whether every edit is where it belongs once all is calm, and nothing is where it does not."""

from __future__ import annotations

import base64
import contextlib
import time
from collections.abc import Iterable
from itertools import pairwise
from typing import Any
from urllib.parse import quote

import yaml

from gitintegration.api.integration import Author as OperatorAuthor
from tests.bed.gitserver import TOKEN, WRITER, git
from tests.bed.world import World, eventually
from tests.soak import gauges
from tests.soak.authors import Ledger
from tests.soak.chaos import Bed

_SETTLED = 180.0
_NOTICED = 60.0
_OPERATOR = OperatorAuthor().name
_INTERVAL = 10.0


def judged(w: World, ledger: Ledger) -> list[str]:
    """Each edit is on both sides; nothing is in conflict, for no field has two authors; no commit was for nothing."""
    try:
        eventually(lambda: (s := w.sync_now()).get("inSync") or s.get("conflictCount"), _SETTLED)
        status = w.sync_now()
    except AssertionError as error:
        return [f"{w.namespace} does not settle: {error}; {w.status().get('conditions')}"]
    head = w.repo.head()
    assert head
    live = {name: (w.get(name) or {}) for name in w.names()}
    in_git = _documents(w, head, w.repo.files())
    wrong = [f"{w.namespace}: a conflict {conflict}" for conflict in status.get("conflicts", ())]
    for (namespace, name, field), value in ledger.fields.items():
        if namespace == w.namespace:
            here, there = _label(live.get(name), field), _label(in_git.get(name), field)
            if here == there == value:
                ledger.counts["fields as written last"] += 1
            else:
                wrong.append(f"{namespace}/{name} {field}: written {value}, in the cluster {here}, in git {there}")
    for (namespace, name), left in ledger.there.items():
        if namespace == w.namespace:
            if (name in live) == (name in in_git) == left:
                ledger.counts["pipelines there, or gone, as left"] += 1
            else:
                words = f"in the cluster {name in live}, in git {name in in_git}"
                wrong.append(f"{namespace}/{name}: left {'there' if left else 'deleted'}, {words}")
    with contextlib.suppress(AssertionError):  # that a schema became another is noticed after a while
        eventually(lambda: not gauges.wrong(w, ledger.levels), _NOTICED)
    wrong += gauges.wrong(w, ledger.levels)
    time.sleep(_INTERVAL + 2)  # an echo would come by now
    if w.repo.head() != head:
        wrong.append(f"{w.namespace}: a commit though nothing changed")
    return wrong + _commits(w, ledger)


def _commits(w: World, ledger: Ledger) -> list[str]:
    """Whether a commit was empty, and whether the operator wrote what nobody wanted: git's own edits, or older values."""
    wrong = []
    log = [line.split() for line in w.repo.log("--first-parent", "--format=%H %T %an").splitlines()]
    if any(after[1] == before[1] for after, before in pairwise(log)):
        wrong.append(f"{w.namespace}: an empty commit")
    for (commit, _, *author), (parent, *_) in pairwise(log):
        if " ".join(author) != _OPERATOR:
            continue
        ledger.counts["commits by the operator"] += 1
        paths = git("diff", "--name-only", "-z", parent, commit, cwd=w.repo.path).split("\0")[:-1]
        before, after = _documents(w, parent, paths), _documents(w, commit, paths)
        for name in before.keys() | after.keys():
            old, new = before.get(name), after.get(name)
            if name in gauges.NAMES or name.startswith("gown") or (name.startswith("p") and None in (old, new)):
                wrong.append(f"{w.namespace} {commit}: {name} is git's to create, edit or delete")
                continue
            fields = _labels(old).keys() | _labels(new).keys() if old and new else ()
            for field in fields:
                was, now = _label(old, field), _label(new, field)
                if was != now and not (field[0] == "c" and _number(now) > _number(was)):
                    wrong.append(f"{w.namespace} {commit}: {name} {field} from {was} to {now}")
    return wrong


def _documents(w: World, commit: str, paths: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The pipelines in these files of a commit, by name."""
    found = {}
    for path in paths:
        try:
            document = yaml.safe_load(git("show", f"{commit}:{path}", cwd=w.repo.path))
        except RuntimeError:
            continue
        found[document["metadata"]["name"]] = document
    return found


def _labels(document: dict[str, Any] | None) -> dict[str, str]:
    return ((document or {}).get("metadata") or {}).get("labels") or {}


def _label(document: dict[str, Any] | None, field: str) -> str | None:
    return _labels(document).get(field)


def _number(value: str | None) -> int:
    return int(value[1:]) if value else -1


def leaks(bed: Bed, worlds: Iterable[World]) -> list[str]:
    """Where a credential can be read, in any form."""
    places = dict(bed.replicas.texts())
    for w in worlds:
        places[w.namespace] = w.kubectl("get", "gi,gitop,ev,cm,gitintegrationbases", "-o", "yaml")
        places[f"{w.namespace} git"] = w.repo.log("-p")
    forms = {}
    for secret in (TOKEN, WRITER[1], f"{WRITER[0]}:{WRITER[1]}"):
        encoded = base64.b64encode(secret.encode()).decode().rstrip("=")
        forms.update({secret: secret, encoded: secret, quote(secret, safe=""): secret})
    return [f"a credential is in {place}" for place, text in places.items() for form in forms if form in text]
