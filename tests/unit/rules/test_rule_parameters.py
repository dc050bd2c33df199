"""Parameters of rules, for all subjects and for some: what is wrong with them, and whom they are for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from facility.errors import Fault, SiteFileError
from facility.sitefile.reader import read_site
from megawatch.site.folder import open_site
from rules.registry import make_rules
from testing.rules.halls import NO_RULES

TENANTS = ("acme", "globex", "operator")


def faults_of(text: str) -> list[Fault]:
    """Return what is wrong with the rules of a site file."""
    file = read_site('[site]\nname = "hall"\n' + text)
    faults: list[Fault] = []
    make_rules(file.rules, faults, TENANTS)
    return faults


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ("[[rules.E1.for]]\npercent = 70", "rules.E1.for[0]", "one of assets, tenants, kinds"),
        ('[[rules.E1.for]]\nassets = "b1"', "rules.E1.for[0].assets", "a list of names"),
        ("[[rules.E1.for]]\nkinds = [7]", "rules.E1.for[0].kinds", "a list of names"),
        ('[[rules.E1.for]]\nassets = ["b[1"]\npercent = 70', "rules.E1.for[0].assets", ""),
        ('[[rules.E1.for]]\ntenants = ["acne"]', "rules.E1.for[0].tenants", "a tenant's id"),
        ('[[rules.E1.for]]\nkinds = ["Breaker"]\npercent = -1', "rules.E1.for[0].percent", "greater than 0"),
        ('[[rules.E1.for]]\nkinds = ["Breaker"]\npersent = 1', "rules.E1.for[0].persent", "one of"),
        (
            '[[rules.E1.for]]\nkinds = ["Breaker"]\nabove_s = 9',
            "rules.E1.for[0].above_s",
            "a parameter of each subject",
        ),
        ('[[rules.Q6.for]]\ntenants = ["acme"]', "rules.Q6.for[0].tenants", "no tenants"),
        ('[[rules.Q8.for]]\ntenants = ["acme"]', "rules.Q8.for[0].tenants", "no tenants"),
        ('[[rules.C2.for]]\nkinds = ["Rack"]', "rules.C2.for[0].kinds", "no kinds"),
        ("[rules.E1]\nfor = [1]", "rules.E1.for", "tables, written [[rules.E1.for]]"),
        ("[rules.E1]\nfor = 1", "rules.E1.for", "tables, written [[rules.E1.for]]"),
    ],
)
def test_what_is_wrong_with_parameters_for_some_says_where(text: str, path: str, expected: str) -> None:
    """One fault, with the place in the site file and what may stand there."""
    (fault,) = faults_of(text)

    assert fault.path == path
    assert expected in fault.expected


def test_all_faults_are_told_at_once() -> None:
    """Those of the rule and those of each table of parameters for some."""
    found = faults_of(
        "[rules.E1]\npercent = 500\n"
        '[[rules.E1.for]]\nassets = ["b1"]\nseverety = 1\n'
        '[[rules.E1.for]]\ntenants = ["acne", "globes"]\nabove_window_s = 5\n'
        "[rules.C22]\n"
    )

    assert sorted(fault.path for fault in found) == [
        "rules.C22",
        "rules.E1.for[0].severety",
        "rules.E1.for[1].above_window_s",
        "rules.E1.for[1].tenants",
        "rules.E1.for[1].tenants",
        "rules.E1.percent",
    ]
    hints = {fault.hint for fault in found}
    assert "did you mean 'acme'?" in hints
    assert "did you mean 'severity'?" in hints


def test_parameters_for_some_begin_with_those_for_all() -> None:
    """What a table leaves out is as the rule's own table says."""
    parameters: dict[str, Any] = {
        "E1": {"percent": 90.0, "on_delay_s": 5, "for": [{"assets": ["b1"], "on_delay_s": 7}]}
    }
    (rule,) = (rule for rule in make_rules(parameters, []) if rule.name == "E1")

    (variant,) = rule.variants
    assert variant.rule.model_dump()["percent"] == 90.0
    assert variant.rule.on_delay_s == 7
    assert variant.assets == ("b1",)


def test_a_rule_that_is_left_out_is_checked_all_the_same() -> None:
    """Whoever switches it on again has not to search for faults then."""
    assert faults_of('[rules.E1]\nenabled = false\n[[rules.E1.for]]\nassets = ["b1"]\npercent = 0')
    assert "E1" not in {rule.name for rule in make_rules({"E1": {"enabled": False}}, [])}
    assert "E1" in {rule.name for rule in make_rules(NO_RULES, [])}


def test_check_knows_whom_parameters_may_be_for(tmp_path: Path) -> None:
    """The operator and every tenant of the file; any other is a fault with the nearest of them."""
    tenant = '[site]\nname = "hall"\n[[tenant]]\nid = "acme"\n'
    right = '[[rules.E1.for]]\ntenants = ["acme", "operator"]\npercent = 70\n'
    (tmp_path / "site.toml").write_text(tenant + right, encoding="utf-8")
    assert {rule.name: len(rule.variants) for rule in open_site(tmp_path).rules}["E1"] == 1

    (tmp_path / "site.toml").write_text(tenant + right.replace('"acme"', '"acne"'), encoding="utf-8")
    with pytest.raises(SiteFileError) as caught:
        open_site(tmp_path)
    (fault,) = caught.value.faults
    assert (fault.path, fault.hint) == ("rules.E1.for[0].tenants", "did you mean 'acme'?")
