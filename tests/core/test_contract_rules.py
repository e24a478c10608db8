"""Each rule of the contract turns red for a plugin that breaks it: the kit is only worth what it can catch."""

import io
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL.Image import Image

from fieldmark import (
    Backbone,
    Classifier,
    Description,
    Example,
    ExportContext,
    Exporter,
    Importer,
    Options,
    PluginError,
    Progress,
    Source,
    Trainer,
    TrainingSet,
)
from fieldmark.testing import checks


class Fine(Backbone[Options]):
    name, summary = "fine", "Mean colour"

    def load(self, device: str) -> None:
        self.dim, self.short_side, self.fingerprint = 3, 64, "0" * 32

    def embed(self, images: Sequence[Image]) -> NDArray[np.float32]:
        return np.stack([np.asarray(image, np.float32).mean((0, 1)) for image in images])


class Lines(Importer[Options]):
    name, summary = "lines", "A file named and a label on each line"

    @classmethod
    def recognises(cls, source: Source) -> float:
        return 0.5

    def describe(self, source: Source) -> Description:
        examples = list(self.read(source))
        counts: dict[str, int] = {}
        for example in examples:
            counts[example.labels[0]] = counts.get(example.labels[0], 0) + 1
        return Description(len({example.image for example in examples}), counts)

    def read(self, source: Source) -> Iterator[Example]:
        for name in source.names():
            if not name.endswith(".txt"):
                continue
            try:
                lines = source.open(name).read().decode().splitlines()
            except UnicodeDecodeError:
                raise PluginError(f"'{name}' is not UTF-8 text: save it as UTF-8.") from None
            for line in lines:
                image, _, label = line.partition(" ")
                yield Example(image, (label,))


class Names(Exporter[Options]):
    name, summary, exports, suffix, media_type = "names", "Names only", "predictions", ".txt", "text/plain"

    def write(self, records: Any, context: ExportContext, target: BinaryIO) -> None:
        target.write(b"names\n")
        target.writelines(record.image.encode() + b"\n" for record in records)


class Line(Classifier):
    def __init__(self, weights: NDArray[np.float32]) -> None:
        self.weights = weights

    def logits(self, inputs: Any) -> NDArray[np.float32]:
        return np.c_[inputs, np.ones(len(inputs), np.float32)] @ self.weights

    def save(self, folder: Path) -> None:
        (folder / "line.json").write_text(repr(self.weights.tolist()))


class Squares(Trainer[Options]):
    name, summary, tasks = "squares", "Least squares", frozenset({"single-label", "multi-label"})

    def fit(self, data: TrainingSet) -> Generator[Progress, Any, Classifier]:
        inputs = np.c_[data.train.inputs, np.ones(len(data.train), np.float32)]
        solved = np.linalg.lstsq(inputs, 2.0 * data.train.targets - 1, rcond=None)[0]
        classifier = self.classifier(solved.astype(np.float32), data)
        yield Progress(1, 1, classifier)
        return classifier

    def classifier(self, weights: NDArray[np.float32], data: TrainingSet) -> Line:
        return Line(weights)

    @classmethod
    def restore(cls, folder: Path) -> Classifier:
        import json

        try:
            weights = np.array(json.loads((folder / "line.json").read_text()), np.float32)
            if weights.ndim != 2:
                raise ValueError
        except (OSError, ValueError):
            raise PluginError("line.json is damaged: train the model again.") from None
        return Line(weights)


class LightSleeper(Fine):
    name = "Light Sleeper"


class Double(Fine):
    def embed(self, images: Sequence[Image]) -> Any:
        return super().embed(images).astype(np.float64)


class NotFinite(Fine):
    def embed(self, images: Sequence[Image]) -> NDArray[np.float32]:
        with np.errstate(all="ignore"):
            return super().embed(images) / np.float32(0)


class Painter(Fine):
    def embed(self, images: Sequence[Image]) -> NDArray[np.float32]:
        vectors = super().embed(images)
        for image in images:
            image.putpixel((0, 0), (1, 2, 3))
        return vectors


class Batchwise(Fine):
    def embed(self, images: Sequence[Image]) -> NDArray[np.float32]:
        vectors = super().embed(images)
        return vectors - vectors.mean(0)


class Shuffler(Fine):
    def embed(self, images: Sequence[Image]) -> NDArray[np.float32]:
        return np.sort(super().embed(images), 0)


