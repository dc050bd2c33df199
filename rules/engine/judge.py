"""One rule with its alarms: it judges, is hidden by others, and fails alone."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from facility.names import AssetId
from facility.readings import BoolArray, IntArray
from rules.alarms.carried import Carried
from rules.alarms.states import Bank
from rules.alarms.time_above import TimeAbove
from rules.base import (
    BREACH,
    CANNOT_VERIFY,
    CLEAR,
    CodeArray,
    Findings,
    Rule,
    Severity,
    Variant,
    Verdict,
)
from rules.causes import HiddenBy, Relation
from rules.chosen import chosen_by
from rules.comparison import OfRows
from rules.draw.summation_plan import Index
from rules.engine.relations import (
    covered,
    including,
    inside,
    listed,
    no_rows,
    rows_by,
    same,
    sharing,
)
from rules.model.rows import Links
from rules.model.tables import Key, Table
from rules.subject import SubjectKind
from rules.view import View

BLOCK_ROWS: Final = 15_000
"""So many rows are judged at a time: arrays of so many numbers stay in the processor's cache, and are smaller
than what the C library asks the system for and gives back each time."""
NOTHING: Final = Findings.nothing(0)
"""What is found of no subject."""
NESTED: Final = frozenset({SubjectKind.COMPARISON, SubjectKind.ALARM})
"""Kinds of subjects that are members of others of their kind, whatever racks they stand for."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """What a rule found of its rows, which are judged anew where something of them may be otherwise.

    Attributes:
        found: What it found of all of them, in arrays of its own.
        uses: By what keys it asked its table.
        at_ms: The moment [ms].
    """

    found: Findings
    uses: Collection[Key]
    at_ms: int


@dataclass(slots=True)
class Judge:
    """A rule and its machines.

    Attributes:
        rule: What judges.
        bank: Its alarms.
        unverified: Its alarms of not being able to tell, None where that is no alarm.
        judging_error: What the rule raised when it judged last, "" where it judged.
        telling_error: What was raised when it was last found out what hides its alarms, "" where nothing was.
        verdict: What it found of each subject at the last tick, None before the first.
    """

    rule: Rule
    bank: Bank
    unverified: Bank | None
    judging_error: str = ""
    telling_error: str = ""
    verdict: CodeArray | None = None
    _named: tuple[tuple[str, ...], tuple[str, ...]] | None = None
    _kept: _Kept | None = None
    # Asked at every tick: where a rule keeps them, each look costs a microsecond.
    _variants: tuple[Variant, ...] = field(init=False)
    _is_of_rows: bool = field(init=False)

    def __post_init__(self) -> None:
        self._variants = self.rule.variants
        self._is_of_rows = isinstance(self.rule, OfRows) and self.rule.is_of_rows

    @property
    def error(self) -> str:
        """What the rule raised last, "" while it is healthy."""
        return self.judging_error or self.telling_error

    def banks(self) -> tuple[Bank, ...]:
        """Return its machines: its own, and those of not being able to tell where that is an alarm."""
        return (self.bank,) if self.unverified is None else (self.bank, self.unverified)

    def active_ids(self) -> set[str]:
        """Return the identities of the alarms that it has now."""
        return set().union(*(bank.active_ids() for bank in self.banks()))

    def find(self, view: View) -> tuple[tuple[str, ...], Findings]:
        """Let the rule judge: return its subjects, and what it found of each.

        Where it raises, its alarms stay as they are: nothing opens, worsens or returns.
        """
        subjects, quantities = self.bank.subjects, self.rule.judged_quantities()
        if quantities and not subjects and quantities.isdisjoint(view.tables.measured):
            return subjects, NOTHING  # nothing measures what it is about, nor ever did
        try:
            subjects = self._subjects(view)
            found = self._judged(view, len(subjects))
            for variant in self._variants:
                other = variant.rule.judge(view).of(variant.rule)
                found = found.of(self.rule).where(chosen_by(variant, self.rule, subjects, view), other)
        except Exception as error:  # noqa: BLE001 - no fault of one rule may end the others
            self.judging_error, self._kept = f"{type(error).__name__}: {error}", None
            return subjects, Findings.nothing(len(subjects))
        self.judging_error = ""
        return subjects, found

    def _judged(self, view: View, count: int) -> Findings:
        """Return what the rule finds of its subjects: only of those anew of which it may find otherwise."""
        rule, kept, self._kept = self.rule, self._kept, None
        if not (self._is_of_rows and isinstance(rule, OfRows)):
            found = rule.judge(view)
            found.check(count)
            return found
        table = view.table(rule.kind)
        is_next = kept is not None and kept.at_ms == table.moment.before_ms
        rows = table.changed(kept.uses) if kept is not None and is_next else None
        if kept is None or rows is None or len(rows) > count // 2:
            uses = table.watch()
            found = _in_blocks(rule, table)
            self._kept = _Kept(found, frozenset(uses), table.moment.at_ms)
        else:
            if len(rows):
                anew = rule.judge_rows(table.part(rows))
                anew.check(len(rows))
                kept.found.put(rows, anew)
            self._kept = replace(kept, at_ms=table.moment.at_ms)
        return self._kept.found

    def _subjects(self, view: View) -> tuple[str, ...]:
        """Return the rule's subjects: where they are not others, the same object."""
        if not self.rule.beside:
            return self.rule.subjects(view)
        ids = view.ids(self.rule.kind)
        if self._named is None or ids is not self._named[0]:
            self._named = ids, self.rule.subjects(view)
        return self._named[1]

    def hidden(self, bank: Bank, others: Mapping[str, Judge], view: View) -> BoolArray | None:
        """Return which alarms of a bank say nothing beside those of other rules; None for none.

        Args:
            bank: The rule's own bank, or that of not being able to tell.
            others: Every rule by its name.
            view: The site at the moment.
        """
        hides = self.rule.causes_of(bank.rule)
        hidden: BoolArray | None = None
        try:
            if any(hide.relation is Relation.SILENT_BY for hide in hides):
                hidden = self._silent_by(hides, bank, others, view)
            for hide in hides:
                found = self._hidden_by(hide, bank, others[hide.rule], view) if hide.rule in others else None
                if found is not None:
                    hidden = found if hidden is None else hidden | found
        except Exception as error:  # noqa: BLE001 - no fault of one rule may end the others
            self.telling_error = f"{type(error).__name__}: {error}"
            return None
        if bank is self.bank:
            self.telling_error = ""
        return hidden

    def _hidden_by(self, hide: HiddenBy, bank: Bank, other: Judge, view: View) -> BoolArray | None:
        hides = other.bank.is_active
        if not hides.any() and (other is self or not hide.is_early):
            return None
        if hide.is_early:
            hides = hides | other.bank.is_pending
        match hide.relation:
            case Relation.MEMBER_OF if self.rule.kind not in NESTED and hide.late_s is None:
                racks, theirs = self.rule.racks(view), other.rule.racks(view)
                if racks is None or theirs is None:
                    return None
                # What is measured of a subject does not say what it stands for: one without racks is a
                # member of nothing. Of any other rule, such a subject has nothing left to tell.
                within = covered(theirs, hides, len(view.racks.ids))
                return racks.all_have(within, of_none=not self.rule.is_of_tables)
            case Relation.DARK_BY:
                assets = view.table(other.rule.kind).assets
                dead = [AssetId(assets[row]) for row in np.flatnonzero(hides).tolist()]
                dark = view.tables.topology.without_supply(dead)
                racks = self.rule.racks(view)
                return None if racks is None else racks.all_have(dark, of_none=False)
            case Relation.SILENT_BY:
                return None  # of all of them together
            case Relation.SAME | Relation.SERVED_BY | Relation.MEMBER_OF | Relation.INCLUDED_IN:
                rows = np.flatnonzero(hides)
                places, rows = self._related(hide, bank, other, rows, view)
                places, _ = _in_time(hide, bank, other.bank, (places, rows), view)
                hidden = np.zeros(len(bank.subjects), np.bool_)
                hidden[places] = True
                return hidden

    def _silent_by(
        self, hides: Sequence[HiddenBy], bank: Bank, others: Mapping[str, Judge], view: View
    ) -> BoolArray | None:
        """Return which subjects have silent racks, each of which belongs to what hides by its alarm.

        A rack whose stamps are refused says as little as one that is silent. Where the alarm is of being
        unable to tell, racks count that are not known for certain.
        """
        racks = view.racks
        explained = np.zeros(len(racks.ids), np.bool_)
        for hide in hides:
            other = others.get(hide.rule) if hide.relation is Relation.SILENT_BY else None
            if other is None:
                continue
            active = other.bank.is_active | other.bank.is_pending if hide.is_early else other.bank.is_active
            theirs = other.rule.racks(view) if active.any() else None
            explained |= False if theirs is None else covered(theirs, active, len(racks.ids))
        if not explained.any():
            return None
        silent = self._says_nothing(bank, view)
        if self.rule.kind is SubjectKind.TENANT:
            rows, members = racks.holders, np.arange(len(racks.ids))
        elif (links := self.rule.racks(view)) is not None:
            rows, members = np.repeat(np.arange(len(bank.subjects)), np.diff(links.starts)), links.members
        else:
            return None
        are_silent = np.bincount(rows, silent[members], len(bank.subjects)) > 0
        stand_out = np.bincount(rows, (silent & ~explained)[members], len(bank.subjects)) > 0
        return are_silent & ~stand_out

    def _says_nothing(self, bank: Bank, view: View) -> BoolArray:
        """Return which racks say nothing that counts for alarms of a bank, as `_silent_by` has it."""
        racks = view.racks
        return racks.is_silent | racks.is_misdated if bank is self.bank else racks.cause != 0

    def causes(
        self, bank: Bank, stands: BoolArray, others: Mapping[str, Judge], view: View
    ) -> Iterator[tuple[Bank, Index, Index]]:
        """Yield what hides alarms that stand, by each rule: its bank, and which hide which, pair by pair.

        A pair is the place of an alarm that is hidden and that of one that hides it, both shape (pairs,).

        Args:
            bank: The rule's own bank, or that of not being able to tell.
            stands: Which of its alarms stand that others hide, shape (subjects,).
            others: Every rule by its name.
            view: The site at the moment.
        """
        hides = self.rule.causes_of(bank.rule)
        try:
            for name in dict.fromkeys(hide.rule for hide in hides):
                if (other := others.get(name)) is None or not other.bank.is_active.any():
                    continue
                rows, count = np.flatnonzero(other.bank.is_active), len(bank.subjects)
                pairs = [no_rows()]
                for hide in hides:
                    if hide.rule == name:
                        related = self._related(hide, bank, other, rows, view)
                        places, causes = _in_time(hide, bank, other.bank, related, view)
                        are_its = stands & self._may_be_hidden_by(hide, bank, other, view)
                        pairs.append((causes * count + places)[are_its[places]])
                causes, places = np.divmod(np.unique(np.concatenate(pairs)), max(count, 1))
                yield other.bank, places, causes
        except Exception as error:  # noqa: BLE001 - no fault of one rule may end the others
            self.telling_error = f"{type(error).__name__}: {error}"

    def _may_be_hidden_by(self, hide: HiddenBy, bank: Bank, other: Judge, view: View) -> BoolArray | bool:
        """Return which subjects another rule hides by all of their racks, True where a single pair says so.

        What hangs together with some racks of a subject hides nothing of it: something else may.
        """
        is_by_racks = hide.relation is Relation.MEMBER_OF and self.rule.kind not in NESTED
        if hide.relation is not Relation.DARK_BY and not (is_by_racks and hide.late_s is None):
            return True
        hidden = self._hidden_by(hide, bank, other, view)
        return False if hidden is None else hidden

    def carried(self, bank: Bank, places: Index, other: Bank, causes: Index) -> Carried:
        """Return what other alarms hide of its own that is graver than these by themselves.

        Args:
            bank: The rule's own bank, or that of not being able to tell.
            places: The place of what is hidden, shape (pairs,).
            other: The alarms that hide it.
            causes: The place of each of them, shape (pairs,).
        """
        graver = bank.severities[places] > other.own_severities[causes]
        places, causes = places[graver], causes[graver]
        return Carried(
            rule=bank.rule,
            title=self.rule.title_of(bank.rule),
            subjects=bank.subjects,
            cause_subjects=other.subjects,
            places=places,
            causes=causes,
            severities=bank.severities[places],
            own=bank.own_severities[places],
            own_of_causes=other.own_severities[causes],
            opened_ms=bank.opened_ms[places],
        )

    def _related(
        self, hide: HiddenBy, bank: Bank, other: Judge, rows: Index, view: View
    ) -> tuple[Index, Index]:
        """Return which subjects have to do with which of another rule, places and rows, both shape (pairs,).

        Args:
            hide: How they hang together.
            bank: The rule's own bank, or that of not being able to tell.
            other: The other rule.
            rows: The places of those of its subjects that count.
            view: The site at the moment.
        """
        match hide.relation:
            case Relation.SAME:
                return same(bank.subjects, other.bank.subjects, rows)
            case Relation.SERVED_BY:
                mine, theirs = view.table(self.rule.kind), view.table(other.rule.kind)
                of_asset = rows_by(theirs.assets, rows)
                serving = view.tables.topology.serving
                return listed(
                    (place, row)
                    for place, asset in enumerate(mine.assets)
                    for source in of_asset.keys() & serving(AssetId(asset))
                    for row in of_asset[source]
                )
            case Relation.MEMBER_OF if self.rule.kind in NESTED:
                is_comparison = self.rule.kind is SubjectKind.COMPARISON
                return inside(view.meters.within if is_comparison else view.alarms.within, rows)
            case Relation.INCLUDED_IN:
                return including(self.rule.racks(view), _opened_ms(other.bank, view), rows)
            case Relation.MEMBER_OF | Relation.DARK_BY:
                counts = np.ones(len(view.racks.ids), np.bool_)
                return sharing(self._racks(view), other.rule.racks(view), rows, counts)
            case Relation.SILENT_BY:
                counts = self._says_nothing(bank, view)
                return sharing(self._racks(view), other.rule.racks(view), rows, counts)

    def _racks(self, view: View) -> Links | None:
        """Return the racks of each subject, of a tenant those that it holds; None for subjects of none."""
        if self.rule.kind is not SubjectKind.TENANT:
            return self.rule.racks(view)
        holders = view.racks.holders
        sizes = np.bincount(holders, minlength=len(view.tenants.ids))
        return Links(np.argsort(holders, kind="stable"), np.append(0, np.cumsum(sizes)))


