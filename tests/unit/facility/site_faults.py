"""Files, and tables of the site itself, that are wrong in one thing each, and what must be told of them."""

from __future__ import annotations

from collections.abc import Sequence

from tests.unit.facility.site_texts import SITE, in_site

Told = Sequence[tuple[str, str]]
"""Path of each fault that must be told, and what must be in its sentence."""

FILES: list[tuple[str, str, Told]] = [
    # The file as a whole
    ("nothing", "", [("site.name", "the site's name, found nothing")]),
    (
        "a number of 5,000 digits",
        f"{SITE}rack_rating_kw = 1{'0' * 5_000}\n",
        [("file", "a number or a date")],
    ),
    ("no TOML", "name = ", [("file", "a TOML document")]),
    ("a key twice", f'{SITE}name = "b"\n', [("file", "a TOML document")]),
    ("a table twice", SITE + SITE, [("file", "a TOML document")]),
    ("NUL", SITE + "\0", [("file", "a TOML document")]),
    ("brackets without end", SITE + "a = " + "[" * 5_000, [("file", "a TOML document")]),
    ("a site that is a number", "site = 5", [("site", "5")]),
    ("sites", f"[{SITE}".replace("site]", "site]]"), [("site", "titan")]),
    ("an unknown table", f"{SITE}[tennant]\n", [("tennant", "did you mean 'tenant'?")]),
    ("a plural", f"{SITE}[[brokers]]\n", [("brokers", "did you mean 'broker'?")]),
    ("nonsense", f"{SITE}[zzz]\n", [("zzz", "one of the tables site, store, engine")]),
    (
        "a table instead of tables",
        f'{SITE}[broker]\nurl = "mqtt://bus"\n',
        [("broker", "written [[broker]]")],
    ),
    ("a number instead of tables", f"tenant = 5\n{SITE}", [("tenant", "written [[tenant]], found 5")]),
    ("numbers instead of tables", f"tenant = [5, 6]\n{SITE}", [("tenant[0]", "5"), ("tenant[1]", "6")]),
    ("rules that are a number", f"rules = 5\n{SITE}", [("rules", "tables such as [rules.C2], found 5")]),
    ("a parameter that is a list", f"{SITE}[rules.C2]\na = [1]\n", [("rules.C2.a", "a single value")]),
    ("a table without a name", f'"" = 1\n{SITE}', [('""', "one of the tables")]),
    ("a rule that is a number", f"{SITE}[rules]\nC2 = 5\n", [("rules.C2", "a table of parameters, found 5")]),
]

