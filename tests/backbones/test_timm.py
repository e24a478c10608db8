import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from fieldmark import PluginError
from fieldmark.plugins.backbones.timm import Timm, TimmOptions
from fieldmark.plugins.backbones.timm_fusion import fuse

SIZES = [(500, 400), (170, 160), (64, 64), (900, 300), (333, 222), (160, 160)]
HALVES = {"mean": "0.5", "std": "0.5,0.5,0.5", "input_size": "160"}


@pytest.fixture(scope="module")
def images():
    """Smooth colours with hard edges, in several sizes."""
    random = np.random.default_rng(7)
    made = []
    for width, height in SIZES:
        coarse = Image.fromarray(random.integers(0, 256, (6, 8, 3), dtype=np.uint8))
        image = coarse.resize((width, height), Image.Resampling.BICUBIC)
        image.paste((250, 240, 0), (width // 3, height // 3, width // 2, height // 2))
        made.append(image)
    return made


def random_network(architecture: str) -> torch.nn.Module:
    torch.manual_seed(3)
    network = timm.create_model(architecture, pretrained=False)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.3, 0.3)
            module.running_var.uniform_(0.5, 2)
            torch.nn.init.uniform_(module.weight, 0.6, 1.4)
            torch.nn.init.uniform_(module.bias, -0.3, 0.3)
    return network.eval()


def stored(path: Path, architecture: str = "test_resnet", **stated: str) -> Path:
    tensors = {
        name: tensor.contiguous() for name, tensor in random_network(architecture).state_dict().items()
    }
    save_file(tensors, path, {"architecture": architecture, **HALVES, **stated})
    return path


@pytest.fixture(scope="module")
def resnet(tmp_path_factory):
    return stored(tmp_path_factory.mktemp("weights") / "tiny.safetensors")


def loaded(**options) -> Timm:
    backbone = Timm(TimmOptions(**({"precision": "float32"} | options)))
    backbone.load("cpu")
    return backbone


def timms_own(architecture, path, images, **arguments):
    """Return vectors by timm's own loader and eval transform."""
    overlay = {"file": str(path), "mean": (0.5,) * 3, "std": (0.5,) * 3}
    network = timm.create_model(
        architecture, pretrained=True, num_classes=0, pretrained_cfg_overlay=overlay, **arguments
    ).eval()
    config = timm.data.resolve_model_data_config(network)
    transform = timm.data.create_transform(**config, is_training=False)
    with torch.inference_mode():
        return network(torch.stack([transform(image) for image in images])).numpy()


def cosines(ours, theirs):
    return (ours * theirs).sum(axis=1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1)


@pytest.mark.parametrize(
    "architecture",
    [
        "test_resnet",
        "test_efficientnet",
        "test_byobnet",
        "test_vit",
        "test_convnext",
        "test_nfnet",
        "test_maxvit",
    ],
)
def test_vectors_are_timms_own(tmp_path, images, architecture):
    path = stored(tmp_path / "w.safetensors", architecture)
    backbone = loaded(weights=path)
    ours, theirs = backbone.embed(images), timms_own(architecture, path, images)
    assert ours.dtype == np.float32 and ours.shape == (len(images), backbone.dim) == theirs.shape
    assert cosines(ours, theirs).min() > 0.99999
    assert np.abs(ours - theirs).max() < 5e-3 * np.abs(theirs).max()
    assert backbone.notices() == () or "pad_type" in backbone.notices()[0]


def test_shared_weights_give_timms_own_vectors():
    weights, data = os.environ.get("FIELDMARK_WEIGHTS"), os.environ.get("FIELDMARK_DATA")
    if not weights or not data:
        pytest.skip("FIELDMARK_WEIGHTS or FIELDMARK_DATA is not set")
    path = Path(weights) / "mobilenetv2_100.tf_in1k.fp16.safetensors"
    files = sorted(Path(data).rglob("*.jpg"))[::60]
    photos = [Image.open(file).convert("RGB") for file in files]
    backbone = loaded(weights=path)
    theirs = timms_own("mobilenetv2_100", path, photos, pad_type="same")
    assert cosines(backbone.embed(photos), theirs).min() > 0.99999
    lowered = loaded(weights=path, precision="bfloat16")
    assert cosines(lowered.embed(photos), theirs).min() > 0.93
    assert lowered.fingerprint != backbone.fingerprint
    assert backbone.dim == 1280 and backbone.short_side == 256


@pytest.mark.parametrize("architecture", ["test_resnet", "test_efficientnet", "test_byobnet"])
def test_fusing_leaves_no_batch_norm_and_the_same_function(architecture):
    network = random_network(architecture)
    batch = torch.randn(3, 3, 160, 160)
    fused = fuse(network, batch[:1])
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in fused.modules())
    assert any(isinstance(module, torch.nn.BatchNorm2d) for module in network.modules())
    with torch.inference_mode():
        expected = network(batch)
        assert (fused(batch) - expected).abs().max() < 1e-5 * max(1, expected.abs().max())


