"""Names as Kubernetes spells them: patterns for the schemas, and the same checks for text that no schema has seen."""

from __future__ import annotations

import re

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
SUBDOMAIN = rf"^{_LABEL}(\.{_LABEL})*$"
"""Of most objects' names (RFC 1123), at most 253 characters."""
API_VERSION = rf"^({_LABEL}(\.{_LABEL})*/)?[a-z]([-a-z0-9]*[a-z0-9])?$"
"""`version` or `group/version`, at most 253 and 63 characters."""
KIND = "^[A-Za-z]([-A-Za-z0-9]*[A-Za-z0-9])?$"
"""At most 63 characters."""

NAME_LENGTH, LABEL_LENGTH = 253, 63

_SUBDOMAIN, _API_VERSION = re.compile(SUBDOMAIN), re.compile(API_VERSION)


def is_subdomain(text: str) -> bool:
    """Whether an object can be called so."""
    return len(text) <= NAME_LENGTH and not text.endswith("\n") and bool(_SUBDOMAIN.match(text))


def is_api_version(text: str) -> bool:
    """Whether it names a version, and nothing else: no path, no query."""
    group, version = split_api_version(text)
    short = len(group) <= NAME_LENGTH and len(version) <= LABEL_LENGTH
    return short and not text.endswith("\n") and bool(_API_VERSION.match(text))


def split_api_version(api_version: str) -> tuple[str, str]:
    """`apps/v1` -> (`apps`, `v1`); `v1` -> (``, `v1`)."""
    group, _, version = api_version.rpartition("/")
    return group, version
