"""docs/reference against the schema: complete, current, each field in one place."""

import re
from pathlib import Path

import pytest

from scripts.field_reference import PAGES, fields, render, schema_of

PAGE = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@PAGE
def test_the_tables_are_current(page: Path) -> None:
    text = page.read_text()
    assert render(text, schema_of(PAGES[page])) == text, "run `make reference`"


@PAGE
def test_every_field_stands_in_the_tables_once(page: Path) -> None:
    wanted = [
        field.path
        for field in fields(schema_of(PAGES[page]))
        if field.path.startswith(("spec", "status"))
    ]
    shown = re.findall(r"^\| `((?:spec|status)[^`]*)` \|", page.read_text(), re.MULTILINE)
    assert sorted(shown) == sorted(wanted)


def test_a_changed_schema_makes_the_page_stale() -> None:
    schema = {
        "properties": {
            "spec": {
                "type": "object",
                "description": "All.",
                "properties": {
                    "size": {"type": "integer", "description": "How many | much.", "default": 3},
                },
            }
        }
    }
    page = "before\n<!-- fields: spec -->\nold\n<!-- end of fields -->\nafter\n"
    assert render(page, schema) == (
        "before\n"
        "<!-- fields: spec -->\n"
        "| field | type | default | meaning |\n"
        "|---|---|---|---|\n"
        "| `spec` | object | – | All. |\n"
        "| `spec.size` | integer | `3` | How many \\| much. |\n"
        "<!-- end of fields -->\n"
        "after\n"
    )
