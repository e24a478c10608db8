"""What each figure means, in plain words: the text behind its question mark."""

from __future__ import annotations

from collections.abc import Mapping

TITLES: Mapping[str, str] = {
    "count": "Images",
    "accuracy": "Accuracy",
    "precision": "Precision (macro)",
    "recall": "Recall (macro)",
    "f1": "F1 (macro)",
    "cross_entropy": "Cross-entropy",
    "matthews": "Matthews correlation",
    "confusion": "Confusion matrix",
    "train_time": "Training time",
    "embed_time": "Embedding time",
    "best_saved_at": "Best saved at",
    "ended": "How it ended",
    "label_count": "Images per label",
    "threshold": "Threshold",
    "score": "Score",
    "learning_curves": "Learning curves",
}
"""How a figure is headed."""

DEFINITIONS: Mapping[str, str] = {
    "count": "How many images these figures were measured on.",
    "accuracy": "Images decided right, divided by all images. Where an image may carry several labels, all of its"
    " labels must be right for it to count.",
    "precision": "When the model says a label, how often it is right: images that carry the label and were given it,"
    " divided by all images that were given it. This is the mean over all labels, each counting the same.",
    "recall": "Of the images that carry a label, how many the model found: images that carry the label and were"
    " given it, divided by all images that carry it. This is the mean over all labels, each counting the same.",
    "f1": "Precision and recall in one number: twice their product, divided by their sum. It is worked out for each"
    " label; this is the mean over all labels, each counting the same (macro).",
    "cross_entropy": "How far the scores are from the truth, in nats: the mean of minus the natural logarithm of the"
    " score that the right answer got. 0 is perfect; being sure and wrong costs most.",
    "matthews": "How well predictions and truth go together when all right and wrong answers are weighed, however"
    " rare a label is: 100% is perfect, 0% is no better than guessing, below 0% is worse than guessing.",
    "confusion": "How many images of each label (row) were taken for which label (column). The colour is the share of"
    " the row; what lies on the diagonal is right. Click a cell to see its images.",
    "train_time": "How long the training itself took. Reading the images for the first time is counted apart, as"
    " embedding time.",
    "embed_time": "How long the backbone took to read the images that it had not read before. It reads each image"
    " once, so the next training on the same images needs none of it.",
    "best_saved_at": "The step after which the checkpoint 'best' was saved: of all that were measured on the way, the"
    " one with the lowest cross-entropy on the validation images.",
    "ended": "Why the training stopped: it had learnt what there was to learn (converged), it had taken all its steps"
    " (finished), or its minutes were up (time).",
    "label_count": "How many images carry this label, in each of the sets for training, validation and test.",
    "threshold": "The score from which on a label counts as found. It is chosen on the validation images.",
    "score": "How sure the model is of a label, from 0 to 100 %. It is a score, not a promise: check it on images of"
    " your own.",
    "learning_curves": "How a figure changed from step to step. Training rising while validation falls means that the"
    " model learns its images by heart; the red line marks where the best was saved.",
}
"""One or two sentences for each figure of `core.learning.evaluation.Evaluation` and for what stands beside them."""

LABEL_DEFINITIONS: Mapping[str, str] = {
    "count": "How many images carry this label in truth.",
    "accuracy": "Images for which having or not having this label was decided right, divided by all images.",
    "precision": "True positives divided by all images that were given this label (true and false positives).",
    "recall": "True positives divided by all images that carry this label (true positives and false negatives).",
    "f1": "Twice the product of this label's precision and recall, divided by their sum.",
    "matthews": "How well predictions and truth go together for this label: 100% is perfect, 0% is no better than"
    " guessing, below 0% is worse than guessing.",
    "true_positives": "Images that carry this label and were given it.",
    "false_positives": "Images that were given this label but do not carry it.",
    "false_negatives": "Images that carry this label but were not given it.",
    "true_negatives": "Images that do not carry this label and were not given it.",
}
"""The same for one label against all others (`core.learning.evaluation.LabelFigures`)."""
