"""While tenants, committers and servers attack, another namespace's edits travel both ways, and the operator keeps its Lease,
its health and its size (SECURITY.md, promise 3).

Each row tells what it cost the other tenant; it is printed, and stands in a report as the property `siege`.
"""

from __future__ import annotations

import base64
import json
import os
import uuid
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from gitintegration.cluster.lease import lease_name
from gitintegration.git.disk import size_of
from tests.bed.camp import Camp, pitched
from tests.bed.controlplane import ControlPlane
from tests.bed.github import new_key, pem
from tests.bed.gitserver import TOKEN, GitServer
from tests.bed.hostile_forge import WAYS
from tests.bed.hostile_ssh import TOLD
from tests.bed.operator import OperatorProcess
from tests.bed.siege import EDITS, PATIENCE, Again, Attack, Attacker, Neighbour, Row, Sharded, Watch, besiege
from tests.bed.world import API, eventually, manifest
from tests.bench.processes import cpu
from tests.unit.git.test_keys import huge_rsa, many_rounds

SHARD = "siege"
_KNOWN = "h ssh-ed25519 AAAA\n"
ORDERS = {"pipelines/orders.yaml": manifest("orders")}


class Bed:
    """One operator, those who attack it, and what they attack with."""

    def __init__(self, plane: ControlPlane, server: GitServer, operator: OperatorProcess, camp: Camp) -> None:
        self.plane, self.server, self.operator, self.camp = plane, server, operator, camp
        self.attackers: list[Attacker] = []
        self.again: list[Again] = []

    def watch(self) -> Watch:
        return Watch(self.operator, self.plane, lease_name(SHARD, ()))

    def neighbour(self) -> Neighbour:
        return Neighbour(Sharded(self.plane, self.server, SHARD, ORDERS))

    def attacker(self, files: Mapping[str, str] | None = None) -> Attacker:
        self.attackers.append(Attacker(self.plane, self.server, SHARD, files))
        return self.attackers[-1]

    def goes_on(self, act: Callable[[int, Callable[[], bool]], None]) -> Again:
        self.again.append(Again(act))
        return self.again[-1]

    def peace(self) -> None:
        """All attacks end."""
        while self.again:
            self.again.pop().stop()
        while self.attackers:
            self.attackers.pop().leave()
        self.camp.clear()


@pytest.fixture(scope="module")
def operator(control_plane: ControlPlane, bed_directory: Path) -> Iterator[OperatorProcess]:
    process = OperatorProcess(control_plane, bed_directory / "siege", f"--shard={SHARD}")
    yield process
    process.stop()


@pytest.fixture(scope="module")
def grounds(control_plane: ControlPlane, git_server: GitServer, operator: OperatorProcess) -> Iterator[Bed]:
    with pitched() as camp:
        yield Bed(control_plane, git_server, operator, camp)


@pytest.fixture
def bed(grounds: Bed) -> Iterator[Bed]:
    yield grounds
    grounds.peace()


@pytest.fixture(scope="module")
def neighbour(grounds: Bed) -> Neighbour:
    return grounds.neighbour()


# --- servers ---------------------------------------------------------------------------------------------------------


class SilentPorts:
    """64 integrations of each namespace, each at a port that takes connections and says nothing for ten minutes."""

    def __init__(self, bed: Bed, tenants: int = 1, each: int = 64) -> None:
        self._bed, self._tenants, self._each = bed, tenants, each
        self._way = f"silent-{uuid.uuid4().hex[:6]}"

    @property
    def _held(self) -> int:
        return self._bed.camp.open().get(self._way, 0)

    def begin(self) -> None:
        ports = self._bed.camp.silent(self._way, 64)
        self._attackers = [self._bed.attacker() for _ in range(self._tenants)]
        for number, one in enumerate(self._attackers):
            urls = [f"http://127.0.0.1:{ports[(number + n) % 64]}/r.git" for n in range(self._each)]
            one.attack({f"gi-{n}": {"repositoryURL": url} for n, url in enumerate(urls)})
        eventually(lambda: self._held, PATIENCE)

    def has_struck(self) -> bool:
        """Half of all places are taken, or more: one namespace gets no more than that."""
        return self._held >= 32

    def is_on(self) -> bool:
        return self._held > 0 and not any(one.told() for one in self._attackers)

    def ended(self) -> str:
        held = self._held
        for one in self._attackers:
            one.leave()
        eventually(lambda: not self._held, PATIENCE)
        return f"{held} connections held open"


