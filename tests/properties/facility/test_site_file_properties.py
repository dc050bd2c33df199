"""Whatever stands in a site file, it is a site or a list of faults, and never anything else."""

from __future__ import annotations

import string

from hypothesis import given, settings
from hypothesis import strategies as st

from facility.errors import SiteFileError
from facility.sitefile.reader import read_site
from facility.sitefile.tables import Table
from megawatch.cli.template import SITE as TEMPLATE

HEADERS = [
    "[site]", "[[broker]]", "[store]", "[store.influxdb]", "[engine]", "[metrics]", "[[rack]]", "[[asset]]",
    "[[tenant]]", "[[tenant.holds]]", "[[tenant.contract]]", "[[tenant.contract.ramp]]",
    "[tenant.contract.limit]", "[[route]]", "[route.to]", "[rules.C2]", "[nonsense]",
]  # fmt: skip

KEYS = sorted(
    {field.alias or name for table in Table.__subclasses__() for name, field in table.model_fields.items()}
    | {"date", "str", "int", "zzz", '""', '"a[b"', '"a.b"', "name.a.b.c"}
)

VALUES = [
    "0", "1", "-1", "2.5", "15", "1440", "1e-9", "5e-324", "1e308", "1e400", "1e999999", "-0.0", "inf",
    "-inf", "nan", "true", "false", '""', '"x"', '"A-{1..3}"', '"A-*"', '"["', '"mqtt://h"', '"http://h:1"',
    '"dsx"', '"UTC"', '"America/Chicago"', '"block"', '"rolling"', '"linear"', '"named_meters"', '"2N"',
    '"high"', '"a\\u0000b"', "2026-01-01", "0001-01-01", "9999-12-31", "2026-03-08T02:30:00",
    "2026-01-01T00:00:00Z", "07:32:00", "9999-12-31T23:59:59-10:00", "0001-01-01T00:00:00+14:00", "[]",
    "{}", "[[]]", "[1]", '["A-1", "A-2"]', '["x", 1]', "[{}]", '[{ racks = "A-1", from = 2026-01-01 }]',
    "[{ from = 2026-01-01, committed_mw = 1 }]", "{ a = 1 }", "{ console = true }", "99999999999999999999",
    f"0x{'f' * 4_000}", f"1{'0' * 400}.5",
]  # fmt: skip

values = st.sampled_from(VALUES) | st.integers().map(str) | st.floats().map(repr) | st.dates().map(str)
lines = st.sampled_from(HEADERS) | st.builds("{} = {}".format, st.sampled_from(KEYS), values)


@st.composite
def tables(draw: st.DrawFn) -> str:
    """Draw a file of real tables with real keys, each once, of any values."""
    parts = ['[site]\nname = "titan"']
    for header in draw(st.lists(st.sampled_from(HEADERS[1:]), max_size=6)):
        keys = draw(st.lists(st.sampled_from(KEYS), max_size=6, unique=True))
        parts += [header, *(f"{key} = {draw(values)}" for key in keys)]
    return "\n".join(parts)


@st.composite
def damaged_templates(draw: st.DrawFn) -> str:
    """Draw the template with the value of some lines changed, and a line here and there lost."""
    kept = []
    for line in TEMPLATE.splitlines():
        key, equals, _ = line.partition(" = ")
        fate = draw(st.integers(0, 12))
        if fate == 0:
            continue
        kept.append(f"{key} = {draw(values)}" if equals and fate == 1 else line)
    return "\n".join(kept)


def check(text: str) -> None:
    """Check that a text is a site or a list of faults that each say something."""
    try:
        assert read_site(text).site.name
    except SiteFileError as error:
        told = error
    else:
        return

    assert told.faults
    assert all(fault.path and fault.expected and fault.found for fault in told.faults)
    assert len(str(told).splitlines()) == 1 + len(told.faults)


@given(st.text())
def test_any_text_is_a_site_or_faults(text: str) -> None:
    """No text takes the reader down."""
    check(text)


@given(st.text(string.printable + "[]{}=.\"'#\n" * 3, max_size=200))
def test_any_text_that_looks_like_toml_is_a_site_or_faults(text: str) -> None:
    """Brackets, quotes and signs in any order are refused like any other nonsense."""
    check(text)


@given(st.lists(lines, max_size=20).map("\n".join))
def test_any_lines_of_toml_are_a_site_or_faults(text: str) -> None:
    """Tables and keys in any order, with any values, are read or refused."""
    check(text)


@settings(max_examples=300)
@given(tables())
def test_any_tables_are_a_site_or_faults(text: str) -> None:
    """Known keys in any table with any values are read or refused."""
    check(text)


@given(damaged_templates())
def test_a_damaged_site_file_is_a_site_or_faults(text: str) -> None:
    """A good file with lines lost or changed is read or refused."""
    check(text)


@given(
    st.integers(1, 3_000),
    st.sampled_from(["[", "{a=", "a.", "[[", '"']),
    st.sampled_from(["", "]", "}", "= 1"]),
)
def test_any_depth_is_a_site_or_faults(depth: int, opening: str, closing: str) -> None:
    """Brackets and dots without end are refused before they use up the stack."""
    check(f'[site]\nname = "titan"\na = {opening * depth}1{closing * depth}\n')
    check(f"site.{opening * depth}a = 1\n")
