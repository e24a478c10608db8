"""Driving trainers, good and bad: time, cancelling, curves, best and last."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from fieldmark.core.contracts.plugin import Options, PluginError
from fieldmark.core.contracts.trainer import Classifier, Examples, Progress, Trainer, TrainingSet
from fieldmark.core.learning.training import TRAIN_ROWS, Cancelled, Trained, TrainingProgress, train
from fieldmark.storage.errors import FieldmarkError


class Fixed(Classifier):
    """Logits are the inputs times a gain, whatever they are."""

    def __init__(self, gain: float) -> None:
        self.gain = gain

    def logits(self, inputs: Any) -> NDArray[np.float32]:
        return np.asarray(inputs, dtype=np.float32) * np.float32(self.gain)

    def save(self, folder: Path) -> None:
        (folder / "gain.json").write_text(str(self.gain))


Script = Callable[[TrainingSet], Iterator[Progress]]


class Scripted(Trainer[Options]):
    """Plays a script, so that each test says in one place what the trainer does."""

    name = "scripted"
    summary = "Plays a script"
    tasks = frozenset({"single-label"})
    closed: ClassVar[list[str]] = []

    def __init__(self, script: Script, returns: Any = None) -> None:
        super().__init__(Options())
        self.script = script
        self.returns = returns

    def fit(self, data: TrainingSet) -> Generator[Progress, Any, Classifier]:
        try:
            yield from self.script(data)
            return self.returns if self.returns is not None else Fixed(1.0)
        finally:
            self.closed.append("closed")

    @classmethod
    def restore(cls, folder: Path) -> Classifier:
        return Fixed(float((folder / "gain.json").read_text()))


def _examples(rows: int, wrong: int = 0) -> Examples:
    """Inputs that point at the right label, but for the first `wrong` rows."""
    targets = np.eye(2, dtype=np.uint8)[np.arange(rows) % 2]
    inputs = targets.astype(np.float32) * 2 - 1
    inputs[:wrong] *= -1
    return Examples(inputs, targets, np.arange(rows))


def _data(rows: int = 20, held: int = 10, wrong: int = 0, seconds: float = 60.0) -> TrainingSet:
    return TrainingSet("single-label", ("a", "b"), _examples(rows), _examples(held, wrong), seconds)


def _gains(*gains: float) -> Script:
    def script(data: TrainingSet) -> Iterator[Progress]:
        for step, gain in enumerate(gains, 1):
            yield Progress(step, len(gains), Fixed(gain))

    return script


def _run(trainer: Trainer[Any], data: TrainingSet | None = None, **more: Any) -> Trained:
    more.setdefault("report", lambda progress: None)
    more.setdefault("cancelled", lambda: False)
    return train(trainer, data or _data(), **more)


def test_best_is_the_lowest_validation_cross_entropy_and_last_the_end() -> None:
    # Three of ten validation images are wrong, so confidence helps on train and harms on validation.
    told: list[TrainingProgress] = []
    final = Fixed(9.0)
    trained = _run(Scripted(_gains(0.1, 0.4, 3.0), final), _data(wrong=3), report=told.append)
    assert (trained.best.step, trained.best.classifier.logits([[1.0]])[0, 0]) == (2, np.float32(0.4))
    assert trained.last.classifier is final
    assert [point.step for point in trained.curve] == [1, 2, 3, 3]
    assert [progress.point for progress in told] == list(trained.curve[:3])
    entropies = [point.validation.cross_entropy for point in trained.curve if point.validation]
    assert min(entropies) == entropies[1]
    assert [point.train.accuracy for point in trained.curve] == [1.0] * 4
    assert trained.curve[0].validation is not None and trained.curve[0].validation.accuracy == 0.7
    assert trained.ended == "finished"
    assert trained.notes == ()


def test_without_validation_images_best_is_judged_on_train_and_said_so() -> None:
    trained = _run(Scripted(_gains(3.0, 0.1), Fixed(0.1)), _data(held=0))
    assert trained.best.step == 1
    assert trained.curve[0].validation is None
    assert "no validation images" in trained.notes[0]


def test_ending_before_the_planned_steps_is_convergence() -> None:
    def script(data: TrainingSet) -> Iterator[Progress]:
        yield Progress(3, 10, Fixed(1.0), message="Nothing moves any more.")

    trained = _run(Scripted(script))
    assert trained.ended == "converged"
    assert trained.notes == ("Nothing moves any more.",)


def test_it_is_stopped_when_its_time_is_over() -> None:
    Scripted.closed.clear()

    def script(data: TrainingSet) -> Iterator[Progress]:
        for step in range(1, 100_000):
            time.sleep(0.01)
            yield Progress(step, 100_000, Fixed(step))

    trained = _run(Scripted(script), _data(seconds=0.2))
    assert trained.ended == "time"
    assert trained.last.step < 100
    assert trained.best.classifier is not None
    assert Scripted.closed == ["closed"]
    assert "0.2 seconds" in trained.notes[0]


def test_time_over_without_a_classifier_says_what_to_do() -> None:
    def script(data: TrainingSet) -> Iterator[Progress]:
        while True:
            time.sleep(0.02)
            yield Progress(0, 1)

    with pytest.raises(FieldmarkError, match=r"scripted had nothing to show.*give it more time"):
        _run(Scripted(script), _data(seconds=0.05))


def test_cancelling_closes_the_trainer() -> None:
    Scripted.closed.clear()
    told: list[TrainingProgress] = []
    with pytest.raises(Cancelled, match="cancelled"):
        _run(Scripted(_gains(*[1.0] * 50)), report=told.append, cancelled=lambda: len(told) == 3)
    assert len(told) == 3
    assert Scripted.closed == ["closed"]


def test_a_trainer_that_stumbles_while_cleaning_up_costs_nothing_but_a_note() -> None:
    def script(data: TrainingSet) -> Iterator[Progress]:
        try:
            while True:
                time.sleep(0.02)
                yield Progress(1, 2, Fixed(1.0))
        finally:
            raise OSError("the disk is full")

    trained = _run(Scripted(script), _data(seconds=0.05))
    assert any("scripted failed with OSError: the disk is full" in note for note in trained.notes)


def _raising(error: BaseException) -> Script:
    def script(data: TrainingSet) -> Iterator[Progress]:
        yield Progress(1, 2, Fixed(1.0))
        raise error

    return script


class Shape(Fixed):
    def logits(self, inputs: Any) -> NDArray[np.float32]:
        return np.zeros((len(inputs), 5), dtype=np.float32)


class Broken(Fixed):
    def logits(self, inputs: Any) -> NDArray[np.float32]:
        raise KeyError("weight")


@pytest.mark.parametrize(
    ("trainer", "text"),
    [
        (
            Scripted(_raising(ZeroDivisionError("division by zero"))),
            "failed with ZeroDivisionError: division",
        ),
        (Scripted(_raising(SystemExit(3))), "failed with SystemExit"),
        (Scripted(_gains(float("nan"))), "not finite numbers; try a lower learning rate"),
        (Scripted(_gains(1.0), Shape(1.0)), r"logits are \(20, 5\) instead of \(20, 2\)"),
        (Scripted(_gains(1.0), Broken(1.0)), "failed with KeyError"),
        (Scripted(_gains(1.0), "a string"), "returned a str instead of a Classifier"),
        (Scripted(lambda data: iter([42])), "yielded a int instead of Progress"),  # type: ignore[list-item]
    ],
)
def test_a_bad_trainer_is_named(trainer: Scripted, text: str) -> None:
    with pytest.raises(FieldmarkError, match=f"^Trainer scripted .*{text}"):
        _run(trainer)


def test_a_plugin_error_reaches_the_person_as_it_is() -> None:
    with pytest.raises(PluginError, match=r"^Label some images first\.$"):
        _run(Scripted(_raising(PluginError("Label some images first."))))


def test_a_fit_without_yield_is_named() -> None:
    class Plain(Scripted):
        def fit(self, data: TrainingSet) -> Any:
            return Fixed(1.0)

    with pytest.raises(FieldmarkError, match="scripted does not yield"):
        _run(Plain(_gains()))


def test_no_training_images_are_named() -> None:
    with pytest.raises(FieldmarkError, match="no training images"):
        _run(Scripted(_gains(1.0)), _data(rows=0))


def test_the_curves_of_a_big_set_score_a_sample() -> None:
    trained = _run(Scripted(_gains(1.0)), _data(rows=3 * TRAIN_ROWS))
    assert trained.curve[0].train.count == TRAIN_ROWS


def test_images_are_opened_only_when_scored() -> None:
    opened: list[int] = []

    class Album(Sequence[Any]):
        def __len__(self) -> int:
            return 2_000

        def __getitem__(self, index: Any) -> Any:
            opened.append(index)
            return (1.0, -1.0) if index % 2 == 0 else (-1.0, 1.0)

    class Photographer(Scripted):
        wants = "images"

    examples = _examples(2_000)
    album = Examples(Album(), examples.targets, examples.groups)
    data = TrainingSet("single-label", ("a", "b"), album, _examples(0), 60.0)
    script = _gains(1.0)
    final = Fixed(1.0)
    trained = _run(Photographer(script, final), data)
    assert trained.curve[0].train.accuracy == 1.0
    assert len(set(opened)) == trained.curve[0].train.count == 500
