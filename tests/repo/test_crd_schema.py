"""The schema of QueueVersion, read as a file. What it does: tests/integration/kube."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.field_reference import DURATION_HINT, Field, fields, schema_of

ROOT = Path(__file__).resolve().parents[2]
CRD = ROOT / "crds/queueversions.yaml"
SCHEMA = schema_of(CRD)
FIELDS = {field.path: field for field in fields(SCHEMA)}
DEFINITION = yaml.safe_load(CRD.read_text())["spec"]
(VERSION,) = DEFINITION["versions"]

DURATION_RULE = (
    "self != '' && self.matches('^([0-9]{1,5}h)?([0-9]{1,7}m)?([0-9]{1,9}s)?$')"
    " && duration(self) >= duration('LOW') && duration(self) <= duration('HIGH')"
)

KEYWORDS = (
    "type",
    "format",
    "description",
    "default",
    "enum",
    "minimum",
    "minLength",
    "minItems",
    "maxItems",
    "maxLength",
    "x-kubernetes-map-type",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "items",
    "additionalProperties",
    "required",
    "properties",
    "x-kubernetes-validations",
)
"""The order in which the keywords of a field are written. A keyword that is not here is one that
this schema does without: `pattern` (a rule can say what to do), `nullable`, `anyOf`, …"""


def nodes(schema: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every schema below the root, those of list items and map values included."""
    for name, child in schema.get("properties", {}).items():
        yield f"{path}.{name}".lstrip("."), child
        yield from nodes(child, f"{path}.{name}".lstrip("."))
    for kind in ("items", "additionalProperties"):
        if kind in schema:
            yield f"{path}[]", schema[kind]
            yield from nodes(schema[kind], f"{path}[]")


NODES = dict(nodes(SCHEMA))
DURATIONS = {path: n for path, n in NODES.items() if DURATION_HINT in n.get("description", "")}


@pytest.mark.parametrize("path", [path for path in NODES if path != "metadata"])
def test_every_field_is_described_in_sentences(path: str) -> None:
    description = NODES[path]["description"]
    assert len(description) >= 10
    assert description.endswith((".", ")")) or path in {"apiVersion", "kind"}


@pytest.mark.parametrize("path", NODES)
def test_every_field_keeps_the_order_of_keywords(path: str) -> None:
    keywords = list(NODES[path])
    assert keywords == sorted(keywords, key=KEYWORDS.index)


@pytest.mark.parametrize(
    "path",
    [p for p, n in NODES.items() if p.startswith("spec") and n["type"] in {"string", "array"}],
)
def test_everything_a_user_writes_is_bounded(path: str) -> None:
    assert {"enum", "maxLength", "maxItems"} & NODES[path].keys()


@pytest.mark.parametrize("path", [path for path, node in NODES.items() if "default" in node])
def test_a_default_is_legal_where_it_stands(path: str) -> None:
    node = NODES[path]
    python_type = {"string": str, "integer": int, "boolean": bool, "array": list, "object": dict}
    assert isinstance(node["default"], python_type[node["type"]])
    assert node["default"] in node.get("enum", [node["default"]])


def test_the_defaults_of_the_spec_are_those_of_the_api() -> None:
    defaults = {
        path.removeprefix("spec."): node["default"]
        for path, node in NODES.items()
        if "default" in node and path.startswith("spec.")
    }
    assert defaults == {
        "prefix": "bull",
        "redis.sentinel.database": 0,
        "redis.topology": "Standalone",
        "workers": [],
        "workers[].apiVersion": "apps/v1",
        "workers[].kind": "Deployment",
        "state": "Auto",
        "activation": {},
        "activation.policy": "WorkersReady",
        "activation.minReady": "30s",
        "drain": {},
        "drain.handover": "OwnWorkers",
        "drain.quietPeriod": "1m",
        "drain.onTimeout": "ScaleDown",
        "drain.schedulers": "Block",
        "retire": {},
        "retire.delay": "24h",
        "retire.obliterate": "WhenDrained",
        "retire.approval": "Automatic",
        "retire.failedJobs": "Hold",
        "retire.archive.jobs": "All",
        "retire.lateJobs": "Reopen",
        "deletionPolicy": "Orphan",
        "suspend": False,
    }


def test_an_object_no_operator_has_seen_is_not_taken_for_done() -> None:
    """Flux and Helm wait while the observed generation is behind; without a status they don't."""
    assert NODES["status"]["default"] == {
        "observedGeneration": -1,
        "phase": "Pending",
        "conditions": [
            {
                "type": "Ready",
                "status": "Unknown",
                "reason": "WaitingForOperator",
                "message": "Waiting for the operator",
                "lastTransitionTime": "1970-01-01T00:00:00Z",
            }
        ],
    }


