"""The plugins: finding them, taking them in one by one, and making one from a name and options.

Built-in plugins and installed ones pass the same door. Each is loaded into a `pluggy.PluginManager` of its own,
so that whatever one of them does, the others never notice.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, TypeVar, cast

import pluggy

from fieldmark.core import hookspecs
from fieldmark.core.admission import reasons_to_refuse
from fieldmark.core.contracts.backbone import Backbone
from fieldmark.core.contracts.exporter import Exporter
from fieldmark.core.contracts.importer import Importer
from fieldmark.core.contracts.plugin import Plugin
from fieldmark.core.contracts.terms import KINDS, Kind
from fieldmark.core.contracts.trainer import Trainer
from fieldmark.core.options import OptionField, OptionValues, nearest, option_fields, parse_options
from fieldmark.storage.errors import FieldmarkError

BUILTINS = (
    "fieldmark.plugins.importers.class_folders",
    "fieldmark.plugins.importers.csv_labels",
    "fieldmark.plugins.importers.csv_onehot",
    "fieldmark.plugins.backbones.embedded",
    "fieldmark.plugins.backbones.timm",
    "fieldmark.plugins.trainers.single_label",
    "fieldmark.plugins.exporters.json_predictions",
    "fieldmark.plugins.exporters.csv_predictions",
    "fieldmark.plugins.exporters.grouped_zip",
)
OWN_DISTRIBUTION = "fieldmark"
Stage = Literal["selection", "version", "import", "registration", "call", "check", "name"]
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Registered:
    """One plugin that was taken in."""

    kind: Kind
    name: str
    cls: type[Plugin[Any]]
    distribution: str
    version: str
    summary: str

    @property
    def title(self) -> str:
        """The plugin as messages name it: `backbone 'timm'`."""
        return f"{self.kind} '{self.name}'"

    @property
    def options(self) -> list[OptionField]:
        """Its options, for a form, `--help` or REST."""
        return option_fields(self.cls.options_model)


@dataclass(frozen=True, slots=True)
class Problem:
    """One plugin, or part of one, that was left out, and why."""

    source: str
    """Distribution and version, and the entry point."""
    stage: Stage
    message: str
    """Whole sentences for a person."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    distribution: str
    version: str
    entry: str
    load: importlib.metadata.EntryPoint | None = None

    @property
    def source(self) -> str:
        origin = f"{self.distribution} {self.version}"
        return f"{origin} ({self.entry})"

    def plugin(self) -> object:
        return importlib.import_module(self.entry) if self.load is None else self.load.load()


@dataclass(slots=True)
class Registry:
    """All plugins of this moment; build a fresh one with `load_registry`."""

    plugins: list[Registered] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def of_kind(self, kind: Kind) -> list[Registered]:
        """Return the plugins of one kind, built-in ones first."""
        return [plugin for plugin in self.plugins if plugin.kind == kind]

    def find(self, kind: Kind, name: str, *, distribution: str | None = None) -> Registered:
        """Return one plugin.

        `distribution` is where it came from when something, such as a model, was made with it. Raises
        `FieldmarkError` that names the nearest plugin and all others, or the distribution to install.
        """
        known = {plugin.name: plugin for plugin in self.of_kind(kind)}
        if name in known:
            return known[name]
        if distribution and _normal(distribution) != OWN_DISTRIBUTION:
            raise FieldmarkError(self._gone(kind, name, distribution))
        sentence = f"There is no {kind} named '{name:.80}'."
        guess = nearest(name, known)
        if guess:
            sentence += f" Did you mean '{guess}'?"
        available = ", ".join(sorted(known)) or "none"
        raise FieldmarkError(f"{sentence} Available: {available}.")

    def importer(
        self, name: str, options: OptionValues = (), *, distribution: str | None = None
    ) -> Importer[Any]:
        """Return an importer with these options; raises `FieldmarkError` as `find` and `parse_options` do."""
        return cast("Importer[Any]", self._make("importer", name, options, distribution))

    def trainer(
        self, name: str, options: OptionValues = (), *, distribution: str | None = None
    ) -> Trainer[Any]:
        """Return a trainer with these options; raises `FieldmarkError` as `find` and `parse_options` do."""
        return cast("Trainer[Any]", self._make("trainer", name, options, distribution))

    def exporter(
        self, name: str, options: OptionValues = (), *, distribution: str | None = None
    ) -> Exporter[Any]:
        """Return an exporter with these options; raises `FieldmarkError` as `find` and `parse_options` do."""
        return cast("Exporter[Any]", self._make("exporter", name, options, distribution))

    def backbone(
        self, spec: str, options: OptionValues = (), *, distribution: str | None = None
    ) -> Backbone[Any]:
        """Return a backbone, not yet loaded, from `name` or `name:variant`.

        Raises `FieldmarkError` as `find` and `parse_options` do, and for a variant that is missing or has none.
        """
        name, colon, variant = spec.partition(":")
        found = self.find("backbone", name, distribution=distribution)
        option = cast("type[Backbone[Any]]", found.cls).variant_option
        if option is None:
            if colon:
                raise FieldmarkError(
                    f"Backbone '{name}' has no variants: write '{name}' instead of '{spec:.80}'."
                )
        elif variant:
            options = _with_variant(found, option, variant, options)
        elif colon or (not _says_anything(options) and not _default(found, option)):
            raise FieldmarkError(
                f"Backbone '{name}' needs a variant: write '{name}:' and its {option.replace('_', ' ')} behind it."
            )
        return cast("Backbone[Any]", _instance(found, options))

    def _make(self, kind: Kind, name: str, options: OptionValues, distribution: str | None) -> Plugin[Any]:
        return _instance(self.find(kind, name, distribution=distribution), options)

    def _gone(self, kind: Kind, name: str, distribution: str) -> str:
        for problem in self.problems:
            if _normal(problem.source.split(" ")[0]) == _normal(distribution):
                return f"The {kind} '{name}' of {problem.source} is out of order. {problem.message}"
        return (
            f"The {kind} '{name}' is not here: install the distribution '{distribution}' that it came with, "
            "and start Fieldmark again."
        )


