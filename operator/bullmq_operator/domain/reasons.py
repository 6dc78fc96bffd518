"""Reasons of conditions and Events: API, like the fields. Docs and alerts refer to them."""

from __future__ import annotations

import enum


class HeldReason(enum.StrEnum):
    """Why a version will not end by itself."""

    DEADLINE_PASSED = "DeadlinePassed"
    FAILED_JOBS = "FailedJobs"
    REPLICAS_CONTESTED = "ReplicasContested"
    WORKER_ATTACHED = "WorkerAttached"
    BLOCKED_BY_SCHEDULER = "BlockedByScheduler"
    QUEUE_PAUSED = "QueuePaused"
    NO_WORKER_ATTACHED = "NoWorkerAttached"
    QUEUE_VANISHED = "QueueVanished"
    ORPHANED_JOBS = "OrphanedJobs"
    PENDING_DEDUPLICATED = "PendingDeduplicated"
    PARENT_ELSEWHERE = "ParentElsewhere"
    UNKNOWN_KEYS = "UnknownKeys"
    STILL_FED = "StillFed"
    SHARED_QUEUE = "SharedQueue"
    NO_SUCCESSOR = "NoSuccessor"
    MIGRATION_REFUSED = "MigrationRefused"
    NOT_MIGRATED = "NotMigrated"
    KEYS_LEFT = "KeysLeft"
    QUEUE_NOT_FOUND = "QueueNotFound"
    WORKLOAD_NOT_FOUND = "WorkloadNotFound"


class EventReason(enum.StrEnum):
    """Reasons of Kubernetes Events."""

    ACTIVATED = "Activated"
    SUPERSEDED = "Superseded"
    SUPERSEDED_ON_ARRIVAL = "SupersededOnArrival"
    DRAIN_STARTED = "DrainStarted"
    DRAINED = "Drained"
    WORKERS_GONE = "WorkersGone"
    OBLITERATING = "Obliterating"
    RETIRED = "Retired"
    REOPENED = "Reopened"
    ROLLED_BACK = "RolledBack"
    STOPPED = "Stopped"
    RESUMED = "Resumed"
    HELD = "Held"
    DELAYED_BEYOND_DEADLINE = "DelayedBeyondDeadline"
    MIGRATION_DUE = "MigrationDue"
    MIGRATED = "Migrated"
    RESTORE_UNKNOWN = "RestoreReplicasUnknown"
    MISCONFIGURED = "Misconfigured"
    EVICTION_ALLOWED = "EvictionAllowed"


ORDER_UNKNOWN = "OrderUnknown"
CONFLICT = "Conflict"
EVICTION_ALLOWED = "EvictionAllowed"
NOT_SUPPORTED_YET = "NotSupportedYet"
