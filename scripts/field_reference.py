"""Writes the field tables of docs/reference/ from the CRDs, whose descriptions are the only source.

A page holds its own prose and, between two marks, the table of one part of the schema:

    <!-- fields: spec.redis -->
    <!-- end of fields -->

A field stands in the table of the nearest mark above it, so that each stands exactly once.

    python scripts/field_reference.py            rewrite the tables
    python scripts/field_reference.py --check    exit 1 if they are not current
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
PAGES = {ROOT / "docs/reference/queueversion.md": ROOT / "crds/queueversions.yaml"}
TABLE = re.compile(
    r"(<!-- fields: (?P<part>[\w.\[\]]+) -->\n).*?(<!-- end of fields -->)", re.DOTALL
)
DURATION_HINT = "A duration such as"


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a schema, at a path such as `spec.workers[].name`."""

    path: str
    schema: Mapping[str, Any]
    required: bool


def schema_of(crd: Path) -> Mapping[str, Any]:
    """The schema of a CRD file's only version."""
    (version,) = yaml.safe_load(crd.read_text())["spec"]["versions"]
    schema: Mapping[str, Any] = version["schema"]["openAPIV3Schema"]
    return schema


def fields(schema: Mapping[str, Any], path: str = "") -> Iterator[Field]:
    """All fields below a schema, in the order of the file; map values and list items by `[]`."""
    required = schema.get("required", ())
    for name, child in schema.get("properties", {}).items():
        child_path = f"{path}.{name}".lstrip(".")
        yield Field(child_path, child, name in required)
        yield from fields(child, child_path)
    for kind in ("items", "additionalProperties"):
        if "properties" in schema.get(kind, {}):
            yield from fields(schema[kind], f"{path}[]")


def type_name(schema: Mapping[str, Any]) -> str:
    """A word for the reader: `duration` and `time` where the schema says only `string`."""
    if "enum" in schema:
        return "enum"
    if schema.get("format") == "date-time":
        return "time"
    if DURATION_HINT in schema["description"]:
        return "duration"
    if schema["type"] == "array":
        return f"list of {type_name(schema['items'])}s"
    if "additionalProperties" in schema:
        return f"map of {type_name(schema['additionalProperties'])}s"
    return str(schema["type"])


def default_of(field: Field) -> str:
    """The default as the user would write it; an object's own is only that of its fields."""
    if "default" in field.schema and field.schema["type"] != "object":
        return f"`{json.dumps(field.schema['default']).strip(chr(34))}`"
    return "required" if field.required and not field.path.startswith("status") else "–"


def row(field: Field) -> str:
    """One line of a table; `<` and `|` mean something to Markdown."""
    meaning = field.schema["description"].replace("<", "&lt;").replace("|", "\\|")
    return f"| `{field.path}` | {type_name(field.schema)} | {default_of(field)} | {meaning} |\n"


def render(page: str, schema: Mapping[str, Any]) -> str:
    """The page with its tables made anew.

    Raises KeyError when a mark names no part of the schema.
    """
    all_fields = {field.path: field for field in fields(schema)}
    parts = [match["part"] for match in TABLE.finditer(page)]
    tables = {
        part: f"| field | type | default | meaning |\n|---|---|---|---|\n{row(all_fields[part])}"
        for part in parts
    }
    for field in all_fields.values():
        above = [part for part in parts if re.match(rf"{re.escape(part)}[.\[]", field.path)]
        if field.path not in parts and above:
            tables[max(above, key=len)] += row(field)
    return TABLE.sub(lambda match: match[1] + tables[match["part"]] + match[3], page)


def main(arguments: list[str]) -> int:
    """Rewrites the pages, or says which are not current."""
    stale = False
    for page, crd in PAGES.items():
        text = page.read_text()
        rendered = render(text, schema_of(crd))
        if rendered == text:
            continue
        if "--check" in arguments:
            stale = True
            print(f"{page.relative_to(ROOT)} is not current: run `make reference`")
        else:
            page.write_text(rendered)
    return int(stale)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
