"""The figures equal scikit-learn's own, survive JSON, and stay quiet where there is nothing to count."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics

from fieldmark.core.contracts.terms import Task
from fieldmark.core.learning.evaluation import evaluate
from fieldmark.core.learning.report import Evaluation
from fieldmark.core.learning.scores import cross_entropy, scores
from fieldmark.storage.errors import FieldmarkError

LABELS = ("ant", "bee", "cat", "dog")


def _single(rows: int = 200, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    targets = np.eye(4, dtype=np.uint8)[rng.integers(0, 4, rows)]
    return targets, (2 * targets + rng.normal(size=(rows, 4))).astype(np.float32)


def _multi(rows: int = 200) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    targets = (rng.random((rows, 4)) < 0.3).astype(np.uint8)
    return targets, (3.0 * targets - 1.5 + 1.5 * rng.normal(size=(rows, 4))).astype(np.float32)


def test_single_label_figures_are_scikit_learns() -> None:
    targets, logits = _single()
    truth, decided = targets.argmax(1), logits.argmax(1)
    got = evaluate("single-label", LABELS, targets, logits)
    macro = metrics.precision_recall_fscore_support(truth, decided, average="macro", zero_division=0)
    assert got.count == 200
    assert (got.precision, got.recall, got.f1) == pytest.approx(macro[:3])
    assert got.accuracy == pytest.approx(metrics.accuracy_score(truth, decided))
    assert got.matthews == pytest.approx(metrics.matthews_corrcoef(truth, decided))
    chances = scores("single-label", logits)
    assert got.cross_entropy == pytest.approx(metrics.log_loss(truth, chances))
    assert got.confusion == metrics.confusion_matrix(truth, decided).tolist()
    for place, figures in enumerate(got.labels):
        one, said = truth == place, decided == place
        assert figures.label == LABELS[place]
        assert figures.count == one.sum()
        assert figures.accuracy == pytest.approx(metrics.accuracy_score(one, said))
        assert figures.precision == pytest.approx(metrics.precision_score(one, said))
        assert figures.recall == pytest.approx(metrics.recall_score(one, said))
        assert figures.f1 == pytest.approx(metrics.f1_score(one, said))
        assert figures.matthews == pytest.approx(metrics.matthews_corrcoef(one, said))


@pytest.mark.parametrize("thresholds", [None, (0.2, 0.5, 0.7, 0.9)])
def test_multi_label_figures_are_scikit_learns(thresholds: tuple[float, ...] | None) -> None:
    targets, logits = _multi()
    decided = (scores("multi-label", logits) >= np.array(thresholds or (0.5,) * 4)).astype(int)
    got = evaluate("multi-label", LABELS, targets, logits, thresholds)
    macro = metrics.precision_recall_fscore_support(targets, decided, average="macro", zero_division=0)
    assert (got.precision, got.recall, got.f1) == pytest.approx(macro[:3])
    assert got.accuracy == pytest.approx(metrics.accuracy_score(targets, decided))
    assert got.matthews == pytest.approx(metrics.matthews_corrcoef(targets.ravel(), decided.ravel()))
    binary = [metrics.log_loss(targets[:, i], scores("multi-label", logits)[:, i]) for i in range(4)]
    assert got.cross_entropy == pytest.approx(np.mean(binary), rel=1e-5)
    assert got.confusion is None
    tables = metrics.multilabel_confusion_matrix(targets, decided)
    for figures, table in zip(got.labels, tables, strict=True):
        assert [
            [figures.true_negatives, figures.false_positives],
            [figures.false_negatives, figures.true_positives],
        ] == table.tolist()


def test_one_label_alone_is_judged_by_its_threshold() -> None:
    got = evaluate(
        "one-class", ("good",), np.array([[1], [1], [0]], np.uint8), np.array([[2.0], [-1.0], [3.0]])
    )
    assert (got.precision, got.recall, got.accuracy) == pytest.approx((0.5, 0.5, 1 / 3))


def test_the_confusion_matrix_has_truth_in_rows() -> None:
    targets = np.array([[1, 0], [1, 0], [0, 1]], dtype=np.uint8)
    logits = np.array([[0.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
    assert evaluate("single-label", ("a", "b"), targets, logits).confusion == [[0, 2], [0, 1]]


def test_one_answer_throughout_correlates_with_nothing() -> None:
    targets = np.array([[1, 0], [1, 0]], dtype=np.uint8)
    got = evaluate("single-label", ("a", "b"), targets, np.array([[2.0, 0.0], [2.0, 0.0]]))
    assert (got.accuracy, got.matthews, got.precision) == (1.0, 0.0, 0.5)


@pytest.mark.parametrize("task", ["single-label", "multi-label", "one-class"])
def test_an_empty_split_has_no_figures(task: Task) -> None:
    got = evaluate(task, LABELS, np.zeros((0, 4), np.uint8), np.zeros((0, 4), np.float32))
    assert got.count == 0
    assert {got.accuracy, got.precision, got.recall, got.f1, got.cross_entropy, got.matthews} == {None}
    assert [figures.count for figures in got.labels] == [0, 0, 0, 0]
    assert "NaN" not in got.model_dump_json()


@given(
    st.sampled_from(["single-label", "multi-label", "one-class"]),
    st.integers(1, 6),
    st.integers(1, 5),
    st.data(),
)
@settings(max_examples=60, deadline=None)
def test_any_answers_survive_json_with_finite_figures(
    task: Task, rows: int, labels: int, data: st.DataObject
) -> None:
    extreme = st.floats(-1e4, 1e4, width=32)
    logits = data.draw(arrays(np.float32, (rows, labels), elements=extreme))
    if task == "single-label":
        targets = np.eye(labels, dtype=np.uint8)[
            data.draw(arrays(int, rows, elements=st.integers(0, labels - 1)))
        ]
    else:
        targets = data.draw(arrays(np.uint8, (rows, labels), elements=st.integers(0, 1)))
    got = evaluate(task, [f"label {i}" for i in range(labels)], targets, logits)
    text = got.model_dump_json()
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} in JSON"))
    assert Evaluation.model_validate_json(text) == got
    assert got.accuracy is not None and 0 <= got.accuracy <= 1
    assert got.cross_entropy is not None and got.cross_entropy >= 0


def test_confident_mistakes_cost_a_finite_amount() -> None:
    wrong = np.array([[1e4, -1e4]])
    assert cross_entropy("single-label", np.array([[0, 1]], np.uint8), wrong) == pytest.approx(2e4)
    assert cross_entropy("multi-label", np.array([[0, 1]], np.uint8), wrong) == pytest.approx(1e4)
    assert scores("multi-label", wrong).tolist() == [[1.0, 0.0]]


def test_scores_that_are_not_numbers_are_refused() -> None:
    with pytest.raises(FieldmarkError, match="train it again"):
        evaluate("single-label", ("a", "b"), np.array([[1, 0]], np.uint8), np.array([[np.nan, 0.0]]))


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="targets"):
        evaluate("single-label", ("a", "b"), np.array([[1, 0, 0]], np.uint8), np.zeros((1, 3)))
