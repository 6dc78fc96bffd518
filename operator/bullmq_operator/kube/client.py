"""All that the operator asks of the API server, as methods of one object.

Every call has a timeout and raises KubeError or a subclass (`errors`). Nothing is retried here:
the reconciler comes back with a back-off, and looks anew before it does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from bullmq_operator.domain.names import SecretKeyRef, VersionKey, WorkloadKey
from bullmq_operator.domain.observation import QueueVersion, Workload
from bullmq_operator.kube.codec import suspended
from bullmq_operator.kube.errors import ForbiddenError, KubeError, NotFoundError
from bullmq_operator.kube.events import EventRecorder
from bullmq_operator.kube.secrets import read_key
from bullmq_operator.kube.session import APPLY_PATCH, FIELD_MANAGER, MERGE_PATCH, Json, Session

PAGE = 500
"""Objects per page of a list: about 1 MB, which a small operator's memory does not notice."""

QUEUE_VERSIONS = "/apis/bullmq-operator.dev/v1alpha1", "queueversions"
AUTOSCALERS = "/apis/autoscaling/v2", "horizontalpodautoscalers"
PODS = "/api/v1", "pods"
_WORKLOADS = {"Deployment": "deployments", "StatefulSet": "statefulsets"}


class KubeClient:
    """The API server, for one identity."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._events = EventRecorder(session)

    @classmethod
    async def connect(cls) -> KubeClient:
        """In a pod by its ServiceAccount, else by KUBECONFIG. Raises KubeError without either."""
        return cls(await Session.connect())

    async def close(self) -> None:
        """Close the connections."""
        await self.session.close()

    async def list_versions(self, namespace: str | None) -> list[Json]:
        """All QueueVersions of a namespace, or (None) of all."""
        return await self._list(*QUEUE_VERSIONS, namespace)

    async def list_workloads(self, kind: str, namespace: str | None) -> list[Json]:
        """All Deployments or StatefulSets, with the `kind` and `apiVersion` that lists lack."""
        objects = await self._list("/apis/apps/v1", _plural(kind), namespace)
        return [{"apiVersion": "apps/v1", "kind": kind, **one} for one in objects]

    async def list_autoscalers(self, namespace: str | None) -> list[Json]:
        """All HorizontalPodAutoscalers (autoscaling/v2)."""
        return await self._list(*AUTOSCALERS, namespace)

    async def pods(self, namespace: str, selector: str) -> list[Json]:
        """The Pods with these labels, such as `app=orders,tier=worker`; see `pods.selector_of`."""
        return await self._list(*PODS, namespace, selector)

    async def get_version(self, key: VersionKey) -> Json | None:
        """One QueueVersion as it is now; None when there is none."""
        return await self._get(_path(*QUEUE_VERSIONS, key.namespace, key.name))

    async def get_workload(self, key: WorkloadKey) -> Json | None:
        """One Deployment or StatefulSet as it is now; None when there is none."""
        return await self._get(_workload_path(key))

    async def patch_status(self, version: QueueVersion, patch: Mapping[str, Any]) -> Json:
        """Merge a patch (`codec.status_patch`) into the status, and return the object.

        Raises ConflictError when the object is another than was looked at. By resourceVersion:
        a wrong `metadata.uid` is ignored in a patch of a custom resource's status, and what was
        proven of a deleted QueueVersion would be written to its namesake.
        """
        body = {
            "metadata": {"resourceVersion": version.resource_version},
            "status": dict(patch),
        }
        path = _path(*QUEUE_VERSIONS, version.key.namespace, version.key.name) + "/status"
        return await self.session.request(
            "PATCH",
            path,
            query={"fieldManager": FIELD_MANAGER},
            body=body,
            content_type=MERGE_PATCH,
        )

    async def scale(self, workload: Workload, replicas: int) -> Workload:
        """Set the replicas, provided the workload is still as it was looked at; returns it as it
        is then. Raises ConflictError otherwise, NotFoundError when it is gone.

        To zero by server-side apply: after a merge patch to 0 nobody would own the field (a
        Scale's `replicas` is left out when 0), and the user's next apply would silently bring the
        workers back. Back up by merge patch, which leaves an owner that apply reports.
        """
        apply = replicas == 0
        answer = await self.session.request(
            "PATCH",
            _workload_path(workload.key) + "/scale",
            query={"fieldManager": FIELD_MANAGER, **({"force": "true"} if apply else {})},
            body=_scale_body(workload, replicas),
            content_type=APPLY_PATCH if apply else MERGE_PATCH,
        )
        return replace(
            workload,
            resource_version=answer["metadata"]["resourceVersion"],
            replicas=answer["spec"].get("replicas", 0),
            observed=workload.observed and workload.replicas == replicas,
            replicas_manager=FIELD_MANAGER,
        )

    async def post_event(
        self, version: QueueVersion, reason: str, message: str, warning: bool, *, now: datetime
    ) -> None:
        """Tell it in an Event on the version; a repeated one is counted up in place."""
        await self._events.post(version, reason, message, warning, now=now)

    async def read_secret_key(self, namespace: str, ref: SecretKeyRef) -> str:
        """One value of a Secret or ConfigMap.

        Raises SecretNotFoundError or SecretKeyNotFoundError, whose message never holds a value.
        """
        return await read_key(self.session, namespace, ref)

    async def is_suspended(self, namespace: str) -> bool:
        """Whether the namespace is annotated so that nothing in it is changed.

        False without the right to read it, which a narrower Role than the one that is shipped may
        lack: `spec.suspend` is then the way.
        """
        try:
            found = await self._get(f"/api/v1/namespaces/{namespace}")
        except ForbiddenError:
            return False
        return found is not None and suspended(found)

    async def _get(self, path: str) -> Json | None:
        try:
            return await self.session.request("GET", path)
        except NotFoundError:
            return None

    async def _list(
        self, group: str, plural: str, namespace: str | None, selector: str | None = None
    ) -> list[Json]:
        """All pages. A token that expired between two pages raises KubeError with status 410."""
        query = {"limit": str(PAGE)}
        if selector:
            query["labelSelector"] = selector
        objects: list[Json] = []
        while True:
            page = await self.session.request("GET", _path(group, plural, namespace), query=query)
            objects += page["items"]
            token = page["metadata"].get("continue")
            if not token:
                return objects
            query["continue"] = token


def _path(group: str, plural: str, namespace: str | None, name: str | None = None) -> str:
    scope = f"/namespaces/{namespace}" if namespace else ""
    return f"{group}{scope}/{plural}" + (f"/{name}" if name else "")


def _workload_path(key: WorkloadKey) -> str:
    return _path(f"/apis/{key.api_version}", _plural(key.kind), key.namespace, key.name)


def _plural(kind: str) -> str:
    if kind not in _WORKLOADS:
        raise KubeError(f"no kind of workload that is known: {kind}")
    return _WORKLOADS[kind]


def _scale_body(workload: Workload, replicas: int) -> Json:
    """A Scale with the preconditions that it is the same object (uid), untouched since."""
    return {
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": {
            "name": workload.key.name,
            "namespace": workload.key.namespace,
            "uid": workload.uid,
            "resourceVersion": workload.resource_version,
        },
        "spec": {"replicas": replicas},
    }
