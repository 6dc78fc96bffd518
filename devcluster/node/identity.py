"""A Pod's ServiceAccount, without mounts: files in the Pod's folder, and KUBECONFIG.

A process without root can't have files at /var/run/secrets/kubernetes.io/serviceaccount, so it
gets a kubeconfig whose `tokenFile` is kept fresh. KUBERNETES_SERVICE_HOST is not set: with it, an
in-cluster client would read that path, which on this machine may belong to another cluster.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from devcluster.kubeconfig import Endpoint, write_kubeconfig, write_private
from devcluster.node.api import Api, Json

MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
LIFETIME_SECONDS = 3607
"""What the ServiceAccount admission plug-in asks for, too."""
REFRESH_AT = 0.8


class Identity:
    """Token, CA, namespace and kubeconfig of one Pod."""

    def __init__(self, api: Api, pod: Json, folder: Path) -> None:
        self._api, self._pod, self._folder = api, pod, folder

    @property
    def kubeconfig(self) -> Path:
        """For the environment variable KUBECONFIG."""
        return self._folder / "kubeconfig"

    async def prepare(self) -> None:
        """Write all files, so that the first container finds them."""
        namespace = self._pod["metadata"]["namespace"]
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self._folder / "ca.crt").write_bytes(self._api.ca.read_bytes())
        (self._folder / "namespace").write_text(namespace)
        endpoint = Endpoint(self._api.server, self._folder / "ca.crt")
        user = {"tokenFile": str(self._folder / "token")}
        write_kubeconfig(self.kubeconfig, endpoint.kubeconfig(user, namespace))
        await self._renew()

    async def keep_fresh(self) -> None:
        """Renew the token for ever, well before it expires."""
        while True:
            await asyncio.sleep(LIFETIME_SECONDS * REFRESH_AT)
            if self.kubeconfig.exists():
                await self._renew()

    async def _renew(self) -> None:
        """A token bound to the Pod: it ends with it."""
        meta = self._pod["metadata"]
        account = self._pod["spec"].get("serviceAccountName", "default")
        bound = {"kind": "Pod", "apiVersion": "v1", "name": meta["name"], "uid": meta["uid"]}
        answer = await self._api.call(
            "POST",
            f"/api/v1/namespaces/{meta['namespace']}/serviceaccounts/{account}/token",
            {"spec": {"expirationSeconds": LIFETIME_SECONDS, "boundObjectRef": bound}},
        )
        assert answer is not None
        write_private(self._folder / "token", answer["status"]["token"])


def wants_identity(container: Json) -> bool:
    """Whether the token volume is mounted: the admission plug-in has already weighed
    `automountServiceAccountToken` of the Pod and of the ServiceAccount.
    """
    mounts = container.get("volumeMounts") or ()
    return any(one["mountPath"].rstrip("/") == MOUNT_PATH for one in mounts)
