"""Rules of the process node that need no cluster."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from devcluster import build
from devcluster.network import claim_network, free_port, server_address
from devcluster.node.addresses import Addresses
from devcluster.node.environment import command_line, expand
from devcluster.node.images import Catalogue, Image, repository_and_tag
from devcluster.node.status import Conditions, ContainerState, phase, terminated


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("$(A)/$(B)", "1/2", id="known names"),
        pytest.param("$(C)", "$(C)", id="an unknown name stays"),
        pytest.param("$$(A)", "$(A)", id="an escaped one stays, without its escape"),
        pytest.param("$$$(A)", "$1", id="an escape before a reference"),
        pytest.param("$A ${A} $", "$A ${A} $", id="a shell's own syntax is none"),
    ],
)
def test_references_are_expanded_as_kubernetes_does(text: str, expected: str) -> None:
    assert expand(text, {"A": "1", "B": "2"}) == expected


IMAGE = Image(command=("entry",), args=("default",))


@pytest.mark.parametrize(
    ("container", "expected"),
    [
        pytest.param({}, ["entry", "default"], id="neither: the image's own"),
        pytest.param({"args": ["x"]}, ["entry", "x"], id="args replace the image's args"),
        pytest.param({"command": ["c"]}, ["c"], id="command drops the image's args too"),
        pytest.param({"command": ["c"], "args": ["$(A)"]}, ["c", "1"], id="both, expanded"),
    ],
)
def test_command_and_args_override_the_image(
    container: dict[str, list[str]], expected: list[str]
) -> None:
    assert command_line(container, IMAGE, {"A": "1"}) == expected


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        pytest.param("app", ("app", "latest"), id="name only"),
        pytest.param("team/app:v1", ("team/app", "v1"), id="path and tag"),
        pytest.param("registry.example/team/app:v1", ("team/app", "v1"), id="registry"),
        pytest.param("localhost:5000/app", ("app", "latest"), id="port, no tag"),
        pytest.param("app:v1@sha256:0123", ("app", "v1"), id="digest"),
    ],
)
def test_an_image_is_known_by_repository_and_tag(reference: str, expected: tuple[str, str]) -> None:
    assert repository_and_tag(reference) == expected


def test_a_tag_may_run_another_command_and_adds_to_the_environment() -> None:
    node, python = (Catalogue().find(f"devcluster/bullmq-worker:{tag}") for tag in ("v5", "python"))
    assert node.command == ("{node}", "{programs}/worker.js")
    assert python.command == ("{python}", "-m", "devcluster.programs.worker")
    assert (node.needs_programs, python.needs_programs) == (True, False)
    assert node.env == {"POD_IP": "{pod_ip}", "BULLMQ_PACKAGE": "bullmq5"}
    assert python.env == {"POD_IP": "{pod_ip}", "PYTHONPATH": "{root}"}


def test_the_operators_image_runs_it_on_the_pods_own_address() -> None:
    image = Catalogue().find("registry.example/bullmq-operator:0.1.0")
    assert image.args == ("run",)
    assert image.env["BULLMQ_OPERATOR_HTTP_HOST"] == "{pod_ip}"


def test_a_freed_address_is_not_used_again_at_once() -> None:
    addresses = Addresses(7)
    first = addresses.take()
    addresses.free(first)
    assert first == "127.7.1.0"
    assert addresses.take() == "127.7.1.1"
    assert addresses.take(wanted=first) == first
    assert addresses.take(wanted=first) == "127.7.1.2"
    assert addresses.take(wanted="127.8.1.9") == "127.7.1.3"


def test_two_clusters_never_get_the_same_network() -> None:
    claims = [claim_network() for _ in range(20)]
    assert len({number for number, _ in claims}) == 20
    for number, claim in claims:
        assert claim.getsockname()[0] == server_address(number)
        claim.close()


def test_a_taken_port_is_not_handed_out() -> None:
    other = free_port()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        assert free_port(among=[taken.getsockname()[1], other]) == other


def container(state: dict[str, object], **fields: object) -> ContainerState:
    return ContainerState("c", "image", state=state, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("states", "finished", "expected"),
    [
        pytest.param([container({"waiting": {}})], False, "Pending", id="not started"),
        pytest.param(
            [container({"waiting": {}}, last=terminated(1, ""))], False, "Running", id="back-off"
        ),
        pytest.param(
            [container({"running": {}}), container(terminated(0, ""))],
            False,
            "Running",
            id="one of two ended",
        ),
        pytest.param([container(terminated(0, ""))], True, "Succeeded", id="exit 0"),
        pytest.param([container(terminated(-9, ""))], True, "Failed", id="killed"),
    ],
)
def test_the_phase_follows_from_the_containers(
    states: list[ContainerState], finished: bool, expected: str
) -> None:
    assert phase(states, finished=finished) == expected


def test_a_condition_keeps_its_time_while_its_status_stays() -> None:
    old = {"type": "Ready", "status": "False", "lastTransitionTime": "2020-01-01T00:00:00Z"}
    [kept] = [
        one
        for one in Conditions([old]).update([container({"running": {}})], "Running")
        if one["type"] == "Ready"
    ]
    assert kept["lastTransitionTime"] == old["lastTransitionTime"]
    assert kept["message"] == "containers with unready status: [c]"


def test_assets_without_a_controller_manager_are_not_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    programs = build.control_plane(said.append)
    assert "has no etcd, kube-apiserver, kube-controller-manager" in said[0]
    assert programs.origin == str(build.built_binary())


def test_complete_assets_are_used_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in build.PROGRAMS:
        (tmp_path / name).symlink_to("/bin/true")
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    assert build.control_plane().command("etcd") == [str(tmp_path / "etcd")]
