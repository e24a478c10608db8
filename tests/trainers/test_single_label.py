"""The default trainer, as core drives it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fieldmark import Examples, PluginError, TrainingSet
from fieldmark.core.learning.training import Trained, train
from fieldmark.plugins.trainers.single_label import SingleLabel, SingleLabelOptions
from fieldmark.plugins.trainers.softmax_head import FULL_BATCH
from fieldmark.testing import Check, contract

DIM = 48


def _examples(rows: int, labels: int = 3, noise: float = 1.0, seed: int = 0) -> Examples:
    """Draw non-negative vectors around one centre per label, as a backbone's last pooling gives them."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).gamma(1.0, 1.0, size=(labels, DIM))
    answers = np.arange(rows) % labels
    inputs = np.maximum(centres[answers] + noise * rng.normal(size=(rows, DIM)), 0.0) + 0.01
    return Examples(inputs.astype(np.float32), np.eye(labels, dtype=np.uint8)[answers], np.arange(rows))


def _data(train_rows: Examples, validation: Examples | None = None, **more: Any) -> TrainingSet:
    labels = tuple(f"label {i}" for i in range(train_rows.targets.shape[1]))
    more = {"seconds": 120.0, **more}
    held = validation or _examples(0, len(labels))
    return TrainingSet("single-label", labels, train_rows, held, **more)


def _run(data: TrainingSet, **options: Any) -> Trained:
    trainer = SingleLabel(SingleLabelOptions(**options))
    return train(trainer, data, report=lambda progress: None, cancelled=lambda: False)


def _accuracy(trained: Trained, examples: Examples) -> float:
    logits = trained.last.classifier.logits(examples.inputs)
    return float((logits.argmax(1) == examples.targets.argmax(1)).mean())


@contract(SingleLabel)
def test_contract(check: Check) -> None:
    check()


def test_it_learns_converges_and_says_so() -> None:
    trained = _run(_data(_examples(150), _examples(60, seed=1)))
    assert _accuracy(trained, _examples(300, seed=2)) > 0.95
    assert trained.ended == "converged"
    assert "Converged after" in trained.notes[0]
    assert "chosen by cross-validation" in trained.notes[0]
    assert len(trained.curve) >= 15
    assert trained.curve[-1].train.cross_entropy < trained.curve[0].train.cross_entropy


def test_more_images_than_one_batch() -> None:
    rows = 2 * FULL_BATCH + 100
    trained = _run(_data(_examples(rows, labels=5, noise=2.0), _examples(500, 5, noise=2.0, seed=1)))
    from sklearn.linear_model import LogisticRegression

    examples, fresh = _examples(rows, 5, noise=2.0), _examples(2_000, 5, noise=2.0, seed=3)
    plain = LogisticRegression(max_iter=2_000).fit(examples.inputs, examples.targets.argmax(1))
    assert _accuracy(trained, fresh) > plain.score(fresh.inputs, fresh.targets.argmax(1)) - 0.02
    assert 30 <= len(trained.curve) <= 100


def test_it_ends_where_logistic_regression_does() -> None:
    from sklearn.linear_model import LogisticRegression

    from fieldmark.plugins.trainers.softmax_head import Scaling

    examples = _examples(120, noise=3.0)
    trained = _run(_data(examples), l2=0.1, steps=2_000)
    inputs = examples.inputs
    assert isinstance(inputs, np.ndarray)
    scaled = Scaling.of(inputs).apply(inputs).astype(np.float64)
    peer = LogisticRegression(C=1 / (0.1 * 120), tol=1e-8, max_iter=5_000)
    chances = peer.fit(scaled, examples.targets.argmax(1)).predict_log_proba(scaled)
    logits = trained.last.classifier.logits(inputs)
    ours = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    assert np.abs(np.exp(ours) - np.exp(chances)).max() < 0.02


def test_an_overfitting_head_keeps_an_earlier_best() -> None:
    trained = _run(_data(_examples(60, noise=8.0), _examples(300, noise=8.0, seed=1)), l2=0.0, steps=400)
    assert trained.best.step < trained.last.step
    held = {point.step: point.validation for point in trained.curve}
    best, last = held[trained.best.step], held[trained.last.step]
    assert best is not None and last is not None
    assert best.cross_entropy < 0.9 * last.cross_entropy
    assert "validation cross-entropy was lowest at step" in trained.notes[0]


