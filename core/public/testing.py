"""Contract checks for plugin authors: one decorator gives every rule of a kind as a test of its own.

    from fieldmark.testing import contract
    from my_plugin import Blur

    @contract(Blur)
    def test_contract(check):
        check()

An importer brings sample files, whose contents it must understand: `contract(Yours, files={"a.csv": b"..."})`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fieldmark.core.checks.backbone_rules import BACKBONE_RULES
from fieldmark.core.checks.contract_rules import GENERAL_RULES, MemorySource, Rule, Sample
from fieldmark.core.checks.exporter_rules import EXPORTER_RULES
from fieldmark.core.checks.importer_rules import IMPORTER_RULES
from fieldmark.core.checks.trainer_rules import TRAINER_RULES
from fieldmark.core.contracts.plugin import Plugin

if TYPE_CHECKING:
    import pytest

__all__ = ["Check", "MemorySource", "checks", "contract"]

_RULES: dict[str, tuple[Rule, ...]] = {
    "importer": IMPORTER_RULES,
    "backbone": BACKBONE_RULES,
    "trainer": TRAINER_RULES,
    "exporter": EXPORTER_RULES,
}


@dataclass(frozen=True, slots=True)
class Check:
    """One rule for one plugin; calling it raises `AssertionError` with the rule that was broken."""

    sample: Sample
    rule: Rule

    @property
    def name(self) -> str:
        """The rule in words, such as `gives-finite-vectors`."""
        return self.rule.__name__.replace("_", "-")

    def __call__(self) -> None:
        self.rule(self.sample)


def checks(
    plugin: type[Plugin[Any]],
    *,
    options: Mapping[str, Any] | Callable[[], Mapping[str, Any]] | None = None,
    files: Mapping[str, bytes] | None = None,
    device: str = "cpu",
) -> list[Check]:
    """Return every rule for this plugin.

    `options` (or a function that makes them when a check runs) are those to check with; `files` are an
    importer's sample, contents by name; `device` is where a backbone is loaded. Raises `TypeError` for a class
    that is no plugin.
    """
    sample = Sample(plugin, options or {}, files or {}, device)
    try:
        kind = sample.kind
    except (StopIteration, TypeError):
        raise TypeError(f"{plugin!r} is no subclass of Importer, Backbone, Trainer or Exporter") from None
    return [Check(sample, rule) for rule in (*GENERAL_RULES, *_RULES[kind])]


def contract(
    plugin: type[Plugin[Any]],
    *,
    options: Mapping[str, Any] | Callable[[], Mapping[str, Any]] | None = None,
    files: Mapping[str, bytes] | None = None,
    device: str = "cpu",
    known_gaps: Mapping[str, str] | None = None,
) -> pytest.MarkDecorator:
    """Run a test function with the argument `check` once for each rule; the other arguments are as for `checks`.

    `known_gaps` gives a reason for each rule, by name, that fails as yet; it must go on failing. Raises
    `ValueError` for a gap in a rule that doesn't exist.
    """
    import pytest

    rules = checks(plugin, options=options, files=files, device=device)
    gaps = dict(known_gaps or {})
    unknown = set(gaps) - {check.name for check in rules}
    if unknown:
        raise ValueError(
            f"there is no rule {', '.join(sorted(unknown))}; the rules are {[it.name for it in rules]}"
        )
    return pytest.mark.parametrize(
        "check",
        [
            pytest.param(
                check,
                id=check.name,
                marks=[pytest.mark.xfail(reason=gaps[check.name], strict=True)] if check.name in gaps else [],
            )
            for check in rules
        ],
    )
