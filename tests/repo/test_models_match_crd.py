"""The CRD and the domain's models are one: every field, default and word of one is in the other."""

from __future__ import annotations

import dataclasses
import enum
import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from bullmq_operator.domain import spec as spec_models
from bullmq_operator.domain.counts import QueueCounts
from bullmq_operator.domain.names import RedisSource, Sentinel
from bullmq_operator.domain.spec import Spec
from bullmq_operator.domain.status import (
    Condition,
    ConditionStatus,
    ConditionType,
    Phase,
    RetirementStatus,
    Status,
)
from bullmq_operator.kube.spec import parse_spec
from bullmq_operator.kube.status import parse_status, status_to_dict
from scripts.field_reference import Field, fields, schema_of

Json = dict[str, Any]

SCHEMA = schema_of(Path(__file__).resolve().parents[2] / "crds/queueversions.yaml")
FIELDS = {field.path: field for field in fields(SCHEMA)}
LEAVES = {
    path: field
    for path, field in FIELDS.items()
    if path.startswith(("spec.", "status."))
    and not any(other.startswith((f"{path}.", f"{path}[")) for other in FIELDS)
}

PRESENCE_ONLY = {
    # Later issues act on these; until then the planner only needs to know that they are set.
    "spec.retire.archive.url",
    "spec.retire.archive.jobs",
}

NOT_READ_BACK = {
    # The sum of the others, so not read back.
    "status.jobs.unfinished",
    # Reserved in the CRD for what later issues bring.
    "status.managedBy",
    "status.workers[].autoscaler.kind",
    "status.workers[].autoscaler.name",
    "status.workers[].autoscaler.minReplicas",
    "status.workers[].autoscaler.restoreAnnotations",
    "status.retirement.planDigest",
    "status.retirement.archiveURL",
    "status.retirement.archivedJobs",
    "status.retirement.discardedJobs",
}

MODELS: Mapping[str, type] = {
    "spec": Spec,
    "spec.redis": RedisSource,
    "spec.redis.sentinel": Sentinel,
    "spec.workers[]": spec_models.WorkloadRef,
    "spec.activation": spec_models.Activation,
    "spec.drain": spec_models.Drain,
    "spec.retire": spec_models.Retire,
    "spec.retention": spec_models.Retention,
    "spec.retention.completed": spec_models.Keep,
    "spec.retention.failed": spec_models.Keep,
    "status.jobs": QueueCounts,
    "status.retirement": RetirementStatus,
    "status": Status,
    "status.conditions[]": Condition,
}

RENAMED = {"last_transition": "lastTransitionTime", "ca_from": "tls"}

ENUMS: Mapping[str, type[enum.StrEnum]] = {
    "spec.state": spec_models.State,
    "spec.activation.policy": spec_models.ActivationPolicy,
    "spec.drain.onTimeout": spec_models.OnTimeout,
    "spec.retire.obliterate": spec_models.Obliterate,
    "spec.retire.failedJobs": spec_models.FailedJobs,
    "spec.retire.lateJobs": spec_models.LateJobs,
    "status.phase": Phase,
    "status.conditions[].status": ConditionStatus,
}


def samples(path: str, schema: Mapping[str, Any]) -> tuple[Any, Any]:
    """Two values of a leaf that differ."""
    if "enum" in schema:
        first, *others = schema["enum"]
        return first, (others or ["another"])[-1]
    if schema.get("format") == "date-time":
        return "2026-11-23T12:00:00Z", "2026-11-23T13:00:00Z"
    if "A duration such as" in schema["description"]:
        return "1h", "2h"
    if schema["type"] == "array":
        return ["a:1"], ["b:1"]
    if schema["type"] == "object":
        return {"k": "a"}, {"k": "b"}
    if path == "status.conditions[].type":
        return "Ready", "Drained"
    return {"integer": (1, 2), "boolean": (False, True), "string": ("a", "b")}[schema["type"]]


