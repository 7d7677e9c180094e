"""Where there can be no node of the bed, a line says why; what root can install is installed, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.bed import node


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """A machine of root's with Debian 12 and no programs; the packages that are installed on it."""
    release = tmp_path / "os-release"
    release.write_text("ID=debian\nVERSION_CODENAME=bookworm\n")
    monkeypatch.setattr(node, "_RELEASE", release)
    monkeypatch.setattr(node, "_PLUGINS", tmp_path / "cni")
    monkeypatch.setattr(node, "_environment", lambda: {"PATH": str(tmp_path)})
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    installed: list[str] = []
    monkeypatch.setattr(node, "install", lambda *packages: installed.extend(packages))
    return installed


def test_others_than_root_have_none(bare: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert node.why_not() == "it takes root on Linux"
    assert not bare


def test_another_system_has_none(bare: list[str]) -> None:
    node._RELEASE.write_text("ID=other\n")
    assert "bookworm" in node.why_not()
    assert not bare


def test_what_is_missing_is_named_where_it_can_not_be_installed(
    bare: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node, "can_install", lambda: False)
    assert node.why_not().split()[0] == "install"
    assert {"containerd", "runc", "containernetworking-plugins", "buildah", "mmdebstrap"} < set(node.why_not().split())
    assert not bare


@pytest.mark.parametrize("answers", [True, False])
def test_what_is_missing_is_installed_and_no_more(
    bare: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, answers: bool
) -> None:
    """A docker whose daemon does not answer builds nothing."""
    monkeypatch.setattr(node, "can_install", lambda: True)
    for name in ("runc", "docker"):
        (tmp_path / name).write_text(f"#!/bin/sh\nexit {int(not answers)}\n")
        (tmp_path / name).chmod(0o755)
    node.why_not()
    assert "containerd" in bare
    assert "runc" not in bare
    assert ("buildah" in bare) is not answers
