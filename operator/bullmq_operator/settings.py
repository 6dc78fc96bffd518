"""What an installation sets: the environment variables `BULLMQ_OPERATOR_*`, parsed and checked.

A value that can't be used is a `SettingsError` of one sentence that names the variable and never
repeats the value: it may be a secret put into the wrong variable.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AliasChoices, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PREFIX = "BULLMQ_OPERATOR_"

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?")
_REDIS_SCHEMES = ("redis", "rediss")


class SettingsError(Exception):
    """One sentence about the first setting that can't be used."""


class LogFormat(enum.StrEnum):
    """How log lines look."""

    JSON = "json"
    CONSOLE = "console"


class LogLevel(enum.StrEnum):
    """The least severe level that is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class RedisGrant:
    """One entry of REDIS_NAMESPACES: a namespace and the queue names it may use."""

    namespace: str
    queues: str = "*"
    """`*` stands for any characters; everything else for itself, since BullMQ allows `?` and `[`
    in names."""

    def allows(self, namespace: str, queue: str) -> bool:
        """Whether this entry is about that namespace and that physical queue name."""
        pattern = ".*".join(re.escape(part) for part in self.queues.split("*"))
        return self.namespace in ("*", namespace) and re.fullmatch(pattern, queue, re.S) is not None


@dataclass(frozen=True, slots=True)
class ArchiveGrant:
    """One entry of ARCHIVE_URLS: a namespace and where it may put archives."""

    namespace: str
    urls: str
    """`*` stands for any characters; everything else for itself."""

    def allows(self, namespace: str, url: str) -> bool:
        """Whether this entry is about that namespace and that URL."""
        pattern = ".*".join(re.escape(part) for part in self.urls.split("*"))
        return self.namespace in ("*", namespace) and re.fullmatch(pattern, url, re.S) is not None


def parse_duration(value: object) -> timedelta:
    """Go's notation (`90s`, `1h30m`), as everywhere in Kubernetes; ValueError for all else."""
    if isinstance(value, timedelta):
        return value
    text = str(value).strip()
    parts = list(_DURATION_PART.finditer(text))
    if not parts or "".join(part[0] for part in parts) != text:
        raise ValueError("must be a duration such as 5s, 1m30s or 2h")
    return timedelta(seconds=sum(float(part[1]) * _UNITS[part[2]] for part in parts))


def format_duration(value: timedelta) -> str:
    """The shortest Go notation of a duration of whole milliseconds."""
    left = round(value.total_seconds() * 1000)
    parts = []
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def _parse_names(value: object) -> object:
    if not isinstance(value, str):
        return value
    names = tuple(name.strip() for name in value.split(",") if name.strip())
    if not all(_NAME.fullmatch(name) for name in names):
        raise ValueError("must be namespaces separated by commas, such as shop,pay")
    return names


def _parse_grants(value: object) -> object:
    return tuple(_grants(value)) if isinstance(value, str) else value


def _grants(text: str) -> Iterator[RedisGrant]:
    for entry in filter(None, (part.strip() for part in text.split(","))):
        namespace, equals, queues = (part.strip() for part in entry.partition("="))
        if (namespace != "*" and not _NAME.fullmatch(namespace)) or (equals and not queues):
            raise ValueError(
                "must be entries <namespace>=<queue names> separated by commas, such as "
                "shop=orders*,pay=pay-*"
            )
        yield RedisGrant(namespace, queues or "*")


def _parse_archives(value: object) -> object:
    return tuple(_archives(value)) if isinstance(value, str) else value


def _archives(text: str) -> Iterator[ArchiveGrant]:
    for entry in filter(None, (part.strip() for part in text.split(","))):
        namespace, _, urls = (part.strip() for part in entry.partition("="))
        known_scheme = urls.partition("://")[0] in ("s3", "gs", "abfs", "https", "file")
        if (namespace != "*" and not _NAME.fullmatch(namespace)) or not known_scheme:
            raise ValueError(
                "must be entries <namespace>=<URL> separated by commas, such as "
                "shop=s3://archives/shop/*,*=file:///archives/*"
            )
        yield ArchiveGrant(namespace, urls)


def _parse_redis_url(value: object) -> object:
    text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
    problem = "must be a URL such as redis://redis.shop.svc:6379/0 (or rediss:// for TLS)"
    try:
        url = urlsplit(text.strip())
        usable = url.scheme in _REDIS_SCHEMES and bool(url.hostname) and url.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError(problem)
    return text.strip()


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_parse_names)]
Grants = Annotated[tuple[RedisGrant, ...], NoDecode, BeforeValidator(_parse_grants)]
Archives = Annotated[tuple[ArchiveGrant, ...], NoDecode, BeforeValidator(_parse_archives)]
RedisUrl = Annotated[SecretStr, BeforeValidator(_parse_redis_url)]


