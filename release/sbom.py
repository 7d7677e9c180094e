"""What the package is made of, as CycloneDX: every package of requirements.lock, with its licence and what it needs.

Nothing in it is random, and its time is that of the commit. What the image adds, Python and the system below it, is not told here.
"""

from __future__ import annotations

import tomllib
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_ENVIRONMENT = {
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "python_full_version": "3.11.0",
    "python_version": "3.11",
    "sys_platform": "linux",
}
"""Where the image runs: which packages it takes does not depend on who asks."""

_COMPILED_IN = {"pysequoia": "LGPL-2.0-or-later"}
"""Licences of what a package has compiled in, where they ask for more than its own (NOTICE): of Sequoia."""


class Locked(NamedTuple):
    version: str
    hashes: tuple[str, ...]


def made(source: Path, epoch: int) -> str:
    """The document, of the checkout in `source`. Raises RuntimeError where something else is installed than is locked."""
    project = tomllib.loads((source / "pyproject.toml").read_text())["project"]
    text = (source / "requirements.lock").read_text()
    locked = dict(packages(text))
    serial = uuid.uuid5(uuid.NAMESPACE_URL, f"{project['name']} {project['version']}\n{text}")
    root = _component(project["name"], Locked(project["version"], ()), ComponentType.APPLICATION, project["license"])
    moment = datetime.fromtimestamp(epoch, UTC)
    bom = Bom(serial_number=serial, metadata=BomMetaData(component=root, timestamp=moment))
    components = {name: _component(name, each, licence=_licence(name, each)) for name, each in locked.items()}
    for component in components.values():
        bom.components.add(component)
    for name, needed in _needs(project["dependencies"], locked).items():
        bom.register_dependency(components.get(name, root), [components[each] for each in sorted(needed)])
    return JsonV1Dot6(bom).output_as_string(indent=2) + "\n"


def packages(text: str) -> Iterator[tuple[str, Locked]]:
    """Those of a lock file."""
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip() and not line.startswith("#"):
            wanted, *hashes = line.split(" --hash=")
            found = Requirement(wanted)
            if found.marker is None or found.marker.evaluate(_ENVIRONMENT):
                (pinned,) = found.specifier
                digests = tuple(each.strip().removeprefix("sha256:") for each in hashes)
                yield canonicalize_name(found.name), Locked(pinned.version, digests)


def _component(
    name: str, locked: Locked, kind: ComponentType = ComponentType.LIBRARY, licence: str | None = None
) -> Component:
    purl = PackageURL("pypi", name=name, version=locked.version)
    files = [HashType(alg=HashAlgorithm.SHA_256, content=digest) for digest in locked.hashes]
    reference = ExternalReference(type=ExternalReferenceType.DISTRIBUTION, url=XsUri(str(purl)), hashes=files)
    return Component(
        type=kind,
        name=name,
        version=locked.version,
        bom_ref=str(purl),
        purl=purl,
        licenses=[LicenseFactory().make_from_string(licence)] if licence else [],
        external_references=[reference] if files else [],
    )


def _licence(name: str, locked: Locked) -> str | None:
    """As its authors tell it: an expression, else the name that a classifier has, else a name of one line."""
    told: Any = metadata.metadata(name)  # a message, of which its type tells half
    if told["Version"] != locked.version:
        raise RuntimeError(f"{name} {told['Version']} is installed, and {locked.version} is locked: make install")
    if expression := told.get("License-Expression"):
        return " AND ".join(filter(None, (str(expression), _COMPILED_IN.get(name))))
    classified = [
        each.rpartition(" :: ")[2] for each in told.get_all("Classifier", ()) if each.startswith("License ::")
    ]
    plain = (told.get("License") or "").strip()
    return plain if plain and "\n" not in plain and len(plain) < 40 else next(iter(classified), None)


def _needs(direct: list[str], locked: Mapping[str, Locked]) -> dict[str, set[str]]:
    """What each needs; "" is the package itself. An extra counts where somebody asks for it."""
    found: dict[str, set[str]] = {}
    waiting: list[tuple[str, frozenset[str], list[str]]] = [("", frozenset(), direct)]
    seen = set[tuple[str, frozenset[str]]]()
    while waiting:
        name, extras, wanted = waiting.pop()
        needed = found.setdefault(name, set())
        for requirement in map(Requirement, wanted):
            there = canonicalize_name(requirement.name)
            if there in locked and any(_applies(requirement, extra) for extra in ("", *extras)):
                needed.add(there)
                asked = (there, frozenset(requirement.extras))
                if asked not in seen:
                    seen.add(asked)
                    waiting.append((*asked, metadata.requires(there) or []))
    return found


def _applies(requirement: Requirement, extra: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({**_ENVIRONMENT, "extra": extra})
