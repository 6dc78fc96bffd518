"""`bullmq-operator`: arguments and environment in, an exit code out.

Exit codes: 0 stopped as asked, 1 failed (one line says why), 2 a wrong argument or setting.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import textwrap
from collections.abc import Sequence
from importlib.metadata import version

import structlog

from bullmq_operator.app.process import FatalError, run
from bullmq_operator.cli import restore
from bullmq_operator.logs import configure_logs
from bullmq_operator.settings import (
    SettingsError,
    describe_settings,
    load_settings,
    unknown_settings,
)

_log = structlog.stdlib.get_logger("bullmq_operator")

_STOPPED, _FAILED, _USAGE = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """The console script; returns the exit code."""
    parsed = _parser().parse_args(arguments)
    if parsed.command == "run":
        return _run()
    if parsed.command == "restore":
        return restore.run(parsed)
    _parser().print_help()
    return _USAGE


def _run() -> int:
    try:
        settings = load_settings()
    except SettingsError as error:
        sys.stderr.write(f"bullmq-operator: {error}\n")
        return _USAGE
    configure_logs(settings.log_format, settings.log_level)
    for name in unknown_settings(os.environ):
        _log.warning(f"{name} is not a setting and is ignored; see bullmq-operator run --help")
    try:
        asyncio.run(run(settings))
    except FatalError as error:
        _log.critical(str(error))
        return _FAILED
    except Exception as error:  # a defect of ours: in the log's format, with its traceback
        _log.critical(f"{type(error).__name__}: {error}", exc_info=True)
        return _FAILED
    except KeyboardInterrupt:  # before our own handler was in place
        return _STOPPED
    return _STOPPED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bullmq-operator",
        description="Retires old versions of BullMQ queues on Kubernetes without losing a job.",
    )
    number = f"bullmq-operator {version('bullmq-operator')}"
    parser.add_argument("--version", action="version", version=number)
    commands = parser.add_subparsers(dest="command", title="commands")
    commands.add_parser(
        "run",
        help="run the operator",
        description="Runs the operator until SIGTERM, in the cluster of its pod or of KUBECONFIG.",
        epilog=_settings_help(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    restore.add_arguments(commands.add_parser("restore", help=restore.HELP))
    return parser


def _settings_help() -> str:
    lines = ["settings (environment variables; durations such as 500ms, 5s, 1h30m):"]
    for name, default, meaning in describe_settings():
        lines.append(f"  {name}" + (f" (default: {default})" if default else ""))
        lines.extend(textwrap.wrap(meaning, 88, initial_indent=" " * 6, subsequent_indent=" " * 6))
    lines.append("\nexit codes: 0 stopped, 1 failed, 2 wrong argument or setting")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