def load_registry() -> Registry:
    """Find, import and check every plugin; a bad one becomes a `Problem` and the rest goes on.

    `FIELDMARK_LOAD_PLUGINS`, a comma-separated list of distributions or entry points, limits the installed ones
    (empty: none). With `FIELDMARK_STRICT_PLUGINS=1` the first problem is raised as a `FieldmarkError`.
    """
    registry = Registry()
    strict = os.environ.get("FIELDMARK_STRICT_PLUGINS", "") not in ("", "0")
    for found in _everything():
        if isinstance(found, Registered):
            _add(registry, found)
        else:
            registry.problems.append(found)
        if strict and registry.problems:
            problem = registry.problems[0]
            raise FieldmarkError(f"{problem.source}: {problem.message}")
    return registry


def _everything() -> Iterator[Registered | Problem]:
    own_version = importlib.metadata.version(OWN_DISTRIBUTION)
    for module in BUILTINS:
        yield from _take_in(_Candidate(OWN_DISTRIBUTION, own_version, module))
    selected = _Selection(os.environ.get("FIELDMARK_LOAD_PLUGINS"))
    for candidate in sorted(_installed(), key=lambda it: (_normal(it.distribution), it.entry)):
        if candidate.load is None or not selected.admits(candidate):
            continue
        if candidate.load.group == hookspecs.ENTRY_POINT_GROUP:
            yield from _take_in(candidate)
        else:
            yield Problem(
                candidate.source,
                "version",
                f"It is written for the plugin contract '{candidate.load.group}', and this Fieldmark has"
                f" '{hookspecs.ENTRY_POINT_GROUP}' (version {hookspecs.CONTRACT_VERSION}): install another version"
                f" of {candidate.distribution} or of Fieldmark.",
            )
    for name in selected.unused():
        yield Problem(
            name,
            "selection",
            f"FIELDMARK_LOAD_PLUGINS names '{name}', but no such plugin is installed: install it.",
        )


def _add(registry: Registry, new: Registered) -> None:
    for old in registry.plugins:
        if (old.kind, old.name) == (new.kind, new.name):
            message = (
                f"The {new.title} of {new.distribution} {new.version} is left out, because {old.distribution}"
                f" {old.version} has one of that name: uninstall one of the two."
            )
            registry.problems.append(
                Problem(f"{new.distribution} {new.version} ({new.name})", "name", message)
            )
            return
    registry.plugins.append(new)


class _Selection:
    def __init__(self, text: str | None) -> None:
        self.names = None if text is None else {_normal(name): name for name in _listed(text)}
        self.used: set[str] = set()

    def admits(self, candidate: _Candidate) -> bool:
        if self.names is None:
            return True
        hits = {_normal(candidate.distribution), _normal(candidate.entry)} & set(self.names)
        self.used |= hits
        return bool(hits)

    def unused(self) -> list[str]:
        return [name for key, name in (self.names or {}).items() if key not in self.used]


def _installed() -> Iterator[_Candidate]:
    seen: set[str] = set()
    for distribution in importlib.metadata.distributions():
        entries = _attempt(partial(_our_entries, distribution))
        if isinstance(entries, _Failure) or not entries:
            continue
        name, version = distribution.name or "unknown", distribution.version or "unknown"
        if _normal(name) not in seen:
            seen.add(_normal(name))
            yield from (_Candidate(name, version, entry.name, entry) for entry in entries)


def _our_entries(distribution: importlib.metadata.Distribution) -> list[importlib.metadata.EntryPoint]:
    return [entry for entry in distribution.entry_points if _is_ours(entry.group)]


