"""The field's words that cross every hook, as types."""

from typing import Literal, get_args

Task = Literal["single-label", "multi-label", "one-class"]
State = Literal["unlabelled", "labelled", "none-of-these", "ignored"]
Split = Literal["train", "validation", "test"]
CheckpointName = Literal["best", "last"]
Kind = Literal["importer", "backbone", "trainer", "exporter"]

TASKS: tuple[Task, ...] = get_args(Task)
STATES: tuple[State, ...] = get_args(State)
SPLITS: tuple[Split, ...] = get_args(Split)
KINDS: tuple[Kind, ...] = get_args(Kind)