class Settings(BaseSettings):
    """All settings; the descriptions are what `bullmq-operator run --help` prints."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, frozen=True, hide_input_in_errors=True
    )

    redis_url: RedisUrl | None = Field(
        default=None,
        description="The default Redis, for QueueVersions that name none. May hold a password.",
    )
    redis_secret: str | None = Field(
        default=None,
        pattern=rf"^{_NAME.pattern}$",
        description="The Secret, in the operator's own namespace, whose key `url` is the default"
        " Redis where REDIS_URL is unset. It may be made or changed while the operator runs.",
    )
    redis_namespaces: Grants = Field(
        default=(),
        description="Which namespaces may use the default Redis, and for which queue names, such as"
        " shop=orders*,pay=pay-*. Unset: every watched namespace, for every queue.",
    )
    archive_urls: Archives = Field(
        default=(),
        description="Where which namespaces may put archives, such as shop=s3://archives/shop/*;"
        " there also with the operator's own identity. Unset: any s3, gs, abfs or https URL, with"
        " credentials from the namespace's own Secret.",
    )
    namespaces: Names = Field(
        default=(), description="Namespaces to watch, separated by commas. Unset: all of them."
    )
    poll_interval: Duration = Field(
        default=timedelta(seconds=5),
        ge=timedelta(milliseconds=100),
        description="How often each Redis is asked for the counts of its queues.",
    )
    resync_interval: Duration = Field(
        default=timedelta(minutes=10),
        ge=timedelta(seconds=1),
        description="How often everything is listed and looked at again, come what may.",
    )
    http_host: str = Field(
        default="0.0.0.0",  # noqa: S104  (probes and scrapers come from other machines)
        description="Address to listen on for /healthz, /readyz and /metrics.",
    )
    http_port: int = Field(default=8080, ge=0, le=65535, description="Port to listen on.")
    lease_name: str = Field(
        default="bullmq-operator",
        pattern=rf"^{_NAME.pattern}$",
        description="The Lease by which one of several replicas is chosen.",
    )
    lease_namespace: str = Field(
        default="default",
        validation_alias=AliasChoices(f"{PREFIX}LEASE_NAMESPACE", "POD_NAMESPACE"),
        pattern=rf"^{_NAME.pattern}$",
        description="The operator's own namespace, of its Lease and of REDIS_SECRET. Unset: the"
        " pod's (POD_NAMESPACE).",
    )
    lease_duration: Duration = Field(
        default=timedelta(seconds=15),
        ge=timedelta(seconds=3),
        description="How long a replica that fell silent still counts as the one at work.",
    )
    log_format: Annotated[LogFormat, BeforeValidator(_lower)] = Field(
        default=LogFormat.JSON, description="json (one object a line) or console (for people)."
    )
    log_level: Annotated[LogLevel, BeforeValidator(_lower)] = Field(
        default=LogLevel.INFO, description="debug, info, warning or error."
    )

    def may_use_default_redis(self, namespace: str, queue: str) -> bool:
        """Whether a namespace may use the default Redis for a physical queue name."""
        grants = self.redis_namespaces
        return not grants or any(grant.allows(namespace, queue) for grant in grants)


def load_settings() -> Settings:
    """The settings of this process's environment; SettingsError names the first bad one."""
    try:
        return Settings()
    except ValidationError as error:
        # Raised outside of the handler, so that no traceback can print the values behind it.
        message = _one_sentence(error)
    raise SettingsError(message)


def _one_sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    field = str(first["loc"][0])
    name = field if field.isupper() else f"{PREFIX}{field.upper()}"
    return f"{name} {_plain(field, first)}."


def _plain(field: str, error: Mapping[str, Any]) -> str:
    match error["type"]:
        case "value_error":
            return str(error["msg"]).removeprefix("Value error, ")
        case "string_pattern_mismatch":
            return "must be a name in lower case, of letters, digits and dashes"
        case "int_parsing":
            return "must be a whole number"
        case "enum":
            return f"must be one of: {Settings.model_fields[field].description}".rstrip(".")
        case "greater_than_equal" if field.endswith(("_interval", "_duration")):
            least = next(m.ge for m in Settings.model_fields[field].metadata if hasattr(m, "ge"))
            return f"must be at least {format_duration(least)}"
        case _:
            return str(error["msg"]).replace("Input should", "should")


def describe_settings() -> Iterator[tuple[str, str, str]]:
    """Name, default and meaning of every setting, in the order people should read them."""
    for name, field in Settings.model_fields.items():
        yield f"{PREFIX}{name.upper()}", _shown(field.default), str(field.description)


def _shown(default: object) -> str:
    match default:
        case None | ():
            return ""
        case timedelta():
            return format_duration(default)
        case _:
            return str(default)


def unknown_settings(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Variables with our prefix that are no setting: probably misspelt.

    What a kubelet sets for a Service named bullmq-operator (`…_SERVICE_HOST`, `…_PORT_8080_TCP`)
    is left out.
    """
    known = {name for name, _, _ in describe_settings()}
    links = re.compile(rf"{PREFIX}(\w+_)?(SERVICE_(HOST|PORT\w*)|PORT(_\d+_\w+)?)")
    return tuple(
        sorted(
            name
            for name in environment
            if name.startswith(PREFIX) and name not in known and not links.fullmatch(name)
        )
    )
