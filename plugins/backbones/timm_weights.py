"""Local weights for timm architectures: what their file says about itself, and building the network from it."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fieldmark import PluginError

if TYPE_CHECKING:
    import torch

SETTINGS = ("mean", "std", "input_size", "interpolation", "crop_pct", "crop_mode")
"""What timm's eval transform depends on."""
_INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "box", "hamming", "lanczos")
_CROP_MODES = ("center", "squash", "border")
_MODEL_ARGUMENTS = {
    *("class_token", "drop_path_rate", "drop_rate", "dynamic_img_size", "fc_norm", "global_pool", "img_size"),
    *("init_values", "no_embed_class", "pad_type", "patch_size", "qkv_bias", "reg_tokens"),
}


@dataclass(frozen=True)
class Weights:
    """One safetensors file and what its metadata, or the config.json beside it, says about it."""

    path: Path
    label: str
    """What the person calls it, for messages."""
    architecture: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Those of `SETTINGS` that are stated; mean and std as three floats, input_size as (3, height, width)."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """Keyword arguments of the architecture, such as `pad_type`."""

    def sha256(self) -> str:
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def find(weights: Path) -> Weights:
    """Read what a .safetensors file, or a folder with model.safetensors and config.json, says about itself.

    Raises `PluginError` naming the file when it is missing, of another kind or damaged.
    """
    path = weights / "model.safetensors" if weights.is_dir() else weights
    if path.suffix != ".safetensors":
        raise PluginError(
            f"The weights {weights.name} are not a .safetensors file. Other kinds can run code when they are opened, "
            "so they are not read: convert them with safetensors.torch.save_file first."
        )
    if not path.is_file():
        raise PluginError(f"There are no weights at {path}; check the path.")
    stated = _metadata(path)
    config = path.with_name("config.json")
    arguments: dict[str, Any] = {}
    if config.is_file():
        about = _config(config)
        arguments |= _arguments(about.get("model_args") or {}, config.name)
        stated = {**_flat(about), **stated}
    if pad_type := stated.get("pad_type"):
        arguments["pad_type"] = str(pad_type)
    architecture = stated.get("architecture")
    return Weights(
        path=path,
        label=path.name if path == weights else f"{weights.name}/{path.name}",
        architecture=str(architecture) if architecture else None,
        settings={name: setting(name, stated[name], path.name) for name in SETTINGS if stated.get(name)},
        arguments=arguments,
    )


def _metadata(path: Path) -> dict[str, Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return dict(file.metadata() or {})
    except PermissionError:
        raise PluginError(
            f"The weights {path.name} may not be read; give this program the right to."
        ) from None
    except (SafetensorError, OSError) as error:
        raise PluginError(
            f"The weights {path.name} are damaged or cut short: copy or download the file again."
        ) from error


def _config(path: Path) -> dict[str, Any]:
    try:
        about = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise PluginError(
            f"{path.name} beside the weights is not readable JSON; mend or remove it."
        ) from error
    if not isinstance(about, dict) or not isinstance(about.get("pretrained_cfg") or {}, dict):
        raise PluginError(f"{path.name} beside the weights is not a timm config; mend or remove it.")
    return about


def _flat(config: dict[str, Any]) -> dict[str, Any]:
    stated: dict[str, Any] = {**config, **(config.get("pretrained_cfg") or {})}
    tag = stated.get("tag")
    if isinstance(stated.get("architecture"), str) and isinstance(tag, str) and tag:
        stated["architecture"] = f"{stated['architecture'].partition('.')[0]}.{tag}"
    return stated


def _arguments(given: Any, source: str) -> dict[str, Any]:
    plain = isinstance(given, dict) and all(
        isinstance(value, str | int | float | bool | list | None) for value in given.values()
    )
    unknown = sorted(set(given) - _MODEL_ARGUMENTS) if plain else ["model_args"]
    if unknown:
        raise PluginError(f"{source} asks for {', '.join(unknown)}, which is not supported; remove it there.")
    return {name: value for name, value in given.items() if value is not None}


def setting(name: str, value: Any, source: str) -> Any:
    """Return one of `SETTINGS` in timm's own form, from text or JSON; raises `PluginError` naming `source`."""
    try:
        if name in ("interpolation", "crop_mode"):
            allowed = _INTERPOLATIONS if name == "interpolation" else _CROP_MODES
            return allowed[allowed.index(str(value))]
        numbers = _numbers(value)
        if name == "input_size":
            return _input_size(numbers)
        if name == "crop_pct":
            return _within(numbers[0], 0.1, 1.0)
        three = tuple(numbers * 3 if len(numbers) == 1 else numbers)
        if len(three) != 3 or (name == "std" and min(three) <= 0):
            raise ValueError
        return three
    except (ValueError, TypeError, IndexError):
        raise PluginError(
            f"{source} says {name} = {value!r}, which is no {name} that can be used; {_HINT.get(name, 'mend it there')}."
        ) from None