class SilentTenants(SilentPorts):
    """More namespaces than there are places, with one such integration each: none has more than its part."""

    MANY = 70

    def __init__(self, bed: Bed) -> None:
        super().__init__(bed, self.MANY, each=1)

    def has_struck(self) -> bool:
        return self._held >= 64

    def is_on(self) -> bool:
        return self._held >= 64


class HeldAnswers:
    """Servers of several namespaces that send as many refs, or as much of a pack, as one may, and then nothing more."""

    def __init__(self, bed: Bed, tenants: int = 3) -> None:
        self._bed, self._tenants, self._disk, self._most = bed, tenants, 0, 0

    def begin(self) -> None:
        self._attackers = [self._bed.attacker() for _ in range(self._tenants)]
        for one in self._attackers:
            for name in ("held-refs", "held-pack"):
                spec = {"repositoryURL": self._bed.camp.git(name), "sync": {"mode": "Pull"}}
                one.attack({f"{name}-{n}": spec for n in range(4)})
        eventually(self.is_on, PATIENCE)

    def has_struck(self) -> bool:
        return self._most >= 4 * self._tenants and self._bed.camp.answering()[1] > 0

    def is_on(self) -> bool:
        now, _ = self._bed.camp.answering()
        self._most = max(self._most, now)
        self._disk = max(self._disk, size_of(self._bed.operator.cache))
        return now > 0

    def ended(self) -> str:
        reasons = {ready["reason"] for one in self._attackers for ready in one.told().values()}
        assert reasons <= {"LimitExceeded", "ProgressingWithRetry"}, reasons
        assert self._disk < 1 << 30
        return f"{self._most} answers at once, disk {self._disk / 1e6:.0f} MB, told {sorted(reasons)}"


class _ManyWays:
    """Each way to answer has an integration; those that come to an end are told in words, the others are held open."""

    def __init__(self, bed: Bed, told: Mapping[str, str | None], kind: str) -> None:
        self._bed, self._words, self._kind = bed, told, kind

    def _specs(self, attacker: Attacker) -> Mapping[str, Mapping[str, Any]]:
        raise NotImplementedError

    def begin(self) -> None:
        self._attacker = self._bed.attacker()
        self._attacker.attack(self._specs(self._attacker))
        eventually(self.is_on, PATIENCE)

    def _is_open(self, way: str) -> bool:
        return self._bed.camp.open().get(f"{self._kind}-{way}", 0) > 0

    def has_struck(self) -> bool:
        told = self._attacker.told()
        return all(way in told if words else self._is_open(way) for way, words in self._words.items())

    def is_on(self) -> bool:
        return any(self._is_open(way) for way, words in self._words.items() if words is None)

    def ended(self) -> str:
        told = self._attacker.told()
        for way, words in self._words.items():
            if words is None:
                assert way not in told, (way, told[way])
            else:
                assert words in told[way]["message"], (way, told[way])
                assert told[way]["message"].isprintable()
        self._attacker.leave()
        eventually(lambda: not any(map(self._is_open, self._words)), PATIENCE)
        return f"{len(told)} of {len(self._words)} ways ended as a condition, the others were held open"


class Forges(_ManyWays):
    def __init__(self, bed: Bed) -> None:
        super().__init__(bed, {way: words for way, (_, words) in WAYS.items()}, "forge")

    def _specs(self, attacker: Attacker) -> Mapping[str, Mapping[str, Any]]:
        bases = self._bed.camp.forges()
        key = {"githubAppID": "1", "githubAppInstallationID": "2", "githubAppPrivateKey": pem(new_key())}
        attacker.put_secrets({way: {**key, "githubAppBaseURL": base} for way, base in bases.items()})
        return {
            way: {
                "repositoryURL": f"{base.removesuffix('/api/v3')}/acme/repo.git",
                "credentials": {"secretRef": {"name": way}},
            }
            for way, base in bases.items()
        }


class Ssh(_ManyWays):
    def __init__(self, bed: Bed) -> None:
        super().__init__(bed, TOLD, "ssh")

    def _specs(self, attacker: Attacker) -> Mapping[str, Mapping[str, Any]]:
        urls, secret = self._bed.camp.ssh()
        attacker.put_secrets({"git": secret})
        named = {"credentials": {"secretRef": {"name": "git"}}}
        return {way: {"repositoryURL": url, **named} for way, url in urls.items()}


# --- tenants ---------------------------------------------------------------------------------------------------------


