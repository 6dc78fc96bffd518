"""Workers that are still attached when the version's own are gone: started by hand, by a machine
outside of Kubernetes, or by a workload that `workers` does not list.

They stand in the way of nothing: every deleting call proves for itself that nothing is unfinished.
But whoever retires a queue wants to know who still listens to it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from bullmq_operator.domain.counts import ClientsUnknown, Unknown
from bullmq_operator.domain.progress import Progress
from bullmq_operator.domain.wording import counted

AFTER: Final = timedelta(seconds=10)
"""Since the last Pod went; until then the list of clients may still show that Pod's."""
MOST: Final = 3


def strangers(progress: Progress, now: datetime) -> str:
    """Who they are, by address and connection name, to be added to a sentence; empty for nobody."""
    view, gone_at = progress.view, progress.status.workers_gone_at
    if isinstance(view.reading, Unknown) or gone_at is None or now - gone_at < AFTER:
        return ""
    if isinstance(view.clients, ClientsUnknown):
        return f"; whether workers from elsewhere are attached is unknown: {view.clients.message}"
    if not view.clients:
        return ""
    named = ", ".join(f"{one.address} ({one.name})" for one in view.clients[:MOST])
    more = f" and {len(view.clients) - MOST} more" if len(view.clients) > MOST else ""
    return (
        f"; {counted(len(view.clients), 'worker connection')} from elsewhere: {named}{more}. "
        "They stop nothing, and what they write again is swept; stop them where they run"
    )
