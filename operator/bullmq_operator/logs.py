"""Log lines: one JSON object each on stdout, ours and every library's alike."""

from __future__ import annotations

import logging
import sys

import structlog
from structlog.typing import Processor

from bullmq_operator.settings import LogFormat, LogLevel

_LEAST = {  # whatever LOG_LEVEL asks for
    # At INFO kopf tells of its own insides, such as "Initial authentication has been initiated".
    "kopf": logging.WARNING,
    # Whatever a release of it says at DEBUG: what the API server answers may be a Secret.
    "kubernetes": logging.WARNING,
    "aiohttp.access": logging.WARNING,
    "asyncio": logging.WARNING,
}


def configure_logs(form: LogFormat, level: LogLevel) -> None:
    """Route structlog and the standard library's loggers into one handler on stdout."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_renderers(form),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name, least in _LEAST.items():
        logging.getLogger(name).setLevel(max(least, root.level))
    logging.captureWarnings(capture=True)


def _renderers(form: LogFormat) -> list[Processor]:
    if form is LogFormat.CONSOLE:
        # Plain: a traceback that shows local variables shows passwords.
        plain = structlog.dev.plain_traceback
        return [
            structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty(), exception_formatter=plain)
        ]
    return [
        structlog.processors.format_exc_info,
        structlog.processors.EventRenamer("message"),
        structlog.processors.JSONRenderer(),
    ]
