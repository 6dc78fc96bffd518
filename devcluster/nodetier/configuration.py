"""Files and command lines of the cluster around the node. Ports are fixed: nobody shares them."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from devcluster import pki, tools
from devcluster.kubeconfig import Endpoint, write_kubeconfig, write_private
from devcluster.nodetier.images import PAUSE
from devcluster.nodetier.machine import API_ADDRESS, NODE_ADDRESS
from devcluster.nodetier.prerequisites import CNI_PLUGINS
from devcluster.nodetier.programs import Programs

NODE = "node1"
ETCD = "http://127.0.0.1:2379"
ETCD_PEER = "http://127.0.0.1:2380"
SERVICES = "10.0.0.0/24"
PODS = "10.244.0.0/24"
REDIS_PORT = 6379
CONTROLLERS = (
    "deployment-controller",
    "replicaset-controller",
    "statefulset-controller",
    "job-controller",
    "serviceaccount-controller",
    "namespace-controller",
    "garbage-collector-controller",
    "node-lifecycle-controller",
    "pod-garbage-collector-controller",
    "clusterrole-aggregation-controller",
    "root-ca-certificate-publisher-controller",
)


def write_files(state: Path, cgroup: str) -> None:
    """Certificates, tokens, kubeconfigs, and what containerd and kubelet read."""
    authority = pki.Authority(state / "pki")
    authority.server("apiserver", addresses=[API_ADDRESS], dns=["kubernetes.default.svc"])
    authority.server("kubelet", addresses=[NODE_ADDRESS], dns=[NODE])
    authority.client("apiserver-kubelet-client", group="system:masters")
    pki.service_account_keys(state / "pki")
    users = {
        "admin": "admin,admin,system:masters",
        "controller-manager": "system:kube-controller-manager,controller-manager",
        "scheduler": "system:kube-scheduler,scheduler",
        "kubelet": f"system:node:{NODE},{NODE},system:nodes",
    }
    tokens = {name: secrets.token_hex(24) for name in users}
    endpoint = Endpoint(f"https://{API_ADDRESS}", state / "pki" / "ca.crt")
    for name, token in tokens.items():
        write_kubeconfig(kubeconfig(state, name), endpoint.kubeconfig({"token": token}))
    lines = [f"{tokens[name]},{identity}\n" for name, identity in users.items()]
    write_private(state / "tokens.csv", "".join(lines))
    (state / "cni").mkdir()
    (state / "cni" / "10-ptp.conflist").write_text(json.dumps(_network(state)))
    (state / "containerd.toml").write_text(_containerd(state))
    (state / "kubelet.yaml").write_text(json.dumps(_kubelet(state, cgroup)))
    (state / "resolv.conf").write_text("# No DNS server listens here: Pods use addresses.\n")


def kubeconfig(state: Path, user: str) -> Path:
    """Where the kubeconfig of a user is: admin, kubelet, controller-manager or scheduler."""
    return state / f"{user}.kubeconfig"


def commands(state: Path, programs: Programs) -> dict[str, Sequence[str]]:
    """The command line of each process by name, in the order in which they start."""
    controlplane = str(programs.controlplane)
    return {
        "etcd": (controlplane, *_etcd_flags()),
        "containerd": (str(programs.folder / "containerd"), f"--config={state}/containerd.toml"),
        "kube-apiserver": (controlplane, *_apiserver_flags()),
        "redis": _redis(state),
        "kube-controller-manager": (controlplane, *_controller_manager_flags(state)),
        "kube-scheduler": (controlplane, *_scheduler_flags(state)),
        "kubelet": (
            str(programs.kubelet),
            f"--config={state}/kubelet.yaml",
            f"--kubeconfig={kubeconfig(state, 'kubelet')}",
            f"--root-dir={state}/kubelet",
            f"--hostname-override={NODE}",
            f"--node-ip={NODE_ADDRESS}",
        ),
    }


def _etcd_flags() -> Sequence[str]:
    """No fsync: the data is thrown away with the cluster."""
    return (
        "etcd",
        "--data-dir=etcd",
        "--unsafe-no-fsync",
        "--log-level=warn",
        f"--listen-client-urls={ETCD}",
        f"--advertise-client-urls={ETCD}",
        f"--listen-peer-urls={ETCD_PEER}",
        f"--initial-advertise-peer-urls={ETCD_PEER}",
        f"--initial-cluster=default={ETCD_PEER}",
    )


def _apiserver_flags() -> Sequence[str]:
    """Node and RBAC authorization, and the default admission plug-ins (PodSecurity among them)."""
    return (
        "kube-apiserver",
        f"--etcd-servers={ETCD}",
        f"--bind-address={API_ADDRESS}",
        "--secure-port=443",
        "--tls-cert-file=pki/apiserver.crt",
        "--tls-private-key-file=pki/apiserver.key",
        "--client-ca-file=pki/ca.crt",
        "--token-auth-file=tokens.csv",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--service-account-key-file=pki/service-account.pub",
        "--service-account-signing-key-file=pki/service-account.key",
        f"--service-cluster-ip-range={SERVICES}",
        "--kubelet-preferred-address-types=InternalIP",
        "--kubelet-certificate-authority=pki/ca.crt",
        "--kubelet-client-certificate=pki/apiserver-kubelet-client.crt",
        "--kubelet-client-key=pki/apiserver-kubelet-client.key",
    )


def _controller_manager_flags(state: Path) -> Sequence[str]:
    return (
        "kube-controller-manager",
        *_component_flags(state, "controller-manager"),
        "--service-account-private-key-file=pki/service-account.key",
        "--root-ca-file=pki/ca.crt",
        "--use-service-account-credentials=true",
        f"--controllers={','.join(CONTROLLERS)}",
    )


def _scheduler_flags(state: Path) -> Sequence[str]:
    return ("kube-scheduler", *_component_flags(state, "scheduler"))


def _component_flags(state: Path, user: str) -> Sequence[str]:
    config = kubeconfig(state, user)
    return (
        f"--kubeconfig={config}",
        f"--authentication-kubeconfig={config}",
        f"--authorization-kubeconfig={config}",
        "--bind-address=127.0.0.1",
        "--cert-dir=pki",
        "--leader-elect=false",
    )


def _redis(state: Path) -> Sequence[str]:
    """On the node's address for Pods, and on a socket for tests, which are outside its network."""
    flags = f"--bind {NODE_ADDRESS} --port {REDIS_PORT} --protected-mode no --appendonly yes"
    socket = f"--unixsocket {state}/redis.sock --maxmemory-policy noeviction"
    return (str(tools.valkey_server()), *flags.split(), *socket.split(), "--save", "")


