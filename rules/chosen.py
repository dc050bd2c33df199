"""Which subjects of a rule other parameters are for, as the site file sets them for some of them."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from facility.patterns import choose
from facility.readings import BoolArray
from rules.base import Rule, Variant
from rules.subject import SubjectKind
from rules.view import View


def chosen_by(variant: Variant, rule: Rule, subjects: tuple[str, ...], view: View) -> BoolArray:
    """Return which subjects of a rule a variant is for, shape (subjects,)."""
    chosen = np.ones(len(subjects), np.bool_)
    assets = view.table(rule.kind).assets if rule.is_of_tables else subjects
    if variant.assets:
        chosen &= _named(variant.assets, assets, subjects)
    if variant.tenants and rule.kind is SubjectKind.TENANT:
        chosen &= np.isin(subjects, variant.tenants)
    elif variant.tenants:
        is_chosen = np.isin(view.tenants.ids, variant.tenants)
        racks = rule.racks_to_choose_by(view)
        chosen &= False if racks is None else racks.all_have(is_chosen[view.racks.holders], of_none=False)
    if variant.kinds:
        chosen &= [view.tables.topology.kind_of(asset) in variant.kinds for asset in assets]
    return chosen


@lru_cache(maxsize=16)
def _named(patterns: tuple[str, ...], assets: tuple[str, ...], subjects: tuple[str, ...]) -> BoolArray:
    """Return which subjects patterns choose, by their own ids or by those of their assets; read only."""
    named = {found for pattern in patterns for found in choose(pattern, {*assets, *subjects})}
    pairs = zip(assets, subjects, strict=True)
    return np.array([asset in named or subject in named for asset, subject in pairs], np.bool_)
