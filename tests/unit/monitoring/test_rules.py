"""The alert rules fire when they should, each has its paragraph, and nothing asks for a metric that there is not."""

from __future__ import annotations

import copy
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from gitintegration.metrics import HookMetrics, Metrics, Standing
from tests.bed.cluster import ROOT
from tests.bed.promtool import promtool

MONITORING = ROOT / "manifests" / "monitoring"
HERE = Path(__file__).parent
OURS = re.compile(r"gitintegration_[a-z_]+")
RULE = yaml.safe_load((MONITORING / "rules.yaml").read_text())
DASHBOARD = json.loads((MONITORING / "dashboard.json").read_text())


class Operator:
    def standings(self) -> list[Standing]:
        return [Standing("a", "gi", {"conditions": [{"type": "Ready", "status": "False", "reason": "Timeout"}]}, 1.0)]

    def waiting(self) -> int:
        return 0


def known() -> set[str]:
    """The names of all samples that a process can tell."""
    metrics = Metrics()
    metrics.watch(Operator())
    metrics.watch_lease(lambda: True)
    metrics.synced("failed", "Timeout", 1.0)
    metrics.operation("push", "Succeeded")
    metrics.waited(1.0)
    metrics.git_request("fetch", "ok", 1.0)
    metrics.kube_request("GET", 200)
    metrics.forge_request("GET", 200)
    hooks = HookMetrics(lambda: 1)
    hooks.delivered("woken")
    text = (metrics.page() + hooks.page()).decode()
    return set(OURS.findall(re.sub(r"^#.*$|\{.*", "", text, flags=re.MULTILINE)))


def expressions(found: Any) -> list[str]:
    if isinstance(found, dict):
        return [v for k, v in found.items() if k == "expr"] + [e for v in found.values() for e in expressions(v)]
    return [e for v in found for e in expressions(v)] if isinstance(found, list) else []


def run(*command: str | Path) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_takes_the_rules_and_sees_them_fire(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(yaml.safe_dump(RULE["spec"]))
    run(promtool(), "check", "rules", "--lint=all", "--lint-fatal", rules)
    without_words = copy.deepcopy(RULE["spec"])
    for group in without_words["groups"]:
        for rule in group["rules"]:
            del rule["annotations"]
    rules.write_text(yaml.safe_dump(without_words))
    shutil.copy(HERE / "alerts.yaml", tmp_path)
    run(promtool(), "test", "rules", tmp_path / "alerts.yaml")


def test_promtool_takes_every_expression_of_the_dashboard() -> None:
    for expression in expressions(DASHBOARD):
        run(promtool(), "--experimental", "promql", "format", expression.replace("$namespace", ".*"))


def test_promtool_takes_the_page(tmp_path: Path) -> None:
    metrics = Metrics()
    metrics.watch(Operator())
    done = subprocess.run([str(promtool()), "check", "metrics"], input=metrics.page(), capture_output=True)
    ours = [line for line in (done.stdout + done.stderr).decode().splitlines() if "gitintegration_" in line]
    assert not ours


@pytest.mark.parametrize("where", [RULE, DASHBOARD], ids=["rules", "dashboard"])
def test_only_what_there_is_is_asked_for(where: Any) -> None:
    asked = {name for expression in expressions(where) for name in OURS.findall(expression)}
    assert asked
    assert asked <= known()


def test_each_alert_is_tested_and_has_its_paragraph() -> None:
    alerts = [rule["alert"] for group in RULE["spec"]["groups"] for rule in group["rules"]]
    tested = yaml.safe_load((HERE / "alerts.yaml").read_text())["tests"][0]["alert_rule_test"]
    assert set(alerts) == {one["alertname"] for one in tested if one["exp_alerts"]}
    runbook = (ROOT / "docs" / "runbook.md").read_text()
    for group in RULE["spec"]["groups"]:
        for rule in group["rules"]:
            assert rule["annotations"]["runbook_url"].endswith(f"docs/runbook.md#{rule['alert'].lower()}")
            assert f"\n## {rule['alert']}\n" in runbook
