"""Any architecture of timm (PyTorch Image Models) as a frozen feature extractor."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from fieldmark import Backbone, Options, PluginError, hookimpl
from fieldmark.plugins.backbones import timm_hub, timm_weights
from fieldmark.plugins.backbones.timm_fusion import fuse
from fieldmark.plugins.backbones.timm_transform import EvalTransform
from fieldmark.plugins.backbones.timm_weights import SETTINGS, Weights

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from PIL.Image import Image

_DEFAULT_ARCHITECTURE = "mobilenetv2_100"
_VECTORS = "timm-1"
"""Changes whenever the same file and options begin to give other vectors."""


class TimmOptions(Options):
    """What a timm backbone can be told."""

    architecture: str | None = Field(
        None,
        description="A name from timm's registry, with a tag if wanted (resnet18.a1_in1k). Empty: what the weights "
        f"say, else {_DEFAULT_ARCHITECTURE}.",
    )
    weights: Path | None = Field(
        None,
        description="A .safetensors file, or a folder with model.safetensors and config.json. Empty: pretrained "
        "weights from the Hugging Face hub.",
    )
    pad_type: str | None = Field(
        None, description="Padding of convolutions, such as same. Empty: what the weights say."
    )
    mean: str | None = Field(
        None, description="Mean of the pixels, 0 to 1, such as 0.5,0.5,0.5. Empty: what the weights say."
    )
    std: str | None = Field(
        None,
        description="Standard deviation of the pixels, such as 0.5,0.5,0.5. Empty: what the weights say.",
    )
    input_size: int | None = Field(
        None, ge=16, le=1024, description="Side of the square input in pixels. Empty: what the weights say."
    )
    engine: Literal["torch"] = Field("torch", description="What computes the network.")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="auto: bfloat16 where that is faster on this processor, else float32."
    )


class Timm(Backbone[TimmOptions]):
    """A timm network without its classifier, from the hub's cache or from a local file."""

    name = "timm"
    summary = "Pretrained networks of PyTorch Image Models (timm)"
    variant_option: ClassVar[str | None] = "architecture"
    batch_size: ClassVar[int] = 16
    concurrent: ClassVar[bool] = True
    pretrained: ClassVar[bool] = True

    def __init__(self, options: TimmOptions) -> None:
        super().__init__(options)
        self._notices: list[str] = []

    def missing(self) -> str | None:
        if self.options.weights is not None:
            return None
        architecture, config = _registered(self.options.architecture or _DEFAULT_ARCHITECTURE)
        repo, file = timm_hub.hub_file(architecture, config)
        if timm_hub.cached(repo, file) is not None:
            return None
        size = _megabytes(architecture, config)
        return f"The pretrained weights {repo}{size} have to be fetched from the Hugging Face hub."

    def fetch(self, report: Callable[[int, int], None]) -> None:
        architecture, config = _registered(self.options.architecture or _DEFAULT_ARCHITECTURE)
        repo, file = timm_hub.hub_file(architecture, config)
        if timm_hub.cached(repo, file) is None:
            timm_hub.download(repo, file, report)

    def load(self, device: str) -> None:
        import torch

        self._notices.clear()
        if self.options.weights is not None:
            weights = timm_weights.find(self.options.weights)
        else:
            weights = self._from_hub()
        architecture = self._agree(weights)
        stated, arguments = self._settings(weights)
        self._recipe = (architecture, weights, stated, arguments)
        network = timm_weights.build(*self._recipe)
        self._prepare(network)
        self._device = torch.device(device)
        if self._device.type == "cpu":
            # Each of core's threads runs its own forward: no thread waits for another's half of a layer.
            torch.set_num_threads(1)
        self._place(network)
        self._note_assumptions(weights, stated, arguments, network)
        self.fingerprint = self._hash(architecture, weights, arguments)

    def embed(self, images: Sequence[Image]) -> NDArray[np.float32]:
        import numpy as np
        import torch

        if not images:
            return np.zeros((0, self.dim), dtype=np.float32)
        pixels = torch.from_numpy(np.stack([self._transform.pixels(image) for image in images]))
        with torch.inference_mode():
            # [n, h, w, 3] seen as [n, 3, h, w] already is channels_last.
            batch = pixels.to(self._device).permute(0, 3, 1, 2).to(torch.float32)
            batch = batch.sub_(self._shift).mul_(self._scale).to(self._dtype)
            vectors: NDArray[np.float32] = self._network(batch).float().cpu().numpy()
        return vectors

    def settled_options(self) -> TimmOptions:
        return self.options.model_copy(update={"precision": str(self._dtype).removeprefix("torch.")})

    def notices(self) -> tuple[str, ...]:
        return tuple(self._notices)

    def module(self) -> torch.nn.Module:
        """Return a fresh float32 network on the CPU, in eval mode, batch norms as they were, ready to train."""
        import torch

        network = timm_weights.build(*self._recipe)
        transform = self._transform

        class Normalised(torch.nn.Module):
            mean: torch.Tensor
            std: torch.Tensor

            def __init__(self) -> None:
                super().__init__()
                self.network = network
                self.register_buffer("mean", torch.tensor(transform.mean).reshape(1, 3, 1, 1))
                self.register_buffer("std", torch.tensor(transform.std).reshape(1, 3, 1, 1))

            def forward(self, images: torch.Tensor) -> torch.Tensor:
                vectors: torch.Tensor = self.network((images - self.mean) / self.std)
                return vectors

        return Normalised().eval()

    def transform(self) -> Callable[[Image], torch.Tensor]:
        import torch

        pixels = self._transform.pixels

        def to_tensor(image: Image) -> torch.Tensor:
            return torch.from_numpy(pixels(image)).permute(2, 0, 1).to(torch.float32).div_(255).contiguous()

        return to_tensor

    def _from_hub(self) -> Weights:
        architecture, config = _registered(self.options.architecture or _DEFAULT_ARCHITECTURE)
        repo, file = timm_hub.hub_file(architecture, config)
        path = timm_hub.cached(repo, file)
        if path is None:
            raise PluginError(
                f"The pretrained weights {repo} are not on this machine: fetch them first, or give a .safetensors "
                "file as weights."
            )
        known = {name: getattr(config, name) for name in SETTINGS if getattr(config, name, None) is not None}
        return Weights(path, f"{repo} ({file})", architecture, known)

    def _agree(self, weights: Weights) -> str:
        """Return the architecture that the options and the weights agree on."""
        asked, stated = self.options.architecture, weights.architecture
        if asked is None:
            if stated is None:
                self._notices.append(
                    f"The weights {weights.label} do not say their architecture; {_DEFAULT_ARCHITECTURE} was assumed."
                )
            return _registered(stated or _DEFAULT_ARCHITECTURE, lenient_tag=True)[0]
        name = _registered(asked)[0]
        if stated is not None and _base(stated) != _base(name):
            raise PluginError(
                f"The weights {weights.label} were made for {_base(stated)}, not for {_base(name)}: choose that "
                "architecture or other weights."
            )
        return name

    def _settings(self, weights: Weights) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return what is known for certain about preprocessing and network: the weights', then the options'."""
        stated, arguments = dict(weights.settings), dict(weights.arguments)
        for name in ("mean", "std", "input_size"):
            given = getattr(self.options, name)
            if given is not None and given != "":
                stated[name] = timm_weights.setting(name, given, "The option")
        if self.options.pad_type:
            arguments["pad_type"] = self.options.pad_type
        if self.options.input_size is not None:
            arguments.pop("img_size", None)
        return stated, arguments

    def _prepare(self, network: torch.nn.Module) -> None:
        self._transform = EvalTransform.of(network)
        self.short_side = self._transform.short_side

    def _place(self, network: torch.nn.Module) -> None:
        """Put the network on the device in the fastest form that computes the same."""
        import torch

        network.requires_grad_(False)
        height, width = self._transform.size
        probe = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0)).sub_(0.5).mul_(4)
        vector = self._run(network, probe)
        self.dim = int(vector.shape[1])
        network = fuse(network, probe)
        wanted = _precision(self.options.precision, self._device)
        try:
            network = network.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]
            self._shift, self._scale = (
                table.to(self._device).reshape(1, 3, 1, 1) for table in self._transform.tables()
            )
            probe = probe.to(self._device).to(memory_format=torch.channels_last)
        except (RuntimeError, AssertionError) as error:
            raise PluginError(f"The device {self._device} cannot be used here; choose cpu.") from error
        self._dtype, self._network = torch.float32, network
        if wanted == "bfloat16":
            self._lower(network, probe)

    def _lower(self, network: torch.nn.Module, probe: torch.Tensor) -> None:
        import copy

        import torch

        lowered = copy.deepcopy(network).to(torch.bfloat16)
        try:
            self._run(lowered, probe.to(torch.bfloat16))
        except PluginError:
            if self.options.precision == "bfloat16":
                raise PluginError(
                    "This architecture cannot be computed in bfloat16; choose precision float32."
                ) from None
            return
        self._dtype, self._network = torch.bfloat16, lowered

    def _run(self, network: torch.nn.Module, probe: torch.Tensor) -> torch.Tensor:
        import torch

        label = self._recipe[1].label
        try:
            with torch.inference_mode():
                vectors = network(probe)
        except (RuntimeError, AssertionError, ValueError, TypeError) as error:
            size = " x ".join(map(str, self._transform.size))
            raise PluginError(
                f"The network of {label} cannot take images of {size} pixels; choose another input size."
            ) from error
        if not isinstance(vectors, torch.Tensor) or vectors.ndim != 2:
            raise PluginError(
                f"{self._recipe[0]} gives no single vector for an image; choose another architecture."
            )
        if not bool(torch.isfinite(vectors).all()):
            raise PluginError(
                f"The network of {label} gives values that are not finite: the weights are damaged."
            )
        return vectors

    def _note_assumptions(
        self, weights: Weights, stated: Mapping[str, Any], arguments: Mapping[str, Any], network: Any
    ) -> None:
        import inspect

        transform = self._transform
        used = {
            "mean": ",".join(f"{value:g}" for value in transform.mean),
            "std": ",".join(f"{value:g}" for value in transform.std),
            "input_size": "x".join(map(str, transform.size)),
        }
        assumed = [f"{name} {value}" for name, value in used.items() if name not in stated]
        takes_padding = "pad_type" in inspect.signature(type(network).__init__).parameters
        if self.options.weights is not None and takes_padding and "pad_type" not in arguments:
            assumed.append("timm's own pad_type")
        if assumed:
            self._notices.append(
                f"The weights {weights.label} do not say all about themselves; timm's defaults for "
                f"{self._recipe[0]} were assumed: {'; '.join(assumed)}."
            )

    def _hash(self, architecture: str, weights: Weights, arguments: Mapping[str, Any]) -> str:
        recipe = {
            "version": _VECTORS,
            "weights": weights.sha256(),
            "architecture": _base(architecture),
            "arguments": dict(arguments),
            "preprocessing": self._transform.recipe(),
            "precision": str(self._dtype),
            "engine": self.options.engine,
            "device": self._device.type,
        }
        return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()


@hookimpl
def register_backbones() -> list[type[Timm]]:
    return [Timm]


def _base(architecture: str) -> str:
    return architecture.partition(".")[0]


def _registered(architecture: str, lenient_tag: bool = False) -> tuple[str, Any]:
    """Return the name and timm's config for it; raises `PluginError` with the nearest names."""
    import timm
    from timm.models import get_pretrained_cfg

    if ":" in architecture or "/" in architecture:
        raise PluginError(
            f"{architecture} is not a name from timm's registry; for a local folder or file use the option weights."
        )
    base = _base(architecture)
    if not timm.is_model(base):
        near = difflib.get_close_matches(base, timm.list_models(), n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "see timm.list_models() for all names."
        raise PluginError(f"timm has no architecture {base}: {hint}")
    try:
        return architecture, get_pretrained_cfg(architecture)
    except RuntimeError:
        if lenient_tag:
            return base, get_pretrained_cfg(base)
        tags = [name for name in timm.list_pretrained(f"{base}.*")] or [base]
        near = difflib.get_close_matches(architecture, tags, n=3, cutoff=0.0)
        raise PluginError(f"timm has no weights {architecture}: did you mean {' or '.join(near)}?") from None


def _megabytes(architecture: str, config: Any) -> str:
    """Return ", about n MB" from the number of parameters, or nothing when it cannot be told cheaply."""
    import timm
    import torch

    try:
        with torch.device("meta"):
            model: Any = timm.create_model(architecture, pretrained=False, num_classes=config.num_classes)
    # Some networks compute with their weights while they are made, which the meta device cannot do.
    except (RuntimeError, NotImplementedError, TypeError, ValueError):
        return ""
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return f" (about {max(1, round(parameters * 4 / 1e6))} MB)"


def _precision(asked: str, device: torch.device) -> str:
    import torch

    if asked != "auto":
        return asked
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    return "bfloat16" if device.type == "cpu" and _computes_bfloat16() else "float32"


def _computes_bfloat16() -> bool:
    """Tell whether bfloat16 is faster than float32 on this processor.

    Decided by name and not by a stopwatch, because the fingerprint, and with it every cached vector, depends on it.
    """
    try:
        described = Path("/proc/cpuinfo").read_text("utf-8", errors="replace")
    except OSError:
        return False
    # Measured: avx512_bf16 alone is 1.5 times faster than float32 on an AMD EPYC and 1.1 to 1.7 times slower on an
    # Intel Xeon, whose fast bfloat16 is AMX.
    return "amx_bf16" in described or ("avx512_bf16" in described and "AuthenticAMD" in described)