def test_a_batch_norm_that_shares_its_input_is_left_alone():
    class Shared(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = torch.nn.Conv2d(3, 4, 3)
            self.norm = torch.nn.BatchNorm2d(4)
            self.norm.running_mean.fill_(0.7)

        def forward(self, x):
            y = self.conv(x)
            return (self.norm(y) + y).mean((2, 3))

    network = Shared().eval()
    batch = torch.rand(2, 3, 9, 9)
    with torch.inference_mode():
        assert torch.allclose(fuse(network, batch)(batch), network(batch), atol=1e-6)


def test_a_vector_does_not_depend_on_the_batch_it_comes_in(resnet, images):
    backbone = loaded(weights=resnet)
    together = backbone.embed(images)
    alone = np.concatenate([backbone.embed([image]) for image in images])
    assert np.abs(together - alone).max() < 1e-5 * np.abs(together).max()
    assert backbone.embed([]).shape == (0, backbone.dim)


def test_module_and_transform_compute_the_same_and_can_be_trained(resnet, images):
    backbone = loaded(weights=resnet)
    module, transform = backbone.module(), backbone.transform()
    batch = torch.stack([transform(image) for image in images])
    assert batch.dtype == torch.float32 and batch.min() >= 0 and batch.max() <= 1
    vectors = module(batch)
    expected = backbone.embed(images)
    assert np.abs(vectors.detach().numpy() - expected).max() < 1e-4 * np.abs(expected).max()
    vectors.sum().backward()
    assert all(weight.grad is not None for weight in module.parameters())
    assert np.array_equal(backbone.embed(images), expected)


def test_options_win_over_the_weights_and_change_the_fingerprint(resnet, images):
    plain, other = loaded(weights=resnet), loaded(weights=resnet, mean="0.4,0.5,0.6", input_size=96)
    assert other.short_side < plain.short_side
    assert other.transform()(images[0]).shape == (3, 96, 96)
    assert not np.allclose(plain.embed(images), other.embed(images))
    assert plain.fingerprint != other.fingerprint
    assert plain.fingerprint == loaded(weights=resnet).fingerprint
    assert plain.fingerprint == loaded(weights=resnet, architecture="test_resnet").fingerprint


def test_what_the_weights_do_not_say_is_assumed_aloud(tmp_path):
    path = tmp_path / "silent.safetensors"
    save_file(random_network("test_resnet").state_dict(), path)
    (notice,) = loaded(weights=path, architecture="test_resnet").notices()
    for word in ("silent.safetensors", "test_resnet", "mean", "std", "input_size 160x160"):
        assert word in notice


def test_a_folder_with_config_json_says_what_the_metadata_does_not(tmp_path, images):
    save_file(random_network("test_resnet").state_dict(), tmp_path / "model.safetensors")
    about = {"input_size": [3, 128, 128], "mean": [0.5] * 3, "std": [0.5] * 3, "crop_pct": 1.0}
    config = {"architecture": "test_resnet", "num_classes": 1000, "pretrained_cfg": about}
    (tmp_path / "config.json").write_text(json.dumps(config))
    backbone = loaded(weights=tmp_path)
    assert backbone.short_side == 128 and backbone.notices() == ()
    assert backbone.embed(images).shape == (len(images), backbone.dim)

    (tmp_path / "config.json").write_text(json.dumps(config | {"model_args": {"checkpoint_path": "x.pth"}}))
    with pytest.raises(PluginError, match="checkpoint_path"):
        loaded(weights=tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(PluginError, match=r"config\.json"):
        loaded(weights=tmp_path)


@pytest.mark.parametrize(
    ("architecture", "words"),
    [
        ("resnet81", "did you mean resnet18"),
        ("resnet18.a9_in1k", r"did you mean .*resnet18\.a1_in1k"),
        ("hf-hub:timm/resnet18.a1_in1k", "not a name from timm's registry"),
        ("local-dir:/tmp/x", "not a name from timm's registry"),
        ("test_vit", "made for test_resnet, not for test_vit"),
    ],
)
def test_an_architecture_that_cannot_be_used_is_refused_by_name(resnet, architecture, words):
    with pytest.raises(PluginError, match=words) as caught:
        loaded(weights=resnet, architecture=architecture)
    assert architecture.partition(":")[0] in str(caught.value)


def _cut(path, tensors):
    path.write_bytes(path.read_bytes()[:-1000])


def _garbage(path, tensors):
    path.write_bytes(b"\xff" * 500)


def _missing_tensor(path, tensors):
    del tensors["layer1.0.conv1.weight"]
    save_file(tensors, path, {"architecture": "test_resnet"})


def _wrong_shape(path, tensors):
    tensors["layer1.0.conv1.weight"] = torch.zeros(3, 3)
    save_file(tensors, path, {"architecture": "test_resnet"})


def _not_finite(path, tensors):
    tensors["bn1.bias"][0] = float("nan")
    save_file(tensors, path, {"architecture": "test_resnet"})


def _bad_mean(path, tensors):
    save_file(tensors, path, {"architecture": "test_resnet", "mean": "grey"})


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_cut, "damaged or cut short"),
        (_garbage, "damaged or cut short"),
        (_missing_tensor, r"layer1\.0\.conv1\.weight is missing"),
        (_wrong_shape, r"layer1\.0\.conv1\.weight has another shape"),
        (_not_finite, r"not finite \(in bn1\.bias\)"),
        (_bad_mean, "says mean = 'grey'"),
    ],
)
def test_weights_that_cannot_be_used_are_refused_by_name(tmp_path, resnet, damage, words):
    path = tmp_path / "mine.safetensors"
    shutil.copy(resnet, path)
    damage(path, load_file(path))
    with pytest.raises(PluginError, match=words) as caught:
        loaded(weights=path)
    assert "mine.safetensors" in str(caught.value)