class SlowKeys:
    """Keys that ask for 2^32-1 rounds of bcrypt, and RSA keys of 100 KB wherever a key may stand."""

    MANY = 24

    def __init__(self, bed: Bed) -> None:
        self._bed = bed

    def begin(self) -> None:
        rsa = huge_rsa().decode()
        app = {"githubAppID": "1", "githubAppInstallationID": "2", "githubAppBaseURL": "http://127.0.0.1:1/api/v3"}
        large = {
            "large-ssh": {"identity": rsa, "known_hosts": _KNOWN},
            "large-app": {**app, "githubAppPrivateKey": rsa},
            "large-tls": {"token": "x", "tls.crt": "x", "tls.key": rsa},
        }
        urls = {"large-app": "http://127.0.0.1:1/a/b", "large-tls": "https://127.0.0.1:1/a/b"}
        self._large = set(large)
        self._attacker = self._bed.attacker()
        self._attacker.put_secrets({**large, **self._slow(0)})
        self._attacker.attack(
            {
                name: {
                    "repositoryURL": urls.get(name, "ssh://git@127.0.0.1:1/a/b"),
                    "credentials": {"secretRef": {"name": name}},
                }
                for name in (*large, *self._slow(0))
            }
        )
        self._again = self._bed.goes_on(lambda times, over: self._attacker.write_secrets(self._slow(times + 1)))

    def _slow(self, number: int) -> Mapping[str, Mapping[str, str]]:
        """As many; with each number they are others, which have to be tried anew."""
        key = {"identity": self._rounds, "known_hosts": _KNOWN}
        return {f"slow-{n}": {**key, "password": f"x-{number}-{n}"} for n in range(self.MANY)}

    _rounds = many_rounds().decode()

    def has_struck(self) -> bool:
        told = self._attacker.told().keys()
        return told >= self._large and len(told) > len(self._large)

    def is_on(self) -> bool:
        return self._again.is_on

    def ended(self) -> str:
        self._again.stop()
        told = self._attacker.told()
        assert {ready["reason"] for ready in told.values()} == {"InvalidSecret"}, told
        assert all("more than 16384" in told[name]["message"] for name in self._large), told
        self._attacker.leave()
        return f"{self.MANY} keys made anew {self._again.times} times"


# --- committers ------------------------------------------------------------------------------------------------------


class _Commits:
    """Commits again and again, each as soon as the last one was taken in."""

    least = 2
    """So many must be taken in."""

    def __init__(self, bed: Bed) -> None:
        self._bed = bed

    def files(self, number: int) -> Mapping[str, str | bytes | None]:
        raise NotImplementedError

    def commit(self, number: int) -> None:
        self.attacker.repo.commit(self.files(number))

    def look(self, status: Mapping[str, Any]) -> None:
        """At what came of a commit."""

    def begin(self) -> None:
        self.attacker = self._bed.attacker()
        self.attacker.secret()  # for this server, which asks for one; an administrator made it
        self.attacker.tenant.may(["get"], "secrets", group="", names=["git"])
        self.commit(0)
        self.attacker.attack(self.specs())
        eventually(self._is_fetched, PATIENCE)
        self._again = self._bed.goes_on(self._one)

    def _is_fetched(self) -> bool:
        asked = (f"/{self.attacker.repo.name}.git/git-upload-pack", "POST")
        return sum((path, method) == asked for method, path in self._bed.server.requests) > 1

    def specs(self) -> Mapping[str, Mapping[str, Any]]:
        return {"gi": {"repositoryURL": self.attacker.repo.url(), "credentials": {"secretRef": {"name": "git"}}}}

    def _one(self, times: int, over: Callable[[], bool]) -> None:
        if times:
            self.commit(times)
        for status in self.attacker.ask(over):
            self.look(status)

    @property
    def taken(self) -> int:
        return self._again.times

    def has_struck(self) -> bool:
        return self.taken >= self.least

    def is_on(self) -> bool:
        return self._again.is_on

    def ended(self) -> str:
        self._again.stop()
        self.judge()
        self.attacker.leave()
        return f"{self.taken} commits taken in by then"

    def judge(self) -> None:
        """Of what came of it at last."""


