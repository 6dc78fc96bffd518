"""The command lines of etcd, kube-apiserver and kube-controller-manager, and the files they need.

Flags that need a reason are explained here; all programs listen on the cluster's own address.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from devcluster import pki
from devcluster.kubeconfig import Endpoint, write_kubeconfig, write_private
from devcluster.network import free_port, server_address

ADMIN = "devcluster-admin"
NODE = "devcluster-node"
CONTROLLER_MANAGER = "system:kube-controller-manager"
SERVICE_NETWORK = "10.96.0.0/16"
CONTROLLERS = (
    "deployment-controller",
    "replicaset-controller",
    "statefulset-controller",
    "job-controller",
    "serviceaccount-controller",
    "namespace-controller",
    "garbage-collector-controller",
    "horizontal-pod-autoscaler-controller",
    "disruption-controller",
    "clusterrole-aggregation-controller",
    "pod-garbage-collector-controller",
    "root-ca-certificate-publisher-controller",
    "ttl-after-finished-controller",
)
"""No node-lifecycle controller: the process node sends no heartbeats, it dies with the cluster.
A wrong name here ends the controller manager at once.
"""

AUDIT_POLICY: dict[str, Any] = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {
            "level": "None",
            "users": ["system:apiserver", CONTROLLER_MANAGER, NODE],
        },
        {"level": "None", "userGroups": ["system:serviceaccounts:kube-system"]},
        {"level": "None", "nonResourceURLs": ["/readyz*", "/livez*", "/healthz*"]},
        {"level": "Metadata"},
    ],
}
"""The control plane's own traffic is left out: tests count what users and ServiceAccounts ask."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What one cluster is made of; written to its state folder, so that others can attach."""

    state: str
    network: int
    api_port: int
    etcd_port: int
    etcd_peer_port: int
    controller_port: int
    kubelet_port: int
    admin_token: str
    controller_token: str
    node_token: str

    @classmethod
    def new(cls, state: Path, network: int) -> Layout:
        """Choose ports and credentials."""
        host = server_address(network)
        ports: set[int] = set()
        while len(ports) < 5:
            ports.add(free_port(host))
        return cls(
            state=str(state),
            network=network,
            api_port=ports.pop(),
            etcd_port=ports.pop(),
            etcd_peer_port=ports.pop(),
            controller_port=ports.pop(),
            kubelet_port=ports.pop(),
            admin_token=secrets.token_hex(24),
            controller_token=secrets.token_hex(24),
            node_token=secrets.token_hex(24),
        )

    @classmethod
    def load(cls, state: Path) -> Layout:
        """Read what `save` wrote."""
        return cls(**json.loads((state / "cluster.json").read_text()))

    def save(self) -> None:
        """Write it once the cluster is ready."""
        write_private(self.folder / "cluster.json", json.dumps(asdict(self), indent=1))

    @property
    def folder(self) -> Path:
        """The state folder."""
        return Path(self.state)

    @property
    def host(self) -> str:
        """The address of all servers."""
        return server_address(self.network)

    @property
    def etcd(self) -> str:
        """etcd's client URL."""
        return f"http://{self.host}:{self.etcd_port}"

    @property
    def endpoint(self) -> Endpoint:
        """The API server."""
        return Endpoint(f"https://{self.host}:{self.api_port}", self.folder / "pki" / "ca.crt")


def write_files(layout: Layout) -> None:
    """Certificates, static tokens, kubeconfigs and the audit policy."""
    folder = layout.folder
    authority = pki.Authority(folder / "pki")
    dns = ["localhost", "kubernetes.default.svc"]
    authority.server("apiserver", addresses=[layout.host, "10.96.0.1"], dns=dns)
    authority.server("kubelet", addresses=[layout.host], dns=["localhost"])
    authority.client("apiserver-kubelet-client", group="system:masters")
    pki.service_account_keys(folder / "pki")
    tokens = [
        f"{layout.admin_token},{ADMIN},admin,system:masters",
        f"{layout.node_token},{NODE},node,system:masters",
        f"{layout.controller_token},{CONTROLLER_MANAGER},controller-manager",
    ]
    write_private(folder / "tokens.csv", "\n".join(tokens) + "\n")
    write_private(folder / "audit-policy.yaml", json.dumps(AUDIT_POLICY))
    for name, token in (
        ("kubeconfig", layout.admin_token),
        ("node.kubeconfig", layout.node_token),
        ("controller-manager.kubeconfig", layout.controller_token),
    ):
        write_kubeconfig(folder / name, layout.endpoint.kubeconfig({"token": token}))


def etcd_flags(layout: Layout) -> list[str]:
    """No fsync: the data is thrown away with the cluster, and a test must not wait for a disk."""
    peer = f"http://{layout.host}:{layout.etcd_peer_port}"
    return [
        "--data-dir=etcd",
        "--unsafe-no-fsync",
        "--log-level=warn",
        f"--listen-client-urls={layout.etcd}",
        f"--advertise-client-urls={layout.etcd}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
    ]


def apiserver_flags(layout: Layout) -> list[str]:
    """RBAC and the default admission plug-ins (PodSecurity among them) are on.

    `endpoint-reconciler-type=none`: a loopback address may not stand in the `kubernetes` Endpoints.
    """
    return [
        f"--etcd-servers={layout.etcd}",
        f"--bind-address={layout.host}",
        f"--advertise-address={layout.host}",
        f"--secure-port={layout.api_port}",
        "--endpoint-reconciler-type=none",
        "--tls-cert-file=pki/apiserver.crt",
        "--tls-private-key-file=pki/apiserver.key",
        "--client-ca-file=pki/ca.crt",
        "--cert-dir=pki",
        "--token-auth-file=tokens.csv",
        "--authorization-mode=RBAC",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--service-account-key-file=pki/service-account.pub",
        "--service-account-signing-key-file=pki/service-account.key",
        f"--service-cluster-ip-range={SERVICE_NETWORK}",
        "--kubelet-preferred-address-types=InternalIP",
        "--kubelet-certificate-authority=pki/ca.crt",
        "--kubelet-client-certificate=pki/apiserver-kubelet-client.crt",
        "--kubelet-client-key=pki/apiserver-kubelet-client.key",
        "--audit-policy-file=audit-policy.yaml",
        "--audit-log-path=audit.log",
    ]


def controller_manager_flags(layout: Layout) -> list[str]:
    """One instance, so no leader election; fast enough that a test never waits for its limiter."""
    config = "controller-manager.kubeconfig"
    return [
        f"--kubeconfig={config}",
        f"--authentication-kubeconfig={config}",
        f"--authorization-kubeconfig={config}",
        f"--bind-address={layout.host}",
        f"--secure-port={layout.controller_port}",
        "--cert-dir=pki",
        "--service-account-private-key-file=pki/service-account.key",
        "--root-ca-file=pki/ca.crt",
        "--use-service-account-credentials=true",
        "--leader-elect=false",
        "--kube-api-qps=200",
        "--kube-api-burst=400",
        f"--controllers={','.join(CONTROLLERS)}",
    ]