@pytest.mark.parametrize(
    ("path", "low", "high"),
    [
        pytest.param("spec.activation.minReady", "0s", "24h", id="minReady may be nothing"),
        pytest.param("spec.drain.quietPeriod", "1s", "168h", id="quietPeriod may not"),
        pytest.param("spec.drain.timeout", "1s", "8760h", id="timeout, at most a year"),
        pytest.param("spec.retire.delay", "0s", "8760h", id="delay may be nothing"),
        pytest.param("spec.retention.completed.age", "1s", "8760h", id="age of completed jobs"),
        pytest.param("spec.retention.failed.age", "1s", "8760h", id="age of failed jobs"),
    ],
)
def test_durations_share_one_rule_and_one_sentence(path: str, low: str, high: str) -> None:
    (rule,) = DURATIONS[path]["x-kubernetes-validations"]
    assert rule["rule"] == DURATION_RULE.replace("LOW", low).replace("HIGH", high)
    days = "" if high == "24h" else "; days are written in hours: 48h, not 2d"
    assert rule["message"] == (
        f"must be a duration from {low} to {high}, such as 30s, 10m or 1h30m{days}"
    )
    assert f"{low} to {high}" in DURATIONS[path]["description"]


def test_no_duration_is_without_the_rule() -> None:
    assert len(DURATIONS) == 6
    ruled = {
        path
        for path, node in NODES.items()
        if any("duration(self)" in r["rule"] for r in node.get("x-kubernetes-validations", ()))
    }
    assert ruled == set(DURATIONS)


@pytest.mark.parametrize(
    ("holder", "field"),
    [
        pytest.param("spec.redis", "url", id="url of the Redis"),
        pytest.param("spec.redis.sentinel", "nodes", id="nodes of the sentinel"),
        pytest.param("spec.retire.archive", "url", id="url of the archive"),
    ],
)
def test_what_may_hold_a_credential_is_refused_without_being_repeated(
    holder: str, field: str
) -> None:
    """A rule on the field prints its value; one on the object that holds it, as Forbidden, not."""
    rules = [
        rule
        for rule in NODES[holder]["x-kubernetes-validations"]
        if rule.get("fieldPath") == f".{field}"
    ]
    assert rules
    assert {rule["reason"] for rule in rules} == {"FieldValueForbidden"}
    assert not {"pattern", "enum", "x-kubernetes-validations"} & NODES[f"{holder}.{field}"].keys()


def test_the_whole_identity_is_frozen_once_the_queue_was_seen() -> None:
    rules = {rule["fieldPath"]: rule for rule in SCHEMA["x-kubernetes-validations"]}
    assert sorted(rules) == [".spec.prefix", ".spec.queue", ".spec.queueName", ".spec.version"]
    for path, rule in rules.items():
        assert rule["rule"].startswith(
            "!has(oldSelf.status) || !has(oldSelf.status.queueFirstSeenAt) || "
        )
        assert rule["message"].startswith(f"{path.removeprefix('.spec.')} can't change once")


def test_a_field_without_default_is_compared_by_its_presence_too() -> None:
    """A rule that reads an absent field is an error, which refuses every later write."""
    for rule in SCHEMA["x-kubernetes-validations"]:
        field = FIELDS[rule["fieldPath"].removeprefix(".")]
        if not is_always_present(field):
            assert (
                f"has(self{rule['fieldPath']}) == has(oldSelf{rule['fieldPath']})" in rule["rule"]
            )


def is_always_present(field: Field) -> bool:
    return field.required or "default" in field.schema


def test_list_maps_have_keys_that_every_item_has() -> None:
    for path, node in NODES.items():
        for key in node.get("x-kubernetes-list-map-keys", ()):
            item = node["items"]
            assert key in item.get("required", ()) or "default" in item["properties"][key], path


def test_references_are_replaced_as_a_whole() -> None:
    references = {path: node for path, node in NODES.items() if path.endswith("KeyRef")}
    assert len(references) == 6
    assert {node["x-kubernetes-map-type"] for node in references.values()} == {"atomic"}
    assert {tuple(node["required"]) for node in references.values()} == {("name", "key")}


def test_counts_are_never_negative() -> None:
    unbounded = {
        path
        for path, node in NODES.items()
        if node["type"] == "integer" and node.get("minimum") != 0
    }
    assert unbounded == {"status.observedGeneration"}


def test_the_names_users_type() -> None:
    assert DEFINITION["names"] == {
        "kind": "QueueVersion",
        "listKind": "QueueVersionList",
        "plural": "queueversions",
        "singular": "queueversion",
        "shortNames": ["qv"],
        "categories": ["bullmq"],
    }
    assert [field["jsonPath"] for field in VERSION["selectableFields"]] == [
        ".spec.queue",
        ".spec.version",
    ]


def test_the_columns_of_kubectl_get() -> None:
    columns = VERSION["additionalPrinterColumns"]
    assert [c["name"] for c in columns if "priority" not in c] == [
        "Queue",
        "Version",
        "Phase",
        "Ready",
        "Unfinished",
        "Workers",
        "Age",
    ]
    assert [c["name"] for c in columns if "priority" in c] == [
        "Current-version",
        "Deadline",
        "Reason",
    ]


def test_every_column_and_every_message_names_a_field_there_is() -> None:
    paths = [column["jsonPath"] for column in VERSION["additionalPrinterColumns"]]
    known = {f".{path}" for path in FIELDS} | {".metadata.creationTimestamp"}
    assert {re.sub(r"\[\?.*?\]", "[]", path) for path in paths} <= known