def _containerd(state: Path) -> str:
    """`restrict_oom_score_adj`: without CAP_SYS_RESOURCE (in a container) it can't be lowered."""
    return f"""\
version = 3
root = '{state}/containerd'
state = '/run/containerd'
[grpc]
address = '{state}/containerd.sock'
[plugins.'io.containerd.internal.v1.opt']
path = '{state}/opt'
[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = '{PAUSE}'
[plugins.'io.containerd.cri.v1.runtime']
restrict_oom_score_adj = true
disable_apparmor = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
bin_dirs = ['{CNI_PLUGINS}']
conf_dir = '{state}/cni'
"""


def _network(state: Path) -> dict[str, Any]:
    """Each Pod gets a cable to the node; none leads out of the namespace."""
    addresses = {
        "type": "host-local",
        "dataDir": f"{state}/addresses",
        "ranges": [[{"subnet": PODS}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    plugin = {"type": "ptp", "ipMasq": False, "ipam": addresses}
    return {"cniVersion": "1.0.0", "name": "ptp", "plugins": [plugin]}


def _kubelet(state: Path, cgroup: str) -> dict[str, Any]:
    """Kubelet's defaults, except where the machine is not its own."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE_ADDRESS,
        "authentication": {
            "anonymous": {"enabled": False},
            "x509": {"clientCAFile": f"{state}/pki/ca.crt"},
        },
        "tlsCertFile": f"{state}/pki/kubelet.crt",
        "tlsPrivateKeyFile": f"{state}/pki/kubelet.key",
        "containerRuntimeEndpoint": f"unix://{state}/containerd.sock",
        "resolvConf": f"{state}/resolv.conf",
        "clusterDNS": [NODE_ADDRESS],
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{cgroup}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "enforceNodeAllocatable": [],
        "localStorageCapacityIsolation": False,
        "makeIPTablesUtilChains": False,
        # Others use this machine's memory and disk too, and a test must not end because of them.
        "evictionHard": {"memory.available": "1%", "nodefs.available": "1%"},
        "nodeStatusUpdateFrequency": "5s",
    }