class Patterns(_Commits):
    """Ignore files of stars, for files whose names nearly match them; each second one is more than can be matched."""

    least = 4

    def __init__(self, bed: Bed) -> None:
        super().__init__(bed)
        self._told = set[str]()

    def files(self, number: int) -> Mapping[str, str | bytes | None]:
        lines = 1000 if number % 2 else 30
        ignore = "".join("*a" * 20 + f"b{n}\n" for n in range(lines)) + f"draft-{number}.yaml\n"
        names = ["a" * 190 + f"-{n}" for n in range(60)]
        return {
            "pipelines/.gitintegrationignore": ignore,
            f"pipelines/draft-{number}.yaml": manifest("draft"),
            **{f"pipelines/{name}.yaml": manifest(name, owner=f"o{number}") for name in names},
        }

    def commit(self, number: int) -> None:
        self.attacker.repo.commit(self.files(number))

    def look(self, status: Mapping[str, Any]) -> None:
        (ready,) = [c for c in status["conditions"] if c["type"] == "Ready"]
        self._told.add(ready["reason"])

    def judge(self) -> None:
        assert self._told == {"Succeeded", "LimitExceeded"}, self._told
        assert len(self.attacker.names()) == 60
        assert "draft" not in self.attacker.names()


class LongNames(_Commits):
    """Ten commits at a time over 850 names that are as long as a name may be."""

    least = 2
    MANY = 850

    def commit(self, number: int) -> None:
        for one in range(10):
            self.attacker.repo.commit(self.files(10 * number + one))

    def files(self, number: int) -> Mapping[str, str | bytes | None]:
        names = [f"{n:04d}-{'n' * 248}" for n in range(self.MANY)]
        return {f"pipelines/{name}.yaml": manifest(name, owner=f"o{number}") for name in names}

    def judge(self) -> None:
        status = self.attacker.status()
        assert len(json.dumps(status)) < 256 << 10
        assert len(status["history"]) > 4
        assert {entry["pipelinesTouchedCount"] for entry in status["history"]} == {self.MANY}
        assert "request is too large" not in self._bed.operator.log()


class Bombs(_Commits):
    """Files whose aliases would unfold to gigabytes, of many values or of few long ones."""

    def files(self, number: int) -> Mapping[str, str | bytes | None]:
        names = "abcdefgh"
        many = "a: &a [" + "x, " * 9 + "x]\n"
        many += "".join(f"{b}: &{b} [" + f"*{a}, " * 9 + f"*{a}]\n" for a, b in pairwise(names))
        few = "a: &a " + "x" * 500_000 + "\nb: [" + "*a, " * 100_000 + "]\n"
        deep = "a: &a {b: 1}\n" + "".join(f"k{n}: &k{n} {{<<: *a, x{n}: *a}}\n" for n in range(20_000))
        files = {
            f"pipelines/{kind}-{n}.yaml": f"# {number}\n{text}"
            for n in range(4)
            for kind, text in (("many", many), ("few", few), ("deep", deep))
        }
        return {**files, **ORDERS}

    def judge(self) -> None:
        told = {entry["path"]: entry["reason"] for entry in self.attacker.status()["invalid"]}
        assert {told[f"pipelines/{kind}-{n}.yaml"] for kind in ("many", "few") for n in range(4)} == {"TooLarge"}
        assert self.attacker.names() == {"orders"}


class SlowFiles(_Commits):
    """Twelve integrations, each with a file of a megabyte that takes seconds to read."""

    least = 0
    MANY = 12

    def files(self, number: int) -> Mapping[str, str | bytes | None]:
        def text(n: int) -> str:
            head = manifest(f"slow-{n}", owner=f"o{number}").partition("  steps:")[0]
            return f"{head}  numbers: [{'1,' * 490_000} 1]\n"

        return {f"p{n}/slow.yaml": text(n) for n in range(self.MANY)}

    def specs(self) -> Mapping[str, Mapping[str, Any]]:
        (spec,) = super().specs().values()
        return {f"gi-{n}": {**spec, "pathPrefix": f"p{n}"} for n in range(self.MANY)}

    def begin(self) -> None:
        self._before = cpu(self._bed.operator.pid)
        super().begin()

    @property
    def _burnt(self) -> float:
        return cpu(self._bed.operator.pid) - self._before

    def has_struck(self) -> bool:
        """They take some fifty seconds of the processor, if all are read."""
        return self._burnt > 10

    def ended(self) -> str:
        burnt = self._burnt
        self._again.stop()
        self.attacker.leave()
        return f"{burnt:.0f} s of the processor burnt by then"