def test_the_learning_rate_changes_the_curve() -> None:
    data = _data(_examples(90, noise=3.0), _examples(60, noise=3.0, seed=1))

    def falls(rate: float) -> list[float]:
        return [point.train.cross_entropy for point in _run(data, l2=0.1, learning_rate=rate).curve[:8]]

    slow, usual, fast = falls(0.1), falls(1.0), falls(10.0)
    assert all(a > b for a, b in zip(slow, usual, strict=True))
    assert usual[0] > fast[0]


def test_balance_helps_the_rare_label() -> None:
    examples = _examples(400, labels=2, noise=6.0)
    keep = np.flatnonzero((examples.targets[:, 0] == 1) | (np.arange(400) % 20 == 1))
    inputs = examples.inputs
    assert isinstance(inputs, np.ndarray)
    uneven = _data(Examples(inputs[keep], examples.targets[keep], examples.groups[keep]))
    fresh = _examples(400, labels=2, noise=6.0, seed=5)

    def recall(**options: Any) -> float:
        logits = _run(uneven, l2=0.1, **options).last.classifier.logits(fresh.inputs)
        return float((logits.argmax(1) == 1)[fresh.targets[:, 1] == 1].mean())

    assert recall(balance=True) > recall() + 0.05


def test_near_duplicates_do_not_fool_the_choice_of_the_penalty() -> None:
    # Each image three times, labels pure noise: if a copy is held out, its twin gives the answer away.
    rng = np.random.default_rng(0)
    inputs = np.repeat(rng.random((40, DIM)), 3, axis=0).astype(np.float32)
    targets = np.repeat(np.eye(2, dtype=np.uint8)[rng.integers(0, 2, 40)], 3, axis=0)
    grouped = _run(_data(Examples(inputs, targets, np.repeat(np.arange(40), 3))))
    torn = _run(_data(Examples(inputs, targets, np.arange(120))))

    def largest(trained: Trained) -> float:
        return float(np.abs(trained.last.classifier.logits(inputs)).max())

    assert largest(grouped) < 0.5 * largest(torn)


def test_few_images_are_named_and_still_learnt() -> None:
    two = Examples(np.eye(2, 4, dtype=np.float32), np.eye(2, dtype=np.uint8), np.arange(2))
    trained = _run(_data(two))
    assert _accuracy(trained, two) == 1.0
    assert "label 0 (1), label 1 (1)" in trained.notes[0]
    assert "the default" in trained.notes[0]


def test_a_short_time_is_kept_with_a_shorter_plan() -> None:
    trained = _run(_data(_examples(1_500, 8, noise=6.0), seconds=1.0), steps=1_000_000, l2=0.0)
    assert 20 < trained.last.step < 1_000_000
    assert trained.seconds < 10


def test_identical_images_do_not_blow_up() -> None:
    same = Examples(np.ones((12, 8), np.float32), np.eye(2, dtype=np.uint8)[np.arange(12) % 2], np.arange(12))
    logits = _run(_data(same)).last.classifier.logits(np.ones((1, 8), np.float32))
    assert np.isfinite(logits).all()
    assert np.allclose(logits[0, 0], logits[0, 1], atol=1e-3)


def test_an_all_zero_embedding_gets_finite_scores() -> None:
    classifier = _run(_data(_examples(30))).last.classifier
    assert np.isfinite(classifier.logits(np.zeros((1, DIM), np.float32))).all()


def test_fewer_than_two_labels_are_refused() -> None:
    with pytest.raises(PluginError, match="at least two labels"):
        _run(_data(_examples(5, labels=1)))


def test_a_label_without_training_images_is_named() -> None:
    examples = _examples(30)
    keep = np.flatnonzero(examples.targets[:, 1] == 0)
    inputs = examples.inputs
    assert isinstance(inputs, np.ndarray)
    with pytest.raises(PluginError, match="No training image carries label 1"):
        _run(_data(Examples(inputs[keep], examples.targets[keep], examples.groups[keep])))


def test_embeddings_that_are_not_numbers_are_refused() -> None:
    examples = _examples(30)
    inputs = np.array(examples.inputs)
    inputs[4, 2] = np.nan
    with pytest.raises(PluginError, match="embed the images again"):
        _run(_data(Examples(inputs, examples.targets, examples.groups)))