def _in_time(
    hide: HiddenBy, bank: Bank, other: Bank, pairs: tuple[Index, Index], view: View
) -> tuple[Index, Index]:
    """Return the pairs of alarms and causes of which the page of the cause says something, shape (pairs,).

    That is said when the cause opens: what begins afterwards is told by itself. What is pending says nothing
    yet, and may still say it of all.

    Args:
        hide: How they hang together, and until when.
        bank: The alarms that may be hidden, of racks where some may be so that begin later.
        other: The alarms that may hide them.
        pairs: The places of both, shape (pairs,).
        view: The site at the moment.
    """
    places, rows = pairs
    if hide.late_s is None or not len(places):
        return pairs
    opened_ms = _opened_ms(other, view)
    # What is hidden itself has no page that names anything.
    is_silent = other.is_untold & (opened_ms != view.at_ms)
    places, rows = places[~is_silent[rows]], rows[~is_silent[rows]]
    # Times before and after our clock was set do not compare: what stood already came before what is new.
    stood, was_told = bank.is_of_old_clock[places], other.is_of_old_clock[rows]
    after_ms = bank.since_ms[places] - opened_ms[rows]
    chosen = stood | (~was_told & (after_ms <= 0))
    if hide.late_s:
        is_named = (bank.is_active | bank.is_pending)[places] & chosen
        of_tenant = rows * len(view.tenants.ids) + view.racks.holders[places]
        is_late = ~was_told & (after_ms <= hide.late_s * 1_000)
        chosen |= is_late & np.isin(of_tenant, of_tenant[is_named])
    return places[chosen], rows[chosen]