class TenThousand(_Commits):
    """A commit of ten thousand new names."""

    least = 0
    MANY = 10_000

    def files(self, number: int) -> Mapping[str, str | bytes | None]:
        names = [f"p-{number}-{n}" for n in range(self.MANY)]
        return {f"pipelines/{name}.yaml": manifest(name) for name in names}

    def _here(self) -> int:
        one = json.loads(self.attacker.kubectl("get", "--raw", self._pipelines()))
        return len(one["items"]) + int(one["metadata"].get("remainingItemCount", 0))

    def _pipelines(self) -> str:
        return f"/apis/planasonix.com/v1alpha1/namespaces/{self.attacker.namespace}/pipelines?limit=1"

    def has_struck(self) -> bool:
        return self._here() > 0


class RefusedStatus:
    """The API server takes no status of this namespace, as etcd took none that was too large: it is written less and less often."""

    def __init__(self, bed: Bed) -> None:
        self._bed = bed

    def begin(self) -> None:
        self._attacker = self._bed.attacker()
        self._name = f"refuse-{self._attacker.namespace}"
        rule = {
            "apiGroups": ["planasonix.com"],
            "apiVersions": ["*"],
            "operations": ["UPDATE"],
            "resources": ["gitintegrations/status"],
        }
        kind = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": self._name}}
        where = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": self._attacker.namespace}}}
        self._bed.plane.apply(
            {
                **kind,
                "kind": "ValidatingAdmissionPolicy",
                "spec": {
                    "matchConstraints": {"resourceRules": [rule], **where},
                    "validations": [{"expression": "false", "message": "no status here"}],
                },
            },
            {
                **kind,
                "kind": "ValidatingAdmissionPolicyBinding",
                "spec": {"policyName": self._name, "validationActions": ["Deny"]},
            },
        )
        other = {
            "apiVersion": API,
            "kind": "GitIntegration",
            "metadata": {"name": "probe", "labels": {"planasonix.com/shard": "none"}},
        }
        self._attacker.apply({**other, "spec": {"repositoryURL": "http://127.0.0.1:1/r.git"}})
        tried = [
            "patch",
            "gi",
            "probe",
            "--subresource=status",
            "--dry-run=server",
            "--type=merge",
            '-p={"status": {}}',
        ]
        eventually(lambda: "no status here" in self._attacker.kubectl(*tried, check=False), PATIENCE)
        self._attacker.attack({"gi": {"repositoryURL": "http://127.0.0.1:1/r.git", "sync": {"interval": "10s"}}})

    def _tried(self) -> list[float]:
        """When the operator tried to write the status."""
        lines = (self._bed.plane.directory / "audit.log").read_text().splitlines()
        events = [
            json.loads(line) for line in lines if self._attacker.namespace in line and '"subresource":"status"' in line
        ]
        refused = [event for event in events if event["responseStatus"]["code"] >= 400]
        return [datetime.fromisoformat(e["requestReceivedTimestamp"]).timestamp() for e in refused]

    def has_struck(self) -> bool:
        return len(self._rounds()) >= 4

    def _rounds(self) -> list[float]:
        """The attempts, where what is tried at once counts as one: a status is tried without its lists as well.

        The shortest wait is two seconds; on a busy machine the second of one attempt was 1.3 s behind the first.
        """
        found = list[float]()
        for moment in self._tried():
            if not found or moment - found[-1] > 1.9:
                found.append(moment)
        return found

    def is_on(self) -> bool:
        return not self._attacker.told()

    def ended(self) -> str:
        waits = [after - before for before, after in pairwise(self._rounds())]
        self._bed.plane.kubectl("delete", "validatingadmissionpolicybinding,validatingadmissionpolicy", self._name)
        for n, wait in enumerate(waits, 1):
            assert wait > 0.8 * 2**n, waits
        eventually(lambda: self._attacker.told()["gi"]["reason"] == "NetworkUnreachable", PATIENCE)
        return f"seconds between writes: {', '.join(f'{wait:.1f}' for wait in waits)}"


class Begun:
    """An attack that need not have come to its end, only have begun; what it came to is another test's."""

    def __init__(self, attack: Attack) -> None:
        self.begin, self.is_on = attack.begin, attack.is_on

    def has_struck(self) -> bool:
        return True

    def ended(self) -> str:
        return ""


def _all_of_it(bed: Bed) -> Sequence[Attack]:
    """Those that are held open first: each has as many places as it asks for, and the silent ports half of what is left."""
    held: list[Attack] = [HeldAnswers(bed, 1), Ssh(bed), Forges(bed), SilentPorts(bed), SlowKeys(bed)]
    commits = [Patterns(bed), LongNames(bed), Bombs(bed), SlowFiles(bed), TenThousand(bed)]
    return [*map(Begun, [*held, *commits])]


