"""Kubernetes objects, as JSON, into the domain's types and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bullmq_operator.domain.names import VersionKey, WorkloadKey
from bullmq_operator.domain.observation import QueueVersion, Workload
from bullmq_operator.kube.spec import parse_spec
from bullmq_operator.kube.status import parse_status, status_patch, status_to_dict

__all__ = [
    "APPROVE_ANNOTATION",
    "SUSPEND_ANNOTATION",
    "MalformedObjectError",
    "parse_status",
    "parse_version",
    "parse_workload",
    "scaling_floor",
    "status_patch",
    "status_to_dict",
    "suspended",
]

APPROVE_ANNOTATION = "bullmq-operator.dev/approve"
SUSPEND_ANNOTATION = "bullmq-operator.dev/suspend"

Json = Mapping[str, Any]


class MalformedObjectError(ValueError):
    """An object that the CRD's schema would refuse: it was stored under another schema."""


def parse_version(obj: Json) -> QueueVersion:
    """A QueueVersion. Raises MalformedObjectError."""
    metadata = obj["metadata"]
    key = VersionKey(metadata["namespace"], metadata["name"])
    try:
        return QueueVersion(
            key=key,
            uid=metadata["uid"],
            generation=metadata.get("generation", 0),
            resource_version=metadata["resourceVersion"],
            spec=parse_spec(obj["spec"]),
            status=parse_status(obj.get("status") or {}),
            deleting="deletionTimestamp" in metadata,
            approve=(metadata.get("annotations") or {}).get(APPROVE_ANNOTATION),
        )
    except (KeyError, ValueError, TypeError) as failure:
        raise MalformedObjectError(f"QueueVersion {key}: {failure!r}") from failure


def parse_workload(obj: Json) -> Workload:
    """A Deployment or StatefulSet; `kind` and `apiVersion` must be there (lists leave them out,
    `KubeClient.list_workloads` puts them in)."""
    metadata, spec, status = obj["metadata"], obj["spec"], obj.get("status") or {}
    selector = spec.get("selector") or {}
    return Workload(
        key=WorkloadKey(metadata["namespace"], obj["kind"], metadata["name"], obj["apiVersion"]),
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        replicas=spec.get("replicas", 1),
        ready_replicas=status.get("readyReplicas", 0),
        observed=status.get("observedGeneration", 0) >= metadata.get("generation", 0),
        selector=tuple(sorted((selector.get("matchLabels") or {}).items())),
        selector_expressions=bool(selector.get("matchExpressions")),
        replicas_manager=_replicas_manager(metadata),
    )


def scaling_floor(autoscaler: Json) -> tuple[WorkloadKey, int]:
    """The workload that a HorizontalPodAutoscaler scales, and its fewest replicas (1 if unset)."""
    target = autoscaler["spec"]["scaleTargetRef"]
    key = WorkloadKey(
        autoscaler["metadata"]["namespace"],
        target["kind"],
        target["name"],
        target.get("apiVersion", "apps/v1"),
    )
    return key, autoscaler["spec"].get("minReplicas", 1)


def suspended(namespace: Json) -> bool:
    """Whether a Namespace is annotated so that nothing in it is changed."""
    return (namespace["metadata"].get("annotations") or {}).get(SUSPEND_ANNOTATION) == "true"


def _replicas_manager(metadata: Json) -> str | None:
    """Who set `spec.replicas`: directly, or through the scale subresource. Several managers that
    applied the same value own it together; then the last to write is named."""
    owners = [
        entry
        for entry in metadata.get("managedFields") or ()
        if "f:replicas" in ((entry.get("fieldsV1") or {}).get("f:spec") or {})
    ]
    newest = max(owners, key=lambda entry: entry.get("time", ""), default=None)
    return newest["manager"] if newest else None
