"""The first thing anybody runs."""

from __future__ import annotations


def test_the_demo_trains_a_good_model_and_a_second_run_reuses_it(fieldmark) -> None:
    first = fieldmark("demo", "--no-serve").document
    assert first["accuracy"] >= 0.98
    assert (first["labelled"], first["unlabelled"], first["reused"]) == (1597, 200, False)
    second = fieldmark("demo", "--no-serve").document
    assert second["reused"]
    assert second["accuracy"] == first["accuracy"]
    assert second["seconds"] < first["seconds"]
    said = fieldmark("demo", json=False).out
    assert "What to do next" in said
    stats = fieldmark("stats", first["model"], "--project", first["project"]).document
    assert stats["validation"]["accuracy"] == first["accuracy"]
    assert len(stats["labels"]) == 10