class Constant(Fine):
    def embed(self, images: Sequence[Image]) -> NDArray[np.float32]:
        return np.ones((len(images), 3), np.float32)


class Restless(Fine):
    loads = 0

    def load(self, device: str) -> None:
        super().load(device)
        Restless.loads += 1
        self.fingerprint = f"{Restless.loads:032x}"


class Caller(Fine):
    def load(self, device: str) -> None:
        import socket

        with socket.socket() as connection:
            connection.connect(("127.0.0.1", 9))


class Stranger(Fine):
    """Its module gives the colours in another order."""

    def module(self) -> Any:
        import torch

        class Flipped(torch.nn.Module):
            def forward(self, pixels: torch.Tensor) -> torch.Tensor:
                return pixels.mean((2, 3)).flip(1) * torch.tensor([1.0, -1.0, 1.0])

        return Flipped()

    def transform(self) -> Any:
        import torch

        return lambda image: torch.from_numpy(
            np.asarray(image.resize((8, 8)), np.float32).transpose(2, 0, 1).copy() / 255
        )


class Overconfident(Lines):
    @classmethod
    def recognises(cls, source: Source) -> float:
        return 2.0


class Miscounter(Lines):
    def describe(self, source: Source) -> Description:
        return Description(1, {"cat": 1})


class Peeper(Lines):
    def read(self, source: Source) -> Iterator[Example]:
        source.head("a.jpg")
        return super().read(source)


class Eager(Lines):
    def read(self, source: Source) -> Any:
        return list(super().read(source))


class Brittle(Lines):
    def describe(self, source: Source) -> Description:
        source.open("labels.txt").read().decode("utf-8")
        return super().describe(source)


class Speechless(Names):
    def write(self, records: Any, context: ExportContext, target: BinaryIO) -> None:
        target.writelines(record.image.encode() for record in records)


class Hoarder(Names):
    def write(self, records: Any, context: ExportContext, target: BinaryIO) -> None:
        super().write(list(records), context, target)


class Latin(Names):
    def write(self, records: Any, context: ExportContext, target: BinaryIO) -> None:
        target.write(b"\n".join(record.image.encode("latin-1") for record in records))


class Closer(Names):
    def write(self, records: Any, context: ExportContext, target: BinaryIO) -> None:
        super().write(records, context, target)
        target.close()


class Mumbler(Names):
    def loses(self, context: ExportContext) -> Any:
        return "everything"


class Guesser(Squares):
    def classifier(self, weights: NDArray[np.float32], data: TrainingSet) -> Line:
        return Line(weights * 0)


class Secretive(Squares):
    def fit(self, data: TrainingSet) -> Generator[Progress, Any, Classifier]:
        steps = super().fit(data)
        yield Progress(1, 1)
        next(steps)
        return Line(np.zeros((17, 3), np.float32))


class Changeable(Squares):
    def fit(self, data: TrainingSet) -> Generator[Progress, Any, Classifier]:
        classifier = Line(np.ones((17, 3), np.float32))
        yield Progress(1, 2, classifier)
        classifier.weights += 1
        return classifier


class Unstoppable(Squares):
    def fit(self, data: TrainingSet) -> Generator[Progress, Any, Classifier]:
        try:
            return (yield from super().fit(data))
        except GeneratorExit:
            raise RuntimeError("not now") from None


class Moody(Squares):
    def classifier(self, weights: NDArray[np.float32], data: TrainingSet) -> Line:
        return Line(weights + np.random.default_rng().normal(size=weights.shape).astype(np.float32))


class Optimist(Squares):
    def planned_steps(self, images: int, labels: int, seconds: float) -> int:
        return 3


class Timeless(Squares):
    def planned_seconds(self, images: int, labels: int) -> float:
        return float("inf")


class Forgetful(Squares):
    @classmethod
    def restore(cls, folder: Path) -> Classifier:
        super().restore(folder)
        return Line(np.zeros((17, 3), np.float32))


class Trusting(Squares):
    @classmethod
    def restore(cls, folder: Path) -> Classifier:
        import json

        return Line(np.array(json.loads((folder / "line.json").read_text()), np.float32))