_HINT = {
    "mean": "give one or three numbers between 0 and 1, such as 0.5,0.5,0.5",
    "std": "give one or three numbers above 0, such as 0.5,0.5,0.5",
    "input_size": "give a number of pixels from 16 to 1024",
}


def _numbers(value: Any) -> list[float]:
    parts = re.split(r"[,\s]+", value.strip("[]() \n")) if isinstance(value, str) else value
    numbers = [float(part) for part in (parts if isinstance(parts, list | tuple) else [parts])]
    if not all(math.isfinite(number) for number in numbers):
        raise ValueError
    return numbers


def _input_size(numbers: list[float]) -> tuple[int, int, int]:
    if len(numbers) == 3 and numbers[0] != 3:
        raise ValueError
    height, width = (
        int(_within(side, 16, 1024)) for side in (numbers[-2:] if len(numbers) > 1 else numbers * 2)
    )
    return 3, height, width


def _within(number: float, low: float, high: float) -> float:
    if not low <= number <= high:
        raise ValueError
    return number


def build(
    architecture: str, weights: Weights, settings: Mapping[str, Any], arguments: Mapping[str, Any]
) -> torch.nn.Module:
    """Return the network without its classifier, float32, in eval mode, every tensor taken from the file.

    `settings` are keys of `SETTINGS` that replace timm's own. Raises `PluginError` naming the file when a tensor
    is missing, has another shape or holds values that are not finite.
    """
    import timm

    tensors = _tensors(weights)
    # timm lets tensors be missing when the number of classes differs from the file's; with the file's own
    # number it is strict, and the classifier is taken off afterwards.
    classes = _classes(architecture, weights, tensors)
    try:
        model: Any = timm.create_model(
            architecture,
            pretrained=True,
            num_classes=classes,
            pretrained_cfg_overlay={
                **settings,
                "state_dict": tensors,
                "num_classes": classes,
                "label_offset": 0,
            },
            **arguments,
        )
        model.reset_classifier(0)
        model.pretrained_cfg.pop("state_dict")
    except TypeError as error:
        unknown = re.search(r"unexpected keyword argument '(\w+)'", str(error))
        if unknown is None:
            raise PluginError(f"{architecture} cannot be built with the weights {weights.label}.") from error
        raise PluginError(f"{architecture} has no {unknown[1]}; leave it out.") from error
    except (RuntimeError, ValueError, LookupError, AttributeError, AssertionError) as error:
        raise PluginError(
            f"The weights {weights.label} do not fit {architecture}: {_misfit(str(error))}. Choose the architecture "
            "they were made for, or copy the file again."
        ) from error
    network: torch.nn.Module = model.float().eval()
    return network


def _tensors(weights: Weights) -> dict[str, torch.Tensor]:
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(weights.path)
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise PluginError(
            f"The weights {weights.label} are damaged or cut short: copy or download the file again."
        ) from error
    for name, tensor in tensors.items():
        if tensor.is_floating_point():
            if not bool(torch.isfinite(tensor).all()):
                raise PluginError(
                    f"The weights {weights.label} hold values that are not finite (in {name}), so they are damaged: "
                    "copy or download the file again."
                )
            tensors[name] = tensor.float()
    return tensors


def _classes(architecture: str, weights: Weights, tensors: Mapping[str, torch.Tensor]) -> int:
    from timm.models import get_pretrained_cfg

    names = getattr(get_pretrained_cfg(architecture), "classifier", None) or ()
    for name in [names] if isinstance(names, str) else names:
        if (head := tensors.get(f"{name}.weight")) is not None:
            return int(head.shape[0])
    return 0


def _misfit(message: str) -> str:
    for pattern, sentence in (
        (r'Missing key\(s\) in state_dict: "([^"]+)"', "the tensor {} is missing"),
        (r"size mismatch for (\S+?):", "the tensor {} has another shape"),
        (r'Unexpected key\(s\) in state_dict: "([^"]+)"', "there is no place for the tensor {}"),
    ):
        if found := re.search(pattern, message):
            return sentence.format(found[1])
    return "the network could not be made from them"
