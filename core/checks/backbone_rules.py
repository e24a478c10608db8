"""The rules that `fieldmark.testing` holds a backbone to."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NoReturn

from fieldmark.core.checks.contract_rules import Rule, Sample, expect
from fieldmark.core.contracts.backbone import Backbone

if TYPE_CHECKING:
    from PIL.Image import Image


def pictures() -> list[Image]:
    """Return RGB images that differ in content, size and shape, down to one pixel."""
    import numpy as np
    from PIL import Image as images

    rng = np.random.default_rng(7)
    sizes = [(64, 48), (33, 70), (256, 256), (97, 97), (1, 1), (1, 500), (500, 1)]
    noisy = [rng.integers(0, 256, (height, width, 3), dtype=np.uint8) for width, height in sizes]
    ramp = np.linspace(0, 255, 80 * 60 * 3).reshape(60, 80, 3).astype(np.uint8)
    return [images.fromarray(array) for array in [*noisy, ramp, np.full((40, 40, 3), 128, np.uint8)]]


def _loaded(sample: Sample) -> Backbone[Any]:
    backbone: Backbone[Any] = sample.make()
    missing = backbone.missing()
    expect(missing is None, f"it can't be checked before it has what is missing: {missing}")
    with no_network():
        backbone.load(sample.device)
    return backbone


@contextlib.contextmanager
def no_network() -> Iterator[None]:
    """Make every connection attempt an `AssertionError` for a while."""

    def refuse(*args: object) -> NoReturn:
        raise AssertionError(
            f"missing() and load() must not touch the network, but it connects to {args[1:]}"
        )

    real = socket.socket.connect
    socket.socket.connect = refuse  # type: ignore[method-assign]
    try:
        yield
    finally:
        socket.socket.connect = real  # type: ignore[method-assign]


def gives_finite_vectors(sample: Sample) -> None:
    """`embed` returns finite float32 [n, dim] for images of any size, and leaves the images alone."""
    import numpy as np

    backbone, images = _loaded(sample), pictures()
    before = [image.tobytes() for image in images]
    vectors = backbone.embed(images)
    expect(isinstance(vectors, np.ndarray), f"embed must return a numpy array, not {type(vectors).__name__}")
    expect(vectors.dtype == np.float32, f"embed must return float32, not {vectors.dtype}")
    wanted = (len(images), backbone.dim)
    expect(vectors.shape == wanted, f"embed must return [n, dim] = {wanted}, not {vectors.shape}")
    expect(bool(np.isfinite(vectors).all()), "embed returned a number that is not finite")
    expect(before == [image.tobytes() for image in images], "embed must not change the images it gets")
    expect(backbone.short_side > 0, "short_side must be above 0 after load")


def gives_the_same_vector_in_any_batch(sample: Sample) -> None:
    """An image's vector is the same alone, in a batch and in another order; different images differ."""
    import numpy as np

    backbone, images = _loaded(sample), pictures()
    together = backbone.embed(images)
    alone = np.concatenate([backbone.embed([image]) for image in images])
    backwards = backbone.embed(images[::-1])[::-1]
    tolerance = 0.01 * float(np.abs(together).max())
    expect(
        float(np.abs(together - alone).max()) <= tolerance, "a vector depends on the batch the image comes in"
    )
    expect(
        float(np.abs(together - backwards).max()) <= tolerance, "the order of vectors is not that of images"
    )
    expect(len({row.tobytes() for row in together}) > 1, "all images get the same vector")


def has_a_stable_fingerprint(sample: Sample) -> None:
    """Two instances with equal options have one fingerprint, in lower-case hex, and give equal vectors."""
    import numpy as np

    first, second = _loaded(sample), _loaded(sample)
    digits = set(first.fingerprint) <= set("0123456789abcdef")
    expect(
        digits and len(first.fingerprint) >= 16,
        f"fingerprint must be a hash in hex, not {first.fingerprint!r}",
    )
    expect(first.fingerprint == second.fingerprint, "fingerprint changes from one load to the next")
    images = pictures()[:3]
    same = np.allclose(first.embed(images), second.embed(images), rtol=1e-3, atol=1e-4)
    expect(same, "equal fingerprints, unequal vectors")


def agrees_with_its_module(sample: Sample) -> None:
    """If `module` is offered, so is `transform`, and both together give the vectors of `embed`."""
    import numpy as np

    backbone, images = _loaded(sample), pictures()[:4]
    module, transform = backbone.module(), backbone.transform()
    expect((module is None) == (transform is None), "offer module() and transform() both or neither")
    if module is None or transform is None:
        return
    import torch

    with torch.inference_mode():
        pixels = torch.stack([transform(image) for image in images])
        expect(
            pixels.dtype == torch.float32 and pixels.shape[1] == 3, "transform must give float32 [3, h, w]"
        )
        inside = bool(pixels.min() >= 0) and bool(pixels.max() <= 1)
        expect(inside, "transform must give pixels in 0..1; put the normalisation into module()")
        vectors = module.to("cpu")(pixels).numpy()
    for mine, theirs in zip(vectors, backbone.embed(images), strict=True):
        cosine = float(
            np.dot(mine, theirs) / max(float(np.linalg.norm(mine) * np.linalg.norm(theirs)), 1e-12)
        )
        expect(cosine > 0.999, f"module() and embed() disagree: cosine similarity {cosine:.4f}")


BACKBONE_RULES: tuple[Rule, ...] = (
    gives_finite_vectors,
    gives_the_same_vector_in_any_batch,
    has_a_stable_fingerprint,
    agrees_with_its_module,
)