BROKEN: list[tuple[type[Any], str, str]] = [
    (LightSleeper, "is-admitted", "lower-case kebab-case"),
    (Double, "gives-finite-vectors", "float32, not float64"),
    (NotFinite, "gives-finite-vectors", "not finite"),
    (Painter, "gives-finite-vectors", "must not change the images"),
    (Caller, "gives-finite-vectors", "must not touch the network"),
    (Batchwise, "gives-the-same-vector-in-any-batch", "depends on the batch"),
    (Shuffler, "gives-the-same-vector-in-any-batch", "depends on the batch|the order"),
    (Constant, "gives-the-same-vector-in-any-batch", "all images get the same vector"),
    (Restless, "has-a-stable-fingerprint", "changes from one load to the next"),
    (Stranger, "agrees-with-its-module", "disagree"),
    (Overconfident, "recognises-its-sample", "at most 1"),
    (Miscounter, "describes-what-it-reads", "describe counts 1 images"),
    (Peeper, "describes-what-it-reads", "never opens an image"),
    (Eager, "reads-lazily", "must return an iterator, not list"),
    (Brittle, "survives-garbage", "raised UnicodeDecodeError"),
    (Speechless, "writes-no-images", "wrote nothing"),
    (Hoarder, "writes-as-records-come", "holds all records"),
    (Closer, "writes-any-name", "leave the target open"),
    (Mumbler, "says-what-it-loses", "list of sentences"),
    (Guesser, "learns-each-of-its-tasks", "right for"),
    (Secretive, "reports-progress-with-classifiers", "with a classifier now and then"),
    (Changeable, "reports-progress-with-classifiers", "changes while training goes on"),
    (Moody, "repeats-itself", "different models"),
    (Optimist, "does-what-it-planned", "3 steps were planned, and fit reports 1"),
    (Timeless, "does-what-it-planned", "inf planned seconds make no sense"),
    (Forgetful, "restores-what-it-saved", "other logits"),
    (Trusting, "restores-what-it-saved", "line.json missing raised FileNotFoundError"),
]
FILES = {"labels.txt": b"a.jpg cat\nb.jpg dog\nc.jpg cat\n", "a.jpg": b""}


def rules(plugin: type[Any]) -> dict[str, Callable[[], None]]:
    return {
        check.name: check for check in checks(plugin, files=FILES if issubclass(plugin, Importer) else None)
    }


@pytest.mark.parametrize("plugin", [Fine, Lines, Names, Squares])
def test_a_plugin_that_keeps_the_contract_passes_every_rule(plugin: type[Any]) -> None:
    for name, rule in rules(plugin).items():
        if name != "imports-cheaply":
            rule()


@pytest.mark.parametrize(("plugin", "rule", "sentence"), BROKEN)
def test_a_broken_rule_is_caught(plugin: type[Any], rule: str, sentence: str) -> None:
    with pytest.raises(AssertionError, match=sentence):
        rules(plugin)[rule]()


def test_what_a_plugin_raises_by_itself_is_not_hidden() -> None:
    with pytest.raises(UnicodeEncodeError):
        rules(Latin)["writes-any-name"]()
    with pytest.raises(RuntimeError, match="not now"):
        rules(Unstoppable)["can-be-cancelled"]()


def test_a_module_that_imports_something_heavy_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "heavy_module_under_test.py").write_text(
        "import pandas\nfrom fieldmark import Importer\nclass Heavy(Importer): name = 'h'\n"
    )
    (tmp_path / "pandas.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(
        sys.modules, "pandas", ModuleType("pandas")
    )  # the real one, if there is one, comes back
    import heavy_module_under_test  # type: ignore[import-not-found]

    with pytest.raises(AssertionError, match="also imports pandas"):
        rules(heavy_module_under_test.Heavy)["imports-cheaply"]()


def test_an_importer_without_samples_says_what_to_give() -> None:
    (check,) = [check for check in checks(Lines) if check.name == "reads-lazily"]
    with pytest.raises(AssertionError, match=r"give contract\(\) sample files"):
        check()


def test_every_rule_has_a_plugin_that_breaks_it() -> None:
    covered = {rule for _, rule, _ in BROKEN} | {"imports-cheaply", "can-be-cancelled", "writes-any-name"}
    assert covered == {check.name for kind in (Fine, Lines, Names, Squares) for check in checks(kind)}


def test_samples_are_read_from_memory() -> None:
    from fieldmark.testing import MemorySource

    source = MemorySource({"a.txt": b"1"})
    assert (list(source.names()), source.head("a.txt"), isinstance(source.open("a.txt"), io.BytesIO)) == (
        ["a.txt"],
        b"1",
        True,
    )
    with pytest.raises(PluginError, match=r"'b\.txt' is not in sample"):
        source.open("b.txt")
