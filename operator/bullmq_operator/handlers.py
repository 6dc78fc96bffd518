"""kopf, the informer: it logs in, watches, and tells the intake. Nothing is decided here.

Only `on.event` handlers: kopf writes nothing to objects for them, keeps no state and retries
nothing. They never wait, which is what makes the small `worker_limit` safe.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import kopf

from bullmq_operator.engine.intake import Intake
from bullmq_operator.kube.session import kubeconfig_of, token_file

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


async def watch_for_ever(
    intake: Intake, namespaces: Sequence[str], opened: asyncio.Event, stop: asyncio.Event
) -> None:
    """Watch until `stop`; raises when kopf gives up. `opened` is set when its handlers may run.

    kopf takes SIGTERM and SIGINT for itself just before `opened`. It would also cancel every task
    that was made after its own: what must outlive it is to be started earlier.
    """
    await kopf.operator(
        registry=_registry(intake),
        standalone=True,
        clusterwide=not namespaces,
        namespaces=namespaces,
        ready_flag=opened,
        stop_flag=stop,
        # Only peering needs it, which is off; by itself kopf asks for the user's name, and the
        # user of a container has none.
        identity="bullmq-operator",  # type: ignore[arg-type]
    )


def _registry(intake: Intake) -> kopf.OperatorRegistry:
    """The handlers of everything that is watched. Pods are not: the observer lists them when a
    family needs them, since a whole cluster's Pods change all the time."""
    registry = kopf.OperatorRegistry()
    kopf.on.startup(registry=registry)(_configure)
    kopf.on.login(registry=registry, backoff=5)(_login)  # kopf's default is a minute

    @kopf.on.event("bullmq-operator.dev", "v1alpha1", "queueversions", registry=registry)
    async def version_changed(event: kopf.RawEvent, **_: Any) -> None:
        intake.version_event(event["type"], dict(event["object"]))

    @kopf.on.event("apps", "v1", "deployments", registry=registry)
    async def deployment_changed(event: kopf.RawEvent, **_: Any) -> None:
        intake.workload_event(event["type"], dict(event["object"]))

    @kopf.on.event("apps", "v1", "statefulsets", registry=registry)
    async def stateful_set_changed(event: kopf.RawEvent, **_: Any) -> None:
        intake.workload_event(event["type"], dict(event["object"]))

    if intake.sees_autoscalers:

        @kopf.on.event("autoscaling", "v2", "horizontalpodautoscalers", registry=registry)
        async def autoscaler_changed(event: kopf.RawEvent, **_: Any) -> None:
            intake.autoscaler_event(event["type"], dict(event["object"]))

    return registry


async def _configure(settings: kopf.OperatorSettings, **_: Any) -> None:
    settings.watching.chunk_size = 500
    # A watch that went silent is noticed by its own end: the server closes it after 5 minutes.
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 310
    settings.watching.connect_timeout = 10
    # Handlers never wait, so 100 workers suffice for any number of objects; by default each would
    # linger for 5 s and 10,000 objects would hold 10,000 of them.
    settings.queueing.worker_limit = 100
    settings.queueing.idle_timeout = 0.01
    settings.networking.request_timeout = 30
    # In all longer than a control plane's restart: after these kopf gives up and the process ends.
    settings.networking.error_backoffs = (1, 2, 4, 8, 15, 30, 60, 60, 60, 60)
    settings.scanning.disabled = True  # needs no right to watch CRDs and namespaces
    settings.posting.enabled = False  # our Events are posted by the actor
    settings.persistence.finalizer = "bullmq-operator.dev/unused"


async def _login(settings: kopf.OperatorSettings, **_: Any) -> kopf.ConnectionInfo | None:
    """Credentials; asked for again when the API server no longer takes the last ones."""
    if os.environ.get("KUBERNETES_SERVICE_HOST"):
        return _service_account(os.environ)
    info = kopf.login_with_kubeconfig(settings=settings)
    file = token_file(kubeconfig_of(os.environ))
    if info is None or file is None:
        return info
    # kopf reads `token` alone, and bound tokens are in files.
    return dataclasses.replace(info, token=file.read_text().strip())


def _service_account(environment: Mapping[str, str]) -> kopf.ConnectionInfo:
    host, port = environment["KUBERNETES_SERVICE_HOST"], environment["KUBERNETES_SERVICE_PORT"]
    return kopf.ConnectionInfo(
        server=f"https://{f'[{host}]' if ':' in host else host}:{port}",
        ca_path=str(_ACCOUNT / "ca.crt"),
        token=(_ACCOUNT / "token").read_text().strip(),
    )
