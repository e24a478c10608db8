import hashlib
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fieldmark import Backbone, PluginError
from fieldmark.core.embedding import EmbedItem, embed_images
from fieldmark.core.jobs.process_environment import worker_environment
from fieldmark.storage.embeddings import EmbeddingCache


class MeanColour(Backbone):
    """The mean colour, 0 to 255."""

    name = "mean-colour"
    summary = "Mean colour"
    batch_size = 3

    def load(self, device: str) -> None:
        self.dim, self.fingerprint, self.short_side = 3, "mean", 8
        self.images = 0
        self.threads = set()

    def embed(self, images):
        self.images += len(images)
        self.threads.add(threading.current_thread().name)
        return np.array([np.asarray(image).mean(axis=(0, 1)) for image in images], dtype=np.float32)


class ConcurrentMeanColour(MeanColour):
    concurrent = True


def loaded(kind=MeanColour):
    backbone = kind(kind.options_model())
    backbone.load("cpu")
    return backbone


def item(path: Path) -> EmbedItem:
    return EmbedItem(hashlib.sha256(path.read_bytes()).hexdigest(), path)


@pytest.fixture
def greys(tmp_path):
    """Twenty images, grey 0, 10, 20 and so on."""
    items = []
    for step in range(20):
        path = tmp_path / f"{step:02}.png"
        Image.new("L", (20, 12), 10 * step).save(path)
        items.append(item(path))
    return items


@pytest.mark.parametrize("kind", [MeanColour, ConcurrentMeanColour])
@pytest.mark.parametrize("threads", [1, 3, None])
def test_vectors_come_in_the_order_of_the_items_and_are_computed_once(tmp_path, greys, kind, threads):
    cache = EmbeddingCache(tmp_path / "cache")
    expected = np.repeat(np.arange(20, dtype=np.float32)[:, None] * 10, 3, axis=1)

    first = embed_images(loaded(kind), greys[::-1], cache, threads=threads)
    assert first.found.all() and np.array_equal(first.matrix, expected[::-1])
    assert (first.computed, first.from_cache, first.failures) == (20, 0, [])

    again = loaded(kind)
    second = embed_images(again, [*greys, *greys[:5]], cache, threads=threads)
    assert np.array_equal(second.matrix, np.concatenate([expected, expected[:5]]))
    assert (second.computed, second.from_cache, again.images) == (0, 20, 0)


def test_a_backbone_that_is_not_concurrent_embeds_on_the_calling_thread_only(tmp_path, greys):
    backbone = loaded()
    embed_images(backbone, greys, EmbeddingCache(tmp_path / "cache"), threads=2)
    assert backbone.threads == {threading.current_thread().name}


@pytest.mark.parametrize("kind", [MeanColour, ConcurrentMeanColour])
def test_an_image_listed_twice_is_computed_once(tmp_path, greys, kind):
    backbone = loaded(kind)
    embedded = embed_images(backbone, [greys[1], greys[2], greys[1]], EmbeddingCache(tmp_path / "cache"))
    assert embedded.matrix[:, 0].tolist() == [10, 20, 10]
    assert backbone.images == 2


@pytest.mark.parametrize("kind", [MeanColour, ConcurrentMeanColour])
def test_files_that_cannot_be_decoded_are_listed_and_the_rest_go_on(tmp_path, greys, kind):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff not a photo")
    gone = EmbedItem("0" * 64, tmp_path / "gone.png")
    items = [greys[3], item(broken), greys[4], gone, item(broken)]

    embedded = embed_images(loaded(kind), items, EmbeddingCache(tmp_path / "cache"))

    assert embedded.found.tolist() == [True, False, True, False, False]
    assert embedded.matrix[:, 0].tolist() == [30, 40]
    assert [index for index, _ in embedded.failures] == [1, 3, 4]
    assert "broken.jpg" in embedded.failures[0][1] and "gone.png" in embedded.failures[1][1]
    assert int(embedded.found.sum()) + len(embedded.failures) == len(items)


def test_progress_counts_every_image_and_ends_at_the_total(tmp_path, greys):
    (tmp_path / "broken.png").write_bytes(b"no")
    cache = EmbeddingCache(tmp_path / "cache")
    embed_images(loaded(), greys[:5], cache)
    seen = []
    embed_images(
        loaded(),
        [*greys, item(tmp_path / "broken.png")],
        cache,
        report=lambda done, total: seen.append((done, total)),
    )
    assert seen[0] == (5, 21) and seen[-1] == (21, 21)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


@pytest.mark.parametrize("kind", [MeanColour, ConcurrentMeanColour])
def test_a_cancelled_run_keeps_what_it_has(tmp_path, greys, kind):
    cache = EmbeddingCache(tmp_path / "cache")
    stopped = embed_images(loaded(kind), greys, cache, threads=1, cancelled=lambda: True)
    assert stopped.cancelled
    assert 0 < stopped.computed < 20
    assert stopped.computed == stopped.found.sum() == len(stopped.matrix)
    rest = embed_images(loaded(kind), greys, cache)
    assert rest.found.all() and rest.from_cache == stopped.computed


def test_an_interruption_on_the_way_keeps_what_was_computed(tmp_path, greys):
    cache = EmbeddingCache(tmp_path / "cache")

    def interrupt(done, total):
        if done >= 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed_images(loaded(), greys, cache, report=interrupt)
    assert embed_images(loaded(), greys, cache).from_cache >= 6


class Raising(MeanColour):
    def embed(self, images):
        raise KeyError("weights")


class WrongShape(MeanColour):
    def embed(self, images):
        return np.zeros((len(images), 7), dtype=np.float32)


class SometimesNan(MeanColour):
    def embed(self, images):
        vectors = super().embed(images)
        vectors[vectors[:, 0] == 40] = np.nan
        return vectors


@pytest.mark.parametrize(("kind", "words"), [(Raising, "KeyError"), (WrongShape, r"\(3, 7\)")])
def test_a_backbone_that_fails_is_named_in_a_sentence(tmp_path, greys, kind, words):
    with pytest.raises(PluginError, match=words) as caught:
        embed_images(loaded(kind), greys, EmbeddingCache(tmp_path / "cache"))
    assert "mean-colour" in str(caught.value)


def test_a_vector_that_is_not_finite_is_a_failure_of_that_image_alone(tmp_path, greys):
    embedded = embed_images(loaded(SometimesNan), greys, EmbeddingCache(tmp_path / "cache"))
    assert [index for index, _ in embedded.failures] == [4]
    assert embedded.found.sum() == 19 and np.isfinite(embedded.matrix).all()


def test_a_cache_that_cannot_be_written_is_said_in_a_sentence(tmp_path, greys):
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(Exception, match="could not be saved") as caught:
        embed_images(loaded(), greys, EmbeddingCache(tmp_path / "cache"))
    assert str(tmp_path) not in str(caught.value)


def test_nothing_to_do(tmp_path):
    embedded = embed_images(loaded(), [], EmbeddingCache(tmp_path / "cache"))
    assert embedded.matrix.shape == (0, 3) and embedded.found.shape == (0,)


def test_the_workers_environment_keeps_what_the_person_has_set_and_stays_offline():
    added = worker_environment(environ={"OPENBLAS_NUM_THREADS": "4", "HF_HUB_OFFLINE": "0"})
    assert "OPENBLAS_NUM_THREADS" not in added
    assert added["HF_HUB_OFFLINE"] == "1" and int(added["MALLOC_TRIM_THRESHOLD_"]) == 4 * 2**30
    assert worker_environment(offline=False)["HF_HUB_OFFLINE"] == "0"