SITES: list[tuple[str, str, Told]] = [
    ("a name that is a number", "[site]\nname = 5\n", [("site.name", "5")]),
    ("a name that is NaN", "[site]\nname = nan\n", [("site.name", "NaN")]),
    ("a name that is a list", '[site]\nname = ["a"]\n', [("site.name", "['a']")]),
    ("an empty name", '[site]\nname = ""\n', [("site.name", "1 to 64 letters")]),
    ("a name with a space", '[site]\nname = "my site"\n', [("site.name", "'my site'")]),
    ("a name with a newline", '[site]\nname = "a\\nb"\n', [("site.name", "1 to 64 letters")]),
    ("a look-alike name", '[site]\nname = "tit\\u0430n"\n', [("site.name", "1 to 64 letters")]),
    ("too long a name", f'[site]\nname = "{"a" * 65}"\n', [("site.name", "1 to 64 letters")]),
    ("a zone misspelt", in_site('timezone = "America/Chicgo"'), [("site.timezone", "'America/Chicago'?")]),
    ("a zone in lower case", in_site('timezone = "utc"'), [("site.timezone", "did you mean 'UTC'?")]),
    ("a zone of a path", in_site('timezone = "../../etc/passwd"'), [("site.timezone", "an IANA zone")]),
    ("an empty zone", in_site('timezone = ""'), [("site.timezone", "an IANA zone")]),
    ("a zone that is a number", in_site("timezone = -6"), [("site.timezone", "-6")]),
    ("a negative rating", in_site("rack_rating_kw = -132"), [("site.rack_rating_kw", "found -132")]),
    ("a rating that is NaN", in_site("rack_rating_kw = nan"), [("site.rack_rating_kw", "NaN")]),
    ("an infinite rating", in_site("rack_rating_kw = inf"), [("site.rack_rating_kw", "Infinity")]),
    ("an enormous rating", in_site("rack_rating_kw = 1e999999"), [("site.rack_rating_kw", "1E+999999")]),
    (
        "a rating that is true",
        in_site("rack_rating_kw = true"),
        [("site.rack_rating_kw", "a number, found true")],
    ),
    (
        "a rating as text",
        in_site('rack_rating_kw = "132"'),
        [("site.rack_rating_kw", "a number, found '132'")],
    ),
    (
        "a rating that is a date",
        in_site("rack_rating_kw = 2026-01-01"),
        [("site.rack_rating_kw", "a number")],
    ),
    ("a rating that is a list", in_site("rack_rating_kw = [132]"), [("site.rack_rating_kw", "a number")]),
    (
        "half a milliwatt",
        in_site("rack_rating_kw = 0.0000005"),
        [("site.rack_rating_kw", "whole number of milli")],
    ),
    (
        "more than 100 GW",
        in_site("rack_rating_kw = 100000000.001"),
        [("site.rack_rating_kw", "at most 100 GW")],
    ),
    (
        "more firm capacity",
        in_site("firm_capacity_mw = 100000.1"),
        [("site.firm_capacity_mw", "at most 100 GW")],
    ),
    ("no feeds", in_site("rack_feeds = 0"), [("site.rack_feeds", "found 0")]),
    ("five feeds", in_site("rack_feeds = 5"), [("site.rack_feeds", "found 5")]),
    ("feeds in fractions", in_site("rack_feeds = 2.5"), [("site.rack_feeds", "2.5")]),
    ("feeds that are true", in_site("rack_feeds = true"), [("site.rack_feeds", "true")]),
    ("feeds as text", in_site('rack_feeds = "2"'), [("site.rack_feeds", "'2'")]),
    ("a share below nothing", in_site("path_loss_percent = -0.1"), [("site.path_loss_percent", "-0.1")]),
    ("a share above all", in_site("path_loss_percent = 100.1"), [("site.path_loss_percent", "100.1")]),
    ("a share that is NaN", in_site("path_loss_percent = nan"), [("site.path_loss_percent", "NaN")]),
    (
        "a share that is infinite",
        in_site("path_loss_percent = -inf"),
        [("site.path_loss_percent", "-Infinity")],
    ),
    ("a share beyond floats", in_site("path_loss_percent = 1e400"), [("site.path_loss_percent", "1E+400")]),
    ("a share that is false", in_site("path_loss_percent = false"), [("site.path_loss_percent", "a number")]),
    (
        "a share as text",
        in_site('path_loss_percent = "1"'),
        [("site.path_loss_percent", "a number, found '1'")],
    ),
    (
        "a key misspelt",
        in_site("rack_ratng_kw = 1"),
        [("site.rack_ratng_kw", "did you mean 'rack_rating_kw'?")],
    ),
    ("a key in capitals", in_site('TIMEZONE = "UTC"'), [("site.TIMEZONE", "did you mean 'timezone'?")]),
    ("a key of nothing", in_site("zzz = 1"), [("site.zzz", "the unknown key 'zzz'")]),
    ("a key called date", in_site("date = 2026-01-01"), [("site.date", "the unknown key 'date'")]),
    ("a key called int", in_site("int = 1"), [("site.int", "the unknown key 'int'")]),
    ("a key with a bracket", in_site('"a[b" = 1'), [("site.a[b", "the unknown key 'a[b'")]),
    (
        "a key that steers a terminal",
        in_site('"k\\u001b" = 1'),
        [("site.k\\x1b", "the unknown key 'k\\x1b'")],
    ),
    ("a name that steers a terminal", '[site]\nname = "a\\u001b"\n', [("site.name", "'a\\x1b'")]),
    ("an empty key", in_site('"" = 1'), [("site.", "the unknown key ''")]),
    (
        "a number of 4,000 digits",
        in_site(f"rack_rating_kw = 0x{'f' * 4_000}"),
        [("site.rack_rating_kw", "found")],
    ),
    ("a name of 4,000 digits", f"[site]\nname = 0x{'f' * 4_000}\n", [("site.name", "found ")]),
]