def with_value(path: str, value: Any) -> Json:
    """The smallest object that has the value at the path, with what is required beside it."""
    root: Json = {}
    here, prefix = root, ""
    for part, below in pairwise(path.split(".")):
        prefix = f"{prefix}.{part}".lstrip(".")
        child = here.setdefault(part.removesuffix("[]"), [{}] if part.endswith("[]") else {})
        here = child[0] if part.endswith("[]") else child
        for field in FIELDS.values():
            parent, _, name = field.path.rpartition(".")
            if parent == prefix and field.required and name != below.removesuffix("[]"):
                here[name] = required(field)
    here[path.rpartition(".")[2]] = value
    return root


def required(field: Field) -> Any:
    """Any valid value of a field."""
    if field.path in LEAVES:
        return samples(field.path, field.schema)[0]
    raise AssertionError(f"{field.path} is required and no leaf")


def camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(part.title() for part in tail)


def with_defaults(schema: Mapping[str, Any], value: Any) -> Any:
    """What the API server makes of a value: the defaults of fields that are left out."""
    if isinstance(value, list):
        return [with_defaults(schema["items"], one) for one in value]
    if not isinstance(value, dict):
        return value
    filled = dict(value)
    for name, child in schema.get("properties", {}).items():
        if name not in filled and "default" in child:
            filled[name] = child["default"]
        if name in filled:
            filled[name] = with_defaults(child, filled[name])
    return filled


@pytest.mark.parametrize("path", sorted(p for p in LEAVES if p.startswith("spec.")))
def test_every_field_of_the_spec_reaches_the_model(path: str) -> None:
    one, other = (
        parse_spec(with_value(path, value)["spec"]) for value in samples(path, LEAVES[path].schema)
    )
    assert (one == other) is (path in PRESENCE_ONLY)


@pytest.mark.parametrize("path", sorted(p for p in LEAVES if p.startswith("status.")))
def test_every_field_of_the_status_is_written_and_read_back(path: str) -> None:
    given = [with_value(path, value)["status"] for value in samples(path, LEAVES[path].schema)]
    one, other = (status_to_dict(parse_status(status)) for status in given)
    assert (one == other) is (path in NOT_READ_BACK)


@pytest.mark.parametrize(("path", "model"), MODELS.items(), ids=MODELS)
def test_every_field_of_a_model_is_in_the_crd(path: str, model: type) -> None:
    names = {RENAMED.get(field.name) or camel(field.name) for field in dataclasses.fields(model)}
    here = {p.rpartition(".")[2] for p in FIELDS if p.rpartition(".")[0] == path}
    assert names <= here


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({}, id="the smallest version"),
        pytest.param({"workers": [{"name": "a"}]}, id="a workload"),
        pytest.param({"redis": {}}, id="an empty redis"),
        pytest.param(
            {"redis": {"sentinel": {"masterName": "m", "nodes": ["a:1"]}}}, id="a sentinel"
        ),
        pytest.param({"activation": {}, "drain": {}, "retire": {}}, id="empty policies"),
    ],
)
def test_the_models_defaults_are_those_of_the_crd(given: Json) -> None:
    given = {"queue": "orders", "version": "2"} | given
    filled = with_defaults(SCHEMA["properties"]["spec"], given)
    assert parse_spec(given) == parse_spec(filled)


def test_the_crd_gives_the_smallest_version_its_model() -> None:
    given = {"queue": "orders", "version": "2"}
    filled = with_defaults(SCHEMA["properties"]["spec"], given)
    assert parse_spec(filled) == Spec("orders", "2")


def test_the_status_of_a_new_object_is_the_models() -> None:
    parsed = parse_status(SCHEMA["properties"]["status"]["default"])
    assert dataclasses.replace(parsed, conditions=()) == Status()


@pytest.mark.parametrize(("path", "model"), ENUMS.items(), ids=ENUMS)
def test_the_words_are_the_same(path: str, model: type[enum.StrEnum]) -> None:
    assert [word.value for word in model] == list(FIELDS[path].schema["enum"])


def test_the_conditions_that_the_crd_names_are_those_that_are_set() -> None:
    description = FIELDS["status.conditions"].schema["description"]
    assert {word.value for word in ConditionType} <= set(re.findall(r"\w+", description))
