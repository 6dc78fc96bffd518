"""`QueueVersion.spec` from JSON. Defaults are those of the domain, which a test holds to the CRD's:
an object that was stored before a field existed comes without its default.

A word this program does not know comes from a newer CRD. It is never guessed: the value that
changes least takes its place.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, TypeVar

from bullmq_operator.domain.names import RedisSource, SecretKeyRef, Sentinel
from bullmq_operator.domain.spec import (
    Activation,
    ActivationPolicy,
    Drain,
    FailedJobs,
    Keep,
    LateJobs,
    Obliterate,
    OnTimeout,
    Retention,
    Retire,
    Spec,
    State,
    WorkloadRef,
)
from bullmq_operator.kube.values import parse_duration

Json = Mapping[str, Any]
T = TypeVar("T")
E = TypeVar("E", bound=enum.StrEnum)


def parse_spec(spec: Json) -> Spec:
    """Raises KeyError or ValueError for what the CRD's schema does not let through."""
    default = Spec(spec["queue"], spec["version"])
    return Spec(
        queue=spec["queue"],
        version=spec["version"],
        order=spec.get("order"),
        queue_name=spec.get("queueName"),
        prefix=spec.get("prefix", default.prefix),
        redis=parse_redis(spec.get("redis") or {}),
        workers=tuple(parse_ref(ref) for ref in spec.get("workers") or ()),
        state=_word(spec, "state", default.state, State.PINNED),
        activation=_activation(spec.get("activation") or {}),
        drain=_drain(spec.get("drain") or {}),
        retire=_retire(spec.get("retire") or {}),
        retention=_retention(spec.get("retention") or {}),
        deletion_policy=spec.get("deletionPolicy", default.deletion_policy),
        suspend=spec.get("suspend", default.suspend),
    )


def parse_ref(ref: Json) -> WorkloadRef:
    """An entry of `spec.workers` or `status.workers`."""
    default = WorkloadRef(ref["name"])
    return WorkloadRef(
        ref["name"], ref.get("kind", default.kind), ref.get("apiVersion", default.api_version)
    )


def parse_redis(redis: Json) -> RedisSource:
    """`spec.redis`."""
    default = RedisSource()
    tls = redis.get("tls")
    return RedisSource(
        url=redis.get("url"),
        url_from=_key_ref(redis.get("urlFrom")),
        sentinel=_sentinel(redis.get("sentinel")),
        username_from=_key_ref(redis.get("usernameFrom")),
        password_from=_key_ref(redis.get("passwordFrom")),
        topology=redis.get("topology", default.topology),
        tls=tls is not None,  # an empty object switches it on
        ca_from=_key_ref((tls or {}).get("caFrom")),
    )


def _sentinel(sentinel: Json | None) -> Sentinel | None:
    if sentinel is None:
        return None
    return Sentinel(
        master_name=sentinel["masterName"],
        nodes=tuple(sentinel["nodes"]),
        database=sentinel.get("database", 0),
        password_from=_key_ref(sentinel.get("passwordFrom")),
    )


def _key_ref(source: Json | None) -> SecretKeyRef | None:
    for field, kind in (("secretKeyRef", "Secret"), ("configMapKeyRef", "ConfigMap")):
        ref = (source or {}).get(field)
        if ref is not None:
            return SecretKeyRef(ref["name"], ref["key"], kind)
    return None


def _activation(activation: Json) -> Activation:
    default = Activation()
    return Activation(
        policy=_word(activation, "policy", default.policy, ActivationPolicy.MANUAL),
        min_ready=_duration(activation, "minReady", default.min_ready),
    )


def _drain(drain: Json) -> Drain:
    default = Drain()
    return Drain(
        handover=drain.get("handover", default.handover),
        quiet_period=_duration(drain, "quietPeriod", default.quiet_period),
        timeout=_optional(parse_duration, drain.get("timeout")),
        on_timeout=_word(drain, "onTimeout", default.on_timeout, OnTimeout.HOLD),
        schedulers=drain.get("schedulers", default.schedulers),
    )


def _retire(retire: Json) -> Retire:
    default = Retire()
    return Retire(
        delay=_duration(retire, "delay", default.delay),
        obliterate=_word(retire, "obliterate", default.obliterate, Obliterate.NEVER),
        approval=retire.get("approval", default.approval),
        failed_jobs=_word(retire, "failedJobs", default.failed_jobs, FailedJobs.HOLD),
        archive=bool(retire.get("archive")),
        late_jobs=_word(retire, "lateJobs", default.late_jobs, LateJobs.HOLD),
    )


def _retention(retention: Json) -> Retention:
    return Retention(_keep(retention.get("completed")), _keep(retention.get("failed")))


def _keep(keep: Json | None) -> Keep | None:
    if keep is None:
        return None
    return Keep(_optional(parse_duration, keep.get("age")), keep.get("count"))


def _word(source: Json, field: str, default: E, unknown: E) -> E:
    """An enum's value; `unknown` when it has none of that name."""
    if field not in source:
        return default
    try:
        return type(default)(source[field])
    except ValueError:
        return unknown


def _duration(source: Json, field: str, default: timedelta) -> timedelta:
    return parse_duration(source[field]) if field in source else default


def _optional(parse: Callable[[str], T], text: str | None) -> T | None:
    return None if text is None else parse(text)