ATTACKS: dict[str, Callable[[Bed], Sequence[Attack]]] = {
    "silent ports": lambda bed: [SilentPorts(bed)],
    "answers held open": lambda bed: [HeldAnswers(bed)],
    "forges": lambda bed: [Forges(bed)],
    "ssh servers": lambda bed: [Ssh(bed)],
    "ignore files": lambda bed: [Patterns(bed)],
    "long names": lambda bed: [LongNames(bed), RefusedStatus(bed)],
    "aliases": lambda bed: [Bombs(bed)],
    "slow files": lambda bed: [SlowFiles(bed)],
}
LONG: dict[str, Callable[[Bed], Sequence[Attack]]] = {
    "silent ports of three namespaces": lambda bed: [SilentPorts(bed, 3)],
    "silent ports of eight namespaces": lambda bed: [SilentPorts(bed, 8)],
    "silent ports of seventy namespaces": lambda bed: [SilentTenants(bed)],
    "slow files of three namespaces": lambda bed: [SlowFiles(bed) for _ in range(3)],
    "ten thousand names": lambda bed: [TenThousand(bed)],
    "all at once": _all_of_it,
}
"""`make siege` runs these as well."""
if os.environ.get("SIEGES") == "all":
    ATTACKS |= LONG


@pytest.mark.parametrize("attack", ATTACKS)
def test_anothers_edits_travel_while_it_goes_on(
    bed: Bed, neighbour: Neighbour, attack: str, record_property: Callable[[str, object], None]
) -> None:
    row = besiege(neighbour, bed.watch(), *ATTACKS[attack](bed))
    record_property("siege", f"{attack}: {row}")
    print(f"{attack}: {row}")


class Renewing(Neighbour):
    """His Secret holds another text before each edit in git, so that what it holds is read anew."""

    def __init__(self, w: Sharded) -> None:
        self._trust = w.server.authority.certificate.read_text()
        super().__init__(w)

    def start(self) -> None:
        self._renew()
        self.w.integrate(repositoryURL=self.w.repo.url("https"))

    def pull(self) -> float:
        self._renew()
        return super().pull()

    def _renew(self) -> None:
        self.w.secret(**{"token": TOKEN, "ca.crt": f"{self._trust}# {uuid.uuid4().hex}\n"})


def test_a_key_is_read_while_anothers_take_for_ever(bed: Bed, record_property: Callable[[str, object], None]) -> None:
    row = besiege(Renewing(Sharded(bed.plane, bed.server, SHARD, ORDERS)), bed.watch(), SlowKeys(bed))
    record_property("siege", f"keys: {row}")
    print(f"keys: {row}")


# --- what the cluster holds, and refuses -------------------------------------------------------------------------------


def test_bombs_in_its_memory_are_dropped_at_a_restart(
    bed: Bed, neighbour: Neighbour, record_property: Callable[[str, object], None]
) -> None:
    """Whoever could write there wrote half a megabyte that unfolds to half a gigabyte, into each piece of it."""
    spoilt = bed.attacker({f"pipelines/orders-{n}.yaml": manifest(f"orders-{n}") for n in range(400)})
    spoilt.secret()
    spoilt.integrate()
    eventually(lambda: spoilt.status().get("inSync"), PATIENCE)
    row = Row(neighbour)
    bomb = base64.b64encode(zlib.compress(b"[" + b" " * (512 << 20) + b"]", 9)).decode()
    bed.operator.kill()
    bases = spoilt.kubectl("get", "gitintegrationbases", "-o", "name").split()
    assert len(bases) >= 4
    for base in bases:
        spoilt.kubectl(
            "patch", base, "--type=merge", "--patch-file=/dev/stdin", stdin=json.dumps({"spec": {"data": bomb}})
        )
    with bed.watch() as watch:
        bed.operator.start()
        watch.answers.clear()
        for _ in range(EDITS):
            row.edit()
        eventually(lambda: spoilt.ask()[0].get("inSync"), PATIENCE)
    row.watched(watch)
    assert len(spoilt.names()) == 400
    assert bomb not in spoilt.kubectl("get", "gitintegrationbases", "-o", "yaml")
    record_property("siege", f"bombs in memory: {row}")
    print(f"bombs in memory: {row}")
