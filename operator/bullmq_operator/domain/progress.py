"""Where one version stands, between the planner's stages."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import datetime

from bullmq_operator.domain.blockers import Blocker, Held
from bullmq_operator.domain.observation import VersionView
from bullmq_operator.domain.plan import Action, Event
from bullmq_operator.domain.status import Status


class Role(enum.StrEnum):
    """What a version is for, as its family and `spec.state` decide."""

    PENDING = "Pending"
    CURRENT = "Current"
    STOPPED = "Stopped"
    DRAIN = "Drain"


@dataclass(frozen=True, slots=True)
class Misconfigured:
    """What only an edit cures; nothing is changed for the version until then."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Progress:
    """One version on its way through the stages."""

    view: VersionView
    role: Role
    status: Status
    """Clocks and facts as they will be written; phase and conditions come last."""
    successor: VersionView | None = None
    """The family's current version, where that is another one."""
    why: str = ""
    """What the version waits for, or what its role rests on."""
    proven_empty: bool = False
    """Nothing unfinished, and quiet for long enough."""
    frozen: bool = False
    """Suspended or misconfigured: observe and report, change nothing."""
    keeps_workers: bool = True
    """False: its workers may go to zero as far as this version is concerned."""
    settings_due: tuple[str, ...] = ()
    """Names of the queue's settings that must be back before its workers."""
    leaves_workers: bool = False
    """Its workers neither come nor go: not judged, or left alone by policy."""
    workers_gone: bool = False
    retired: bool = False
    unknown: tuple[str, str] | None = None
    """(reason, message) when the queue can't be judged."""
    blockers: tuple[Blocker, ...] = ()
    remedy_due: str = ""
    """What a policy does about the blockers, and when."""
    held: Held | None = None
    misconfigured: Misconfigured | None = None
    actions: tuple[Action, ...] = ()
    events: tuple[Event, ...] = ()
    wants_inventory: bool = False
    look_again: tuple[datetime, ...] = field(default=())
