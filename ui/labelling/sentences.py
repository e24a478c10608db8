"""What an action did to the selected images, in a sentence."""

from __future__ import annotations

from fieldmark.core.counted import counted
from fieldmark.core.default_label import MadeDefault
from fieldmark.core.labelling import Labelled
from fieldmark.storage.edits import Edit

_MARKS = {"unlabelled": "unlabelled", "none-of-these": "none of these", "ignored": "ignored"}
_LONG = 60
"""Characters of a label from which a sentence shows only the first ones."""


def sentence(edit: Edit, done: Labelled) -> str:
    """Return what an edit of one kind did: labels added or removed, a state, or a set."""
    if edit.add:
        return _added(edit.add[0], done)
    if edit.remove:
        return _removed(edit.remove[0], done)
    if edit.state is not None:
        return _marked(edit.state, done)
    return _moved(edit.split or "none", done)


def everywhere(label: str, made: MadeDefault) -> str:
    """Return what making a label the default of all its images did."""
    if not made.carrying:
        return f"Nothing changed: no image carries {_quoted(label)} yet."
    if not made.changed:
        return f"Nothing changed: {_quoted(label)} is the default of all {counted(made.carrying, 'image')} that carry it."
    return f"{_quoted(label)} is the default now on all {counted(made.carrying, 'image')} that carry it; it was not on {made.changed:,}."


def _added(label: str, done: Labelled) -> str:
    carrying = len(done.tiles)
    default = sum(any(one.default and one.name == label for one in tile.labels) for tile in done.tiles)
    if not done.edited.changed:
        return (
            f"Nothing changed: {_quoted(label)} is the default label of {counted(carrying, 'image')} already."
        )
    now = f"{counted(carrying, 'image')} {'carries' if carrying == 1 else 'carry'} {_quoted(label)} now"
    if default == carrying:
        return f"{now}, as {'its' if carrying == 1 else 'their'} default label."
    if not default:
        return f"{now}; another label stays the default."
    return f"{now}; it is the default on {default:,}."


def _removed(label: str, done: Labelled) -> str:
    changed = set(done.edited.changed)
    if not changed:
        return f"Nothing changed: no selected image carries {_quoted(label)}."
    bare = sum(tile.id in changed and tile.state == "unlabelled" for tile in done.tiles)
    rest = f"; {bare:,} {'has' if bare == 1 else 'have'} no label now" if bare else ""
    return f"{_quoted(label)} was taken off {counted(len(changed), 'image')}{rest}."


def _marked(state: str, done: Labelled) -> str:
    marked = sum(tile.state == state for tile in done.tiles)
    kept = len(done.edited.kept_labelled)
    said = []
    if done.edited.changed:
        said.append(f"{counted(marked, 'image')} {_are(marked)} marked '{_MARKS[state]}' now.")
    elif marked:
        said.append(
            f"Nothing changed: {counted(marked, 'image')} {_are(marked)} marked '{_MARKS[state]}' already."
        )
    if kept:
        carry, stay, them = (
            ("carries labels", "stays", "it") if kept == 1 else ("carry labels", "stay", "them")
        )
        said.append(
            f"{counted(kept, 'image')} {carry} and {stay} labelled: take the labels off {them} first."
        )
    return " ".join(said)


def _moved(split: str, done: Labelled) -> str:
    there = len(done.tiles)
    place = "in no set of your own" if split == "none" else f"in the {split} set"
    if not done.edited.changed:
        return f"Nothing changed: {counted(there, 'image')} {_are(there)} {place} already."
    return f"{counted(there, 'image')} {_are(there)} {place} now."


def _quoted(label: str) -> str:
    return f"'{label}'" if len(label) <= _LONG else f"'{label[:_LONG]}…'"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"
