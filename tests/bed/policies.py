"""What an administrator may do to the operator for a while: an admission that refuses it, a flow control that throttles it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.bed.cluster import Cluster

_OPERATOR = {"namespace": "gitintegration-system", "name": "gitintegration"}
_NAME = "bed"
"""The name of what is applied for a moment, of whatever kind."""


def _named(api_version: str, kind: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": _NAME}, "spec": spec}


NO_WRITES = (
    _named(
        "admissionregistration.k8s.io/v1",
        "ValidatingAdmissionPolicy",
        {
            "matchConstraints": {
                "resourceRules": [
                    {
                        "apiGroups": ["planasonix.com"],
                        "apiVersions": ["*"],
                        "operations": ["CREATE", "UPDATE", "DELETE"],
                        "resources": ["pipelines"],
                    }
                ]
            },
            "validations": [
                {
                    "expression": "request.userInfo.username != "
                    f"'system:serviceaccount:{_OPERATOR['namespace']}:{_OPERATOR['name']}'",
                    "message": "not by an operator",
                }
            ],
        },
    ),
    _named(
        "admissionregistration.k8s.io/v1",
        "ValidatingAdmissionPolicyBinding",
        {"policyName": _NAME, "validationActions": ["Deny"]},
    ),
)
"""Admits no pipeline of the operator's."""

ONE_REQUEST = (
    _named(
        "flowcontrol.apiserver.k8s.io/v1",
        "PriorityLevelConfiguration",
        {
            "type": "Limited",
            "limited": {
                "nominalConcurrencyShares": 0,
                "lendablePercent": 0,
                "borrowingLimitPercent": 0,
                "limitResponse": {"type": "Reject"},
            },
        },
    ),
    _named(
        "flowcontrol.apiserver.k8s.io/v1",
        "FlowSchema",
        {
            "priorityLevelConfiguration": {"name": _NAME},
            "matchingPrecedence": 2,
            "rules": [
                {
                    "subjects": [{"kind": "ServiceAccount", "serviceAccount": _OPERATOR}],
                    "resourceRules": [
                        {
                            "verbs": ["*"],
                            "apiGroups": ["*"],
                            "resources": ["*"],
                            "namespaces": ["*"],
                            "clusterScope": True,
                        }
                    ],
                }
            ],
        },
    ),
)
"""Serves one request of the operator at a time, and answers 429 to the others."""


@contextlib.contextmanager
def meanwhile(plane: Cluster, objects: Sequence[dict[str, Any]]) -> Iterator[None]:
    """These objects are there until it ends."""
    try:
        plane.apply(*objects)
        yield
    finally:
        for one in reversed(objects):
            plane.kubectl("delete", one["kind"].lower(), one["metadata"]["name"], "--ignore-not-found")