def _opened_ms(bank: Bank, view: View) -> IntArray:
    """Return when the alarm of each subject opened, for those that have none now [ms], shape (subjects,)."""
    return np.where(bank.is_active, bank.opened_ms, view.at_ms)


def make_judge(rule: Rule, *, tells_unknown: bool) -> Judge:
    """Return a rule with machines that have judged nothing.

    Args:
        rule: What judges.
        tells_unknown: Whether being unable to tell is an alarm, where the rule makes it one.
    """
    above = None
    if rule.above_s:
        above = TimeAbove(round(rule.above_window_s * 1_000), round(rule.above_s * 1_000))
    on_ms, off_ms = round(rule.on_delay_s * 1_000), round(rule.off_delay_s * 1_000)
    bank = Bank(
        rule.name,
        rule.severity,
        on_ms,
        off_ms,
        above,
        rise=rule.rise,
        is_worse_below=rule.is_worse_below,
    )
    unverified = None
    if rule.unknown_pages and tells_unknown:
        name = f"{rule.name}-{CANNOT_VERIFY}"
        unverified = Bank(name, Severity.MEDIUM, round(rule.unknown_delay_s * 1_000), 0)
    return Judge(rule, bank, unverified)


def _in_blocks(rule: OfRows, table: Table) -> Findings:
    """Return what a rule finds of every row of a table, in arrays of its own.

    Args:
        rule: A rule that looks at nothing but a row.
        table: The table of its kind.
    """
    count, blocks = len(table), []
    for first in range(0, max(count, 1), BLOCK_ROWS):
        block = table if count <= BLOCK_ROWS else table.part(slice(first, min(first + BLOCK_ROWS, count)))
        found = rule.judge_rows(block)
        found.check(len(block))
        blocks.append(found)
    return Findings.joined(blocks)


def doubt_of(found: Findings, starting: BoolArray | None) -> Findings:
    """Return findings whose breach is not being able to tell, except of what is starting."""
    unknown = found.verdict == Verdict.UNKNOWN
    if starting is not None:
        unknown &= ~starting
    return replace(
        found,
        verdict=np.where(unknown, BREACH, CLEAR),
        returned=~unknown,
        severity=None,
        on_delay_ms=None,
        off_delay_ms=None,
    )
