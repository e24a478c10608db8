"""The classifier that a softmax head leaves: one affine map, saved as safetensors and JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fieldmark import Classifier, PluginError
from fieldmark.plugins.trainers import softmax_head as head

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

_TENSORS, _FACTS = "head.safetensors", "head.json"


class SoftmaxClassifier(Classifier):
    """One affine map of embeddings that were divided by their length."""

    def __init__(self, weight: NDArray[np.float32], bias: NDArray[np.float32]) -> None:
        self.weight = weight
        """float32 [dim, labels]."""
        self.bias = bias
        """float32 [labels]."""

    def logits(self, inputs: NDArray[np.float32] | Sequence[Image]) -> NDArray[np.float32]:
        """Return float32 [n, labels]; raises `PluginError` for embeddings of another length."""
        rows = np.asarray(inputs, dtype=np.float32)
        if rows.ndim != 2 or rows.shape[1] != len(self.weight):
            raise PluginError(
                f"This model reads embeddings of {len(self.weight)} numbers, not {rows.shape[1:]}; "
                "use the backbone it was trained with."
            )
        logits: NDArray[np.float32] = rows @ self.weight / head.lengths(rows) + self.bias
        return logits

    def save(self, folder: Path) -> None:
        """Write head.safetensors and head.json."""
        from safetensors.numpy import save

        facts = {"format": 1, "dim": self.weight.shape[0], "labels": self.weight.shape[1]}
        _write(folder / _TENSORS, save({"weight": self.weight, "bias": self.bias}))
        _write(folder / _FACTS, json.dumps(facts).encode())

    def module(self) -> torch.nn.Module:
        """Return the same as a torch module."""
        import torch

        class Head(torch.nn.Module):
            def __init__(self, weight: NDArray[np.float32], bias: NDArray[np.float32]) -> None:
                super().__init__()
                self.linear = torch.nn.Linear(*weight.shape)
                self.linear.weight = torch.nn.Parameter(
                    torch.from_numpy(weight.T.copy()), requires_grad=False
                )
                self.linear.bias = torch.nn.Parameter(torch.from_numpy(bias.copy()), requires_grad=False)

            def forward(self, embeddings: torch.Tensor) -> torch.Tensor:
                unit = torch.nn.functional.normalize(embeddings, dim=1)
                logits: torch.Tensor = self.linear(unit)
                return logits

        return Head(self.weight, self.bias).eval()


def restore(folder: Path) -> SoftmaxClassifier:
    """Read what `save` wrote; raises `PluginError` that names a damaged file."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        facts = json.loads((folder / _FACTS).read_text("utf-8"))
        shape = int(facts["dim"]), int(facts["labels"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PluginError(f"{_FACTS} of this model can't be read; train it again or restore it.") from error
    try:
        tensors = load_file(folder / _TENSORS)
    except (OSError, SafetensorError, ValueError) as error:
        raise PluginError(f"{_TENSORS} of this model can't be read; train it again or restore it.") from error
    found = {name: (tensor.shape, str(tensor.dtype)) for name, tensor in tensors.items()}
    if found != {"weight": (shape, "float32"), "bias": (shape[1:], "float32")} or not all(
        np.isfinite(tensor).all() for tensor in tensors.values()
    ):
        raise PluginError(f"{_TENSORS} of this model is damaged; train it again or restore it.")
    return SoftmaxClassifier(tensors["weight"], tensors["bias"])


def _write(path: Path, content: bytes) -> None:
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
