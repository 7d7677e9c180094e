"""A GitHub App end to end: from its private key to a pushed commit and a pull request, on a GitHub Enterprise's address."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bed.controlplane import ControlPlane
from tests.bed.github import APP, INSTALLATION, GitHubServer, new_key, pem
from tests.bed.operator import OperatorProcess
from tests.bed.world import World, eventually, manifest
from tests.e2e.test_operations import ask, why


@pytest.fixture
def github(tmp_path: Path) -> Iterator[GitHubServer]:
    made = GitHubServer(tmp_path / "github")
    yield made
    made.stop()


@pytest.fixture
def app(control_plane: ControlPlane, operator: OperatorProcess, github: GitHubServer) -> Callable[..., World]:
    """A world whose integration logs in as an App, over TLS with the server's own CA."""

    def make(name: str, key: Any = None, **secret: str) -> World:
        w = World(control_plane, github, name, {f"pipelines/{n}.yaml": manifest(n) for n in ("orders", "users")})
        keys = {
            "githubAppID": APP,
            "githubAppInstallationID": INSTALLATION,
            "githubAppPrivateKey": pem(key or github.key),
            "githubAppBaseURL": f"https://127.0.0.1:{github.https_port}/api/v3",
        }
        w.secret(**{**keys, "ca.crt": github.authority.certificate.read_text(), **secret})
        w.integrate(repositoryURL=w.repo.url("https"), provider="github", sync={"push": {"quietPeriod": "0s"}})
        return w

    return make


def test_it_syncs_and_reviews_with_tokens_that_it_renews(
    app: Callable[..., World], github: GitHubServer, operator: OperatorProcess
) -> None:
    w = app("t-github-app")
    w.in_sync()
    w.patch("orders", {"owner": "cluster"})
    eventually(lambda: w.repo.read("pipelines/orders.yaml") == manifest("orders", owner="cluster"))
    assert len(github.made) == 1
    github.revoke()
    w.repo.commit({"pipelines/users.yaml": manifest("users", owner="git")})
    eventually(lambda: w.sync_now() and w.spec("users")["owner"] == "git")
    assert len(github.made) == 2
    w.patch("users", {"owner": "review"})
    w.in_sync()
    w.by_hand(repositoryURL=w.repo.url("https"), provider="github")
    w.patch("users", {"owner": "reviewed"})
    done = ask(w, "push", branch="feature", createPullRequest=True)
    assert why(done)[0] == "Succeeded", done
    assert done["pullRequest"] == {"number": 1, "url": github.pulls[0]["html_url"], "state": "open"}
    assert "reviewed" in (w.repo.read("pipelines/users.yaml", "feature") or "")
    assert ask(w, "test")["test"]["permissions"] == ["read", "write"]
    said = operator.log() + w.plane.kubectl("-n", w.namespace, "get", "gi,gitop,ev,cm", "-o", "yaml")
    assert not [secret for secret in (*github.made, pem(github.key).splitlines()[3]) if secret in said]


@pytest.mark.parametrize(
    ("name", "secret", "reason", "words"),
    [
        (
            "t-github-inst",
            {"githubAppInstallationID": "99"},
            "InvalidSecret",
            "is it installed for the repository's owner?",
        ),
        ("t-github-id", {"githubAppID": "1"}, "AuthenticationFailed", "must be a pair"),
        ("t-github-base", {"githubAppBaseURL": "https://127.0.0.1:1/api/v3"}, "NetworkUnreachable", "127.0.0.1"),
    ],
)
def test_what_is_wrong_is_named(
    app: Callable[..., World], name: str, secret: dict[str, str], reason: str, words: str
) -> None:
    w = app(name, **secret)
    ready = eventually(lambda: (c := w.condition("Ready"))["reason"] == reason and c)
    assert words in ready["message"]


def test_another_key_is_refused_until_it_is_put_right(app: Callable[..., World], github: GitHubServer) -> None:
    w = app("t-github-key", new_key())
    eventually(lambda: w.condition("Ready")["reason"] == "AuthenticationFailed")
    w.secret(
        githubAppID=APP,
        githubAppInstallationID=INSTALLATION,
        githubAppPrivateKey=pem(github.key),
        githubAppBaseURL=f"https://127.0.0.1:{github.https_port}/api/v3",
        **{"ca.crt": github.authority.certificate.read_text()},
    )
    w.in_sync()