def _is_ours(group: str) -> bool:
    return group == hookspecs.ENTRY_POINT_GROUP or group.startswith(f"{hookspecs.ENTRY_POINT_GROUP}.")


@dataclass(frozen=True, slots=True)
class _Failure:
    words: str


def _attempt(action: Callable[[], _T]) -> _T | _Failure:
    """Run what a plugin wrote. It may raise anything, and it may also exit."""
    try:
        return action()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - SystemExit and its like must not end Fieldmark either
        return _Failure(_words(error))


def _take_in(candidate: _Candidate) -> Iterator[Registered | Problem]:
    manager = pluggy.PluginManager("fieldmark")
    manager.add_hookspecs(hookspecs)
    plugin = _attempt(candidate.plugin)
    if isinstance(plugin, _Failure):
        yield Problem(candidate.source, "import", f"It can't be imported: {plugin.words}.")
        return
    outcome = _attempt(lambda: manager.register(plugin))
    if isinstance(outcome, _Failure):
        yield Problem(candidate.source, "registration", f"It can't be registered: {outcome.words}.")
        return
    yield from _misspelt(manager, plugin, candidate)
    if not any(getattr(manager.hook, _hook(kind)).get_hookimpls() for kind in KINDS):
        hooks = ", ".join(_hook(kind) for kind in KINDS)
        yield Problem(
            candidate.source,
            "registration",
            f"It has none of the hooks {hooks} marked with @fieldmark.hookimpl.",
        )
    for kind in KINDS:
        yield from _call(manager, kind, candidate)


def _misspelt(manager: pluggy.PluginManager, plugin: object, candidate: _Candidate) -> Iterator[Problem]:
    hooks = [_hook(kind) for kind in KINDS]
    for caller in manager.get_hookcallers(plugin) or ():
        if not caller.has_spec() and not all(impl.optionalhook for impl in caller.get_hookimpls()):
            guess = nearest(caller.name, hooks)
            meant = f" Did its author mean '{guess}'?" if guess else f" The hooks are {', '.join(hooks)}."
            yield Problem(candidate.source, "registration", f"There is no hook '{caller.name}'.{meant}")


def _call(manager: pluggy.PluginManager, kind: Kind, candidate: _Candidate) -> Iterator[Registered | Problem]:
    """Call one hook of one plugin and check what it returns."""
    classes = _attempt(lambda: _drained(getattr(manager.hook, _hook(kind))()))
    if isinstance(classes, _Failure):
        yield Problem(candidate.source, "call", f"Its {_hook(kind)} failed: {classes.words}.")
        return
    for cls in classes:
        reasons = _attempt(partial(reasons_to_refuse, kind, cls))
        if isinstance(reasons, _Failure):
            yield Problem(
                candidate.source, "check", f"What {_hook(kind)} returns can't be checked: {reasons.words}."
            )
        elif reasons:
            yield Problem(candidate.source, "check", " ".join(reasons))
        else:
            good = cast("type[Plugin[Any]]", cls)
            yield Registered(kind, good.name, good, candidate.distribution, candidate.version, good.summary)


def _drained(answers: Iterable[object]) -> list[object]:
    classes: list[object] = []
    for answer in answers:
        if isinstance(answer, type | str | bytes) or not isinstance(answer, Iterable):
            raise TypeError(f"it must return a list of classes, not {answer!r:.80}")
        classes.extend(answer)
    return classes


def _instance(found: Registered, options: OptionValues) -> Plugin[Any]:
    try:
        return found.cls(parse_options(found.cls.options_model, options, owner=found.title))
    except FieldmarkError:
        raise
    except Exception as error:
        origin = f"{found.distribution} {found.version}"
        raise FieldmarkError(f"The {found.title} of {origin} could not start: {_words(error)}.") from error


def _with_variant(found: Registered, option: str, variant: str, options: OptionValues) -> OptionValues:
    if isinstance(options, Mapping):
        given = {str(name).replace("-", "_"): value for name, value in options.items()}
        if given.get(option) not in (None, variant):
            raise FieldmarkError(
                f"'{found.name}:{variant:.80}' and the option '{option}' ask for different things: give one of them."
            )
        return {**given, option: variant}
    return [*options, f"{option}={variant}"]


def _says_anything(options: OptionValues) -> bool:
    if isinstance(options, Mapping):
        return any(value is not None for value in options.values())
    return bool(options)


def _default(found: Registered, option: str) -> object:
    return next(known.default for known in found.options if known.name == option)


def _hook(kind: Kind) -> str:
    return f"register_{kind}s"


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _listed(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _words(error: BaseException) -> str:
    """Return type and text of an exception on one line, without a traceback."""
    text = " ".join(str(error).split())
    words = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return words[:400].rstrip(".")