def test_only_safetensors_are_read(tmp_path):
    path = tmp_path / "model.pth"
    torch.save({}, path)
    with pytest.raises(PluginError, match=r"model\.pth are not a \.safetensors file"):
        loaded(weights=path)
    with pytest.raises(PluginError, match=r"no weights at .*absent\.safetensors"):
        loaded(weights=tmp_path / "absent.safetensors")


@pytest.mark.parametrize("option", [{"mean": "a"}, {"std": "0"}, {"mean": "1,2"}, {"std": "nan"}])
def test_numbers_that_are_none_are_refused(resnet, option):
    with pytest.raises(PluginError, match=f"The option says {next(iter(option))}"):
        loaded(weights=resnet, **option)


def test_an_option_that_the_architecture_does_not_know_is_refused(resnet):
    with pytest.raises(PluginError, match="test_resnet has no pad_type"):
        loaded(weights=resnet, pad_type="same")


HUB_SCRIPT = """
import json
from fieldmark import PluginError
from fieldmark.plugins.backbones.timm import Timm, TimmOptions

def sentence(verb, *arguments):
    try:
        verb(*arguments)
    except PluginError as error:
        return str(error)

backbone = Timm(TimmOptions(architecture="test_resnet.r160_in1k", precision="float32"))
said = {"missing": backbone.missing(), "unfetched": sentence(backbone.load, "cpu"), "progress": []}
said["error"] = sentence(backbone.fetch, lambda done, total: said["progress"].append([done, total]))
said["missing_after"] = backbone.missing()
backbone.load("cpu")
said["dim"], said["notices"] = backbone.dim, backbone.notices()
said["absent"] = sentence(Timm(TimmOptions(architecture="test_vit")).fetch, print)
print(json.dumps(said))
"""


def in_a_new_process(endpoint: str, home: Path) -> dict:
    """The hub's library reads its settings once, when it is imported."""
    clean = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    settings = {"HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_HUB_OFFLINE": "0"}
    result = subprocess.run(
        [sys.executable, "-c", HUB_SCRIPT], env=clean | settings, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


def test_weights_are_fetched_from_the_hub_with_progress_and_then_load(tmp_path, resnet, hub):
    said = in_a_new_process(hub.serve({"timm/test_resnet.r160_in1k": resnet.read_bytes()}), tmp_path)
    assert "timm/test_resnet.r160_in1k (about 2 MB)" in said["missing"]
    assert "fetch them first" in said["unfetched"]
    size = resnet.stat().st_size
    assert said["error"] is None and said["progress"][-1] == [size, size]
    assert said["missing_after"] is None and said["notices"] == []
    assert said["dim"] == loaded(weights=resnet).dim
    assert "has no model.safetensors in timm/test_vit.r160_in1k" in said["absent"]
    ours = "/timm/test_resnet.r160_in1k/resolve/main/model.safetensors"
    assert [verb for verb, path in hub.requests if path == ours] == ["HEAD", "GET"]


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9", "https://no-such-host.invalid"])
def test_a_hub_that_cannot_be_reached_is_said_in_a_sentence(tmp_path, monkeypatch, endpoint):
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", endpoint)
    with pytest.raises(PluginError, match="cannot be reached") as caught:
        Timm(TimmOptions(architecture="resnet18")).fetch(lambda done, total: None)
    assert endpoint in str(caught.value) and "timm/resnet18.a1_in1k" in str(caught.value)


def test_offline_nothing_is_fetched(tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    backbone = Timm(TimmOptions(architecture="resnet18"))
    assert "timm/resnet18.a1_in1k (about 47 MB)" in (backbone.missing() or "")
    with pytest.raises(PluginError, match="downloads are switched off"):
        backbone.fetch(lambda done, total: None)