def test_another_backbones_embeddings_are_refused() -> None:
    classifier = _run(_data(_examples(30))).last.classifier
    with pytest.raises(PluginError, match="use the backbone it was trained with"):
        classifier.logits(np.ones((1, DIM + 1), np.float32))


def _saved(folder: Path) -> NDArray[np.float32]:
    classifier = _run(_data(_examples(60))).last.classifier
    classifier.save(folder)
    return classifier.logits(_examples(9, seed=4).inputs)


def test_it_comes_back_exactly(tmp_path: Path) -> None:
    before = _saved(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["head.json", "head.safetensors"]
    after = SingleLabel.restore(tmp_path).logits(_examples(9, seed=4).inputs)
    assert np.array_equal(before, after)


@pytest.mark.parametrize(
    "tensors",
    [
        {"weight": np.zeros((DIM, 3), np.float32)},
        {"weight": np.zeros((DIM, 2), np.float32), "bias": np.zeros(3, np.float32)},
        {"weight": np.zeros((DIM, 3)), "bias": np.zeros(3)},
        {"weight": np.full((DIM, 3), np.inf, np.float32), "bias": np.zeros(3, np.float32)},
    ],
)
def test_tensors_that_do_not_fit_are_refused(tmp_path: Path, tensors: dict[str, Any]) -> None:
    from safetensors.numpy import save_file

    _saved(tmp_path)
    save_file(tensors, tmp_path / "head.safetensors")
    with pytest.raises(PluginError, match=r"head\.safetensors of this model is damaged"):
        SingleLabel.restore(tmp_path)


@pytest.mark.parametrize("facts", ["[]", "{}", json.dumps({"dim": "x", "labels": 3}), "\udce9"])
def test_facts_that_do_not_fit_are_refused(tmp_path: Path, facts: str) -> None:
    _saved(tmp_path)
    (tmp_path / "head.json").write_bytes(facts.encode("utf-8", "surrogateescape"))
    with pytest.raises(PluginError, match=r"head\.json of this model can't be read"):
        SingleLabel.restore(tmp_path)


def test_what_it_plans_grows_with_the_work_and_keeps_to_the_time() -> None:
    trainer = SingleLabel(SingleLabelOptions())
    assert trainer.planned_steps(1_000, 10, 60.0) == 200
    assert trainer.planned_steps(1_000_000, 10, 3_600.0) == -(-10 * 1_000_000 // FULL_BATCH)
    few = [trainer.planned_steps(10_000, 100, seconds) for seconds in (1e-9, 5.0, 10.0, 60.0)]
    assert few[0] == 1 and few == sorted(set(few))
    assert trainer.planned_seconds(2_000, 10) > 1.9 * trainer.planned_seconds(1_000, 10)
    told = SingleLabel(SingleLabelOptions(l2=0.1, steps=50))
    assert told.planned_steps(1_000, 10, 60.0) == 50
    assert told.planned_seconds(1_000, 10) < trainer.planned_seconds(1_000, 10) / 4


def test_the_torch_module_gives_the_same_logits() -> None:
    import torch

    classifier = _run(_data(_examples(90))).last.classifier
    module = classifier.module()
    assert module is not None
    inputs = np.array(_examples(30, seed=7).inputs)
    with torch.inference_mode():
        theirs = module(torch.from_numpy(inputs)).numpy()
    assert np.allclose(theirs, classifier.logits(inputs), rtol=1e-5, atol=1e-5)


def test_fit_needs_neither_torch_nor_scikit_learn() -> None:
    import subprocess
    import sys

    program = (
        "import sys, numpy as np\n"
        "from fieldmark import Examples, TrainingSet\n"
        "from fieldmark.plugins.trainers.single_label import SingleLabel, SingleLabelOptions\n"
        "x = np.random.default_rng(0).random((20, 8), dtype=np.float32)\n"
        "e = Examples(x, np.eye(2, dtype=np.uint8)[np.arange(20) % 2], np.arange(20))\n"
        "d = TrainingSet('single-label', ('a', 'b'), e, e, 60.0)\n"
        "list(SingleLabel(SingleLabelOptions()).fit(d))\n"
        "print(sorted({'torch', 'sklearn', 'scipy', 'pandas'} & set(sys.modules)))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=os.environ, check=True
    )
    assert run.stdout.strip() == "[]"
