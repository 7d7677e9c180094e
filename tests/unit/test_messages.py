"""The table of what people are told: each entry is whole, used, and safe to paste."""

from __future__ import annotations

import ast
import json
import re
import shlex

import pytest

from gitintegration import messages
from gitintegration.cluster.client import _error
from gitintegration.core.invalid import InvalidReason
from gitintegration.core.status import HeldDeletes, Outcome, build_status
from gitintegration.errors import NEEDS_A_PERSON, CredentialError, Reason, Refused, RemoteError, Words
from gitintegration.git.remote import Basic, Remote
from gitintegration.git.url import parse_url
from gitintegration.messages import ALL, Message, Place, counted, named, nearly
from tests.bed.cluster import ROOT
from tests.unit.core.test_decisions import NOW

PLACE = Place("data", "analytics")
PACKAGE = ROOT / "operator" / "gitintegration"


@pytest.mark.parametrize("name", ALL)
def test_each_is_whole(name: str) -> None:
    message = ALL[name]
    facts = set(re.findall(r"\$([a-z]+)", f"{message.what} {message.remedy}"))
    assert facts <= set(message.example)
    told = PLACE.joined(message(**message.example).of_secret("git-credentials"))
    assert not re.search(r"\$[A-Za-z]", told.replace("$(date", ""))
    assert message.reason in [*Reason, *InvalidReason]
    assert told.isprintable()
    assert len(told) < 1000  # an event has no room for more


def test_each_is_told_somewhere_and_all_that_is_told_is_there() -> None:
    used = {
        node.attr
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "messages"
    }
    assert {name for name in used if name.isupper()} == set(ALL)


def test_what_a_person_must_do_is_said_by_a_command_or_a_field() -> None:
    """Of each reason that waiting does not mend."""
    for message in ALL.values():
        if message.reason in NEEDS_A_PERSON:
            assert message.remedy, message.what


EVIL = "x; touch /tmp/p $(id) `id` 'q' \"d\" | y && z"


@pytest.mark.parametrize("message", ALL.values(), ids=ALL)
def test_a_command_holds_what_comes_from_outside_as_one_word(message: Message) -> None:
    ours = {"key": "token"}
    calm = message(**{**dict.fromkeys(message.example, "x"), **ours}).remedy
    told = message(**{**dict.fromkeys(message.example, EVIL), **ours}).remedy
    if "'" in re.sub(r"'[^']*'", "", calm):  # prose with an apostrophe
        return
    assert len(shlex.split(told)) == len(shlex.split(calm))


@pytest.mark.parametrize(
    ("wanted", "present", "meant"),
    [
        (["token"], ["Token"], "`Token`: is that meant for `token`"),
        (["token"], ["TOKEN", "ca.crt"], "`TOKEN`"),
        (["token"], ["access_token"], "`access_token`"),
        (["token"], ["tokn"], "`tokn`"),
        (["password"], ["username", "pass"], "`pass`: is that meant for `password`"),
        (["known_hosts"], ["knownHosts"], "`knownHosts`"),
        (["identity", "ssh-privatekey"], ["sshprivatekey"], "`ssh-privatekey`"),
        (["token"], ["colour"], ""),
        (["token"], ["token"], ""),
        (["token"], [], ""),
    ],
)
def test_a_key_that_is_nearly_right(wanted: list[str], present: list[str], meant: str) -> None:
    told = nearly(wanted, present)
    assert (meant in told) if meant else not told


def test_several_words_are_quoted_one_by_one() -> None:
    told = messages.NOT_CARRIED_LABELS(key="k", resource="pl", pipeline="p", labels=("a=1", "b=;x"))
    assert told.remedy.endswith("label pl p a=1 'b=;x'")


def test_numbers_and_names() -> None:
    assert [counted(n) for n in (0, 1, 2)] == ["0 pipelines", "1 pipeline", "2 pipelines"]
    assert named(["a"]) == "a"
    assert named(list("abcdefg"), 5) == "a, b, c, d, e and 2 more"


OURS = "system:serviceaccount:gitintegration-system:gitintegration"
THEIRS = "system:serviceaccount:data:editor"


def _lacks(user: str, resource: str, group: str = "", where: str = ' in the namespace "data"') -> bytes:
    words = f'x is forbidden: User \\"{user}\\" cannot list resource \\"{resource}\\" in API group \\"{group}\\"'
    words += where.replace('"', '\\"')
    return f'{{"message": "{words}"}}'.encode()


