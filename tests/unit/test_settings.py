"""The environment in, settings or one plain sentence out."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta

import pytest

from bullmq_operator.settings import (
    ArchiveGrant,
    LogLevel,
    RedisGrant,
    Settings,
    SettingsError,
    describe_settings,
    format_duration,
    load_settings,
    parse_duration,
    unknown_settings,
)

Load = Callable[..., Settings]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Load:
    """Loads settings from an environment of exactly these variables, prefix left out."""
    for name in os.environ:
        if name.startswith("BULLMQ_OPERATOR_") or name == "POD_NAMESPACE":
            monkeypatch.delenv(name)

    def load_from(**variables: str) -> Settings:
        for name, value in variables.items():
            full = name if name.startswith("POD_") else f"BULLMQ_OPERATOR_{name}"
            monkeypatch.setenv(full, value)
        return load_settings()

    return load_from


def test_an_empty_environment_gives_the_documented_defaults(load: Load) -> None:
    settings = load()
    assert settings.redis_url is None
    assert settings.namespaces == ()
    assert settings.poll_interval == timedelta(seconds=5)
    assert settings.resync_interval == timedelta(minutes=10)
    assert (settings.http_host, settings.http_port) == ("0.0.0.0", 8080)
    assert settings.lease_duration == timedelta(seconds=15)


def test_a_variable_without_a_value_counts_as_unset(load: Load) -> None:
    assert load(LOG_FORMAT="", POLL_INTERVAL="", REDIS_URL="") == load_settings()
    assert load_settings().poll_interval == timedelta(seconds=5)


def test_lists_may_have_blanks_and_a_trailing_comma(load: Load) -> None:
    assert load(NAMESPACES=" shop, pay,").namespaces == ("shop", "pay")


def test_the_lease_is_in_the_pods_namespace_unless_one_is_set(load: Load) -> None:
    assert load(POD_NAMESPACE="bullmq-system").lease_namespace == "bullmq-system"
    assert load(LEASE_NAMESPACE="elsewhere").lease_namespace == "elsewhere"


def test_log_levels_are_taken_in_any_case(load: Load) -> None:
    assert load(LOG_LEVEL="WARNING").log_level is LogLevel.WARNING


@pytest.mark.parametrize(
    ("namespace", "queue", "allowed"),
    [
        pytest.param("shop", "orders/v1", True, id="a star stands for any characters"),
        pytest.param("shop", "invoices/v1", False, id="another queue of the same namespace"),
        pytest.param("pay", "orders/v1", False, id="another namespace's pattern"),
        pytest.param("pay", "pay-[eu]?", True, id="brackets and question marks in a name"),
        pytest.param("free", "anything", True, id="a namespace without a pattern"),
        pytest.param("other", "orders/v1", False, id="a namespace that is not listed"),
    ],
)
def test_the_default_redis_is_open_to_the_listed_namespaces_and_queues(
    load: Load, namespace: str, queue: str, allowed: bool
) -> None:
    settings = load(REDIS_NAMESPACES="shop=orders*,pay=pay-*,free")
    assert settings.may_use_default_redis(namespace, queue) is allowed


def test_brackets_in_a_pattern_stand_for_themselves() -> None:
    assert RedisGrant("shop", "a[bc]*").allows("shop", "a[bc]/v1")
    assert not RedisGrant("shop", "a[bc]*").allows("shop", "ab/v1")


def test_without_redis_namespaces_every_namespace_may_use_the_default_redis(load: Load) -> None:
    assert load().may_use_default_redis("any", "queue")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0s", timedelta()),
        ("500ms", timedelta(milliseconds=500)),
        ("5s", timedelta(seconds=5)),
        ("1m30s", timedelta(seconds=90)),
        ("1.5h", timedelta(minutes=90)),
    ],
)
def test_durations_are_read_as_go_reads_them(text: str, expected: timedelta) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize("text", ["", "5", "2d", "s", "5 s", "-5s", "1m30", "five"])
def test_what_go_would_not_read_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a duration"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["0s", "250ms", "5s", "1m30s", "2h", "1h0m1s"])
def test_a_formatted_duration_reads_back_the_same(text: str) -> None:
    assert parse_duration(format_duration(parse_duration(text))) == parse_duration(text)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REDIS_URL", "hunter2"),
        ("REDIS_URL", "http://:hunter2@redis:6379"),
        ("REDIS_URL", "redis://:hunter2@redis:99999"),
        ("REDIS_NAMESPACES", "hunter2 hunter2"),
        ("REDIS_NAMESPACES", "shop="),
        ("NAMESPACES", "Hunter2"),
        ("POLL_INTERVAL", "hunter2"),
        ("POLL_INTERVAL", "1ms"),
        ("RESYNC_INTERVAL", "0s"),
        ("HTTP_PORT", "hunter2"),
        ("HTTP_PORT", "70000"),
        ("LEASE_NAME", "Hunter2 "),
        ("LEASE_NAMESPACE", "Hunter2 "),
        ("LEASE_DURATION", "1s"),
        ("LOG_FORMAT", "hunter2"),
        ("LOG_LEVEL", "hunter2"),
    ],
)
def test_a_bad_value_gets_one_sentence_that_names_the_variable_and_not_the_value(
    load: Load, name: str, value: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        load(**{name: value})
    sentence = str(caught.value)
    assert sentence.startswith(f"BULLMQ_OPERATOR_{name} must") or "should" in sentence
    assert "\n" not in sentence
    assert "hunter2" not in sentence.lower()
    assert caught.value.__context__ is None, "a traceback would print what lies behind"


def test_the_password_of_redis_shows_in_no_representation(load: Load) -> None:
    settings = load(REDIS_URL="redis://:hunter2@redis:6379/0")
    assert "hunter2" not in f"{settings!r} {settings}"
    assert settings.redis_url is not None
    assert settings.redis_url.get_secret_value() == "redis://:hunter2@redis:6379/0"


def test_a_misspelt_variable_is_found_and_a_services_are_not() -> None:
    environment = {
        "BULLMQ_OPERATOR_NAMESPCES": "shop",
        "BULLMQ_OPERATOR_NAMESPACES": "shop",
        "BULLMQ_OPERATOR_SERVICE_HOST": "10.0.0.1",
        "BULLMQ_OPERATOR_PORT_8080_TCP": "tcp://10.0.0.1:8080",
        "PATH": "/bin",
    }
    assert unknown_settings(environment) == ("BULLMQ_OPERATOR_NAMESPCES",)


def test_every_setting_is_described() -> None:
    described = {name: meaning for name, _, meaning in describe_settings()}
    assert set(described) == {f"BULLMQ_OPERATOR_{name.upper()}" for name in Settings.model_fields}
    assert all(meaning.endswith(".") for meaning in described.values())


def test_archives_are_granted_by_namespace_and_url(load: Load) -> None:
    grants = load(ARCHIVE_URLS="shop=s3://archives/shop/*, *=gs://all/*").archive_urls
    shop, everybody = ArchiveGrant("shop", "s3://archives/shop/*"), ArchiveGrant("*", "gs://all/*")
    assert grants == (shop, everybody)
    assert shop.allows("shop", "s3://archives/shop/v1")
    assert not shop.allows("pay", "s3://archives/shop/v1")
    assert not shop.allows("shop", "s3://archives/shopping")
    assert everybody.allows("pay", "gs://all/x")


@pytest.mark.parametrize("value", ["shop", "shop=", "shop=ftp://host/x", "Shop=s3://bucket/x"])
def test_an_archive_that_can_not_be_granted_is_told(load: Load, value: str) -> None:
    with pytest.raises(SettingsError, match=r"BULLMQ_OPERATOR_ARCHIVE_URLS must be entries"):
        load(ARCHIVE_URLS=value)
