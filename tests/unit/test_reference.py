"""The reference pages are what the code says, and say everything that can be written."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from facility.sitefile.reader import read_site
from facility.sitefile.tables import Table
from formats.rackdoc import json_schema
from megawatch.cli.template import SITE as TEMPLATE
from megawatch.reference import DOCS, PAGES, site_file_reference, tables_of
from rules.registry import RULES


def rows(page: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each row of the tables of a page, with the heading that it stands under."""
    heading = ""
    for line in page.splitlines():
        if line.startswith("## "):
            heading = line.removeprefix("## ")
        elif line.startswith("| `"):
            yield heading, [cell.strip() for cell in line.strip("|").split(" | ")]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_what_the_code_says(name: str) -> None:
    """Whoever changes the code writes its pages anew: `python -m megawatch.reference`."""
    assert (DOCS / name).read_text(encoding="utf-8") == PAGES[name]()


@pytest.mark.parametrize(
    "table",
    [table for table in tables_of(Table) if table.__module__ == Table.__module__],
    ids=lambda table: table.__name__,
)
def test_every_key_of_a_table_is_on_the_page_of_the_site_file(table: type[Table]) -> None:
    """A table stands under its own heading, with each of its keys once and in order."""
    heading = (table.__doc__ or "").rstrip(".").partition(": ")[0]

    found = [cells[0] for under, cells in rows(site_file_reference()) if under == heading]

    assert found == [f"`{field.alias or name}`" for name, field in table.model_fields.items()]


def test_every_row_says_what_may_stand_there_and_what_it_is() -> None:
    """No cell but those of unit and default is empty."""
    short = [cells for _, cells in rows(site_file_reference()) if not (cells[1] and cells[-1])]

    assert short == []


def test_a_bound_on_the_page_is_the_bound_that_is_checked() -> None:
    """The page and the reader are made of the same field: 600 s is allowed, as the page says."""
    keepalive = next(cells for _, cells in rows(site_file_reference()) if cells[0] == "`keepalive_s`")

    assert keepalive[1:4] == ["a whole number, at least 2, at most 600", "s", "`15`"]
    assert read_site(TEMPLATE.replace('format = "dsx" ', "keepalive_s = 600 ")).brokers[0].keepalive_s == 600


def test_the_page_of_the_rules_has_every_rule_once() -> None:
    """A rule stands under its name and title, in the order of the registry."""
    page = PAGES["rules.md"]()

    found = [line for line in page.splitlines() if line.startswith("## ")]

    assert found == [f"## {rule.name}: {rule.title}" for rule in RULES]


def test_every_rule_has_an_example_page() -> None:
    """A page that names the rule, under the rule's heading."""
    sections = PAGES["rules.md"]().split("\n## ")[1:]

    for rule, section in zip(RULES, sections, strict=True):
        assert f"rule {rule.name}, alarm " in section
        assert f"docs/runbooks/{rule.runbook()}" in section


def test_every_rule_says_how_often_it_fired_in_the_reference_month() -> None:
    """Or why it cannot, as the file of the month says."""
    sections = PAGES["rules.md"]().split("\n## ")[1:]
    month = json.loads((DOCS / "reference-month.json").read_text(encoding="utf-8"))

    for rule, section in zip(RULES, sections, strict=True):
        (line,) = (line for line in section.splitlines() if line.startswith("Reference month: "))
        opened = month["rules"][rule.name]["opened"]
        times = "once," if opened == 1 else f"{opened} times,"
        said = month["cannot_fire"].get(rule.name) or f"fired {times}"
        assert said in line


def test_the_schema_of_rack_documents_is_the_one_that_the_code_has() -> None:
    """The page is JSON and nothing else."""
    assert json.loads(PAGES["rack-document.schema.json"]()) == json_schema()