@pytest.mark.parametrize(
    ("text", "acting", "command"),
    [
        (_lacks(OURS, "workflows", "argoproj.io"), None, "planasonix.com/aggregate-to-operator=true"),
        (_lacks(OURS, "workflows", "argoproj.io", " at the cluster scope"), None, "--resource=workflows.argoproj.io"),
        (_lacks(OURS, "configmaps"), None, "--resource=configmaps "),
        (
            _lacks(OURS, "secrets"),
            None,
            "-n data create rolebinding gitintegration --clusterrole=gitintegration-tenant",
        ),
        (_lacks(OURS, "serviceaccounts"), THEIRS, "--serviceaccount=gitintegration-system:gitintegration"),
        (_lacks(THEIRS, "pipelines", "planasonix.com"), THEIRS, "--serviceaccount=data:editor"),
        (_lacks("admin", "secrets"), None, "aggregate-to-operator"),
        (_lacks("$(id)", "pipelines"), None, ""),
        (
            _lacks(OURS, "validatingadmissionpolicies", "admissionregistration.k8s.io"),
            None,
            "aggregate-to-operator=true",
        ),
        (b'{"message": "is forbidden: User says no"}', None, ""),
    ],
)
def test_a_right_that_lacks_comes_with_what_grants_it(text: bytes, acting: str | None, command: str) -> None:
    error = _error(403, text, {}, acting)
    assert error.reason is Reason.Forbidden
    assert "is forbidden: User" in error.message
    assert (command in error.remedy) if command else not error.remedy


@pytest.mark.parametrize(
    "message",
    [
        'admission webhook "w.example.com" denied the request: pods "x" is forbidden: User "ann" says no',
        'pods "x" is forbidden: exceeded quota: small, requested: pods=1',
        "pods \"x\" is forbidden: ValidatingAdmissionPolicy 'theirs' with binding 'b' denied request: no User",
    ],
)
def test_what_is_refused_by_admission_is_no_lack_of_a_right(message: str) -> None:
    error = _error(403, json.dumps({"message": message}).encode(), {})
    assert isinstance(error, Refused)
    assert message in error.message


def test_an_error_says_which_server_and_which_secret() -> None:
    remote = Remote(parse_url("https://git.example.com/a/b"), Basic("git", "t"), secret="login", key="token")
    said = RemoteError(Reason.PermissionDenied, messages.SERVER_SAYS_DENIED(words="no"), retry=True)
    remote.name(said)
    assert said.message.startswith("git.example.com does not let this login")
    bad = CredentialError(Reason.InvalidSecret, "known_hosts can't be read")
    remote.name(bad)
    assert str(bad) == "Secret 'login': known_hosts can't be read"


@pytest.mark.parametrize(
    ("held", "parts"),
    [
        (
            HeldDeletes("cluster", 7, 9, "abc", tuple("gfedcba"), "", "9f8e"),
            ["7 of 9 pipelines would be deleted in the cluster", ": a, b, c, d, e and 2 more;", "git revert"],
        ),
        (
            HeldDeletes("cluster", 1, 1, "abc", ("a",), "main", "9f8e"),
            ["branch 'main' is gone", "1 of 1 pipeline would", "git push origin 9f8e:refs/heads/main"],
        ),
        (
            HeldDeletes("git", 2, 2, "abc", ("b", "a"), "", "9f8e"),
            ["deleted in git", '"revision":"9f8e","pipelines":["a","b"]', "kubectl -n data create -f -"],
        ),
    ],
)
def test_held_deletes_name_what_would_go_the_way_back_and_the_way_on(held: HeldDeletes, parts: list[str]) -> None:
    status = build_status({}, Outcome(1, "Bidirectional", PLACE, held=[held]), NOW)
    (told,) = (c["message"] for c in status["conditions"] if c["type"] == "Ready")
    confirm = "kubectl -n data annotate gitintegration analytics planasonix.com/confirmDeletes=abc --overwrite"
    assert all(part in told for part in [*parts, confirm, "nothing was deleted"])


def test_a_login_that_may_only_read_is_told_at_once() -> None:
    seen = {"connection": {"reachable": True}, "read_only": Words("it may only read", "patch $NAME in $NAMESPACE")}
    status = build_status({}, Outcome(1, "Bidirectional", PLACE, **seen), NOW)  # type: ignore[arg-type]
    told = {c["type"]: c for c in status["conditions"]}
    connected = told["Connected"]
    assert (connected["status"], connected["reason"]) == ("True", "PermissionDenied")
    assert connected["message"] == "it may only read; patch analytics in data"
    assert told["Ready"]["status"] == "True"
