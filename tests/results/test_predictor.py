import io
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from discerna import machine
from discerna.directories.image_dir import ImageDirectory
from discerna.errors import (
    InvalidDatasetError,
    InvalidModelDirectoryError,
    MachineError,
    OutOfMemoryError,
    ProcessError,
    UnreadablePictureError,
)
from discerna.networks import register
from discerna.results import predictor as predictors
from discerna.results.predictor import Predictor, choose_workers
from discerna.settings.loading import LoadingSettings


def matrix(predictions):
    return np.array([list(p.probabilities.values()) for p in predictions])


@pytest.fixture(scope="module")
def tiny(tiny_model):
    return Predictor.of(tiny_model, device="cpu")


@pytest.fixture(scope="module")
def resnet(resnet_model):
    return Predictor.of(resnet_model, device="cpu")


def test_a_prediction(resnet, mixed_pictures):
    (found,) = resnet.predict(mixed_pictures[0])
    assert list(found.probabilities) == ["blue", "green", "red"] == resnet.labels
    assert math.isclose(sum(found.probabilities.values()), 1, abs_tol=1e-6)
    assert found.probability == max(found.probabilities.values()) == found.probabilities[found.label]


def test_the_batch_does_not_matter(resnet, mixed_pictures):
    alone = matrix(resnet.predict(mixed_pictures, batch_size=1))
    assert alone.std(0).max() > 1e-3  # the network does look at the pictures
    for size in (7, 32):
        assert np.abs(matrix(resnet.predict(mixed_pictures, batch_size=size)) - alone).max() < 1e-4
    backwards = matrix(resnet.predict(reversed(mixed_pictures), batch_size=7))
    assert np.abs(backwards[::-1] - alone).max() < 1e-4
    index = ImageDirectory.open_any(mixed_pictures)
    streamed = np.concatenate([b.probabilities for b in resnet.stream(index, batch_size=4, workers=0)])
    assert [index.name(i) for i in range(len(index))] == [path.name for path in mixed_pictures]
    assert np.abs(streamed - alone).max() < 1e-4
    assert streamed.dtype == np.float32


def test_every_kind_of_picture_gives_the_same(resnet, mixed_pictures):
    path = mixed_pictures[0]
    image = Image.open(path)
    with open(path, "rb") as file:
        kinds = [
            str(path),
            path,
            image,
            np.asarray(image),
            path.read_bytes(),
            bytearray(path.read_bytes()),
            file,
        ]
        found = resnet.predict(kinds)
        assert all(p == found[0] for p in found)
        file.seek(0)
        for kind in kinds:
            assert len(resnet.predict(kind)) == 1
    assert resnet.predict(np.asarray(image)[:, :, 0]) == resnet.predict(image.getchannel(0))
    assert resnet.predict([]) == []


def save(folder, name, image, **options):
    image.save(folder / name, **options)
    return folder / name


@pytest.fixture
def odd_pictures(tmp_path):
    ramp = np.arange(30 * 20, dtype=np.uint16).reshape(20, 30)
    colours = Image.fromarray((np.stack([ramp // 3, ramp % 251, 255 - ramp // 4], 2)).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    palette = colours.quantize(16)
    return [
        save(tmp_path, "turned.jpg", colours, exif=exif),
        save(tmp_path, "turned.tif", colours, exif=exif),
        save(tmp_path, "sixteen.png", Image.fromarray(ramp * 100)),
        save(tmp_path, "alpha.png", Image.merge("RGBA", [*colours.split(), colours.getchannel(0)])),
        save(tmp_path, "palette.png", palette, transparency=3),
        save(tmp_path, "cmyk.jpg", colours.convert("CMYK")),
        save(tmp_path, "grey.png", colours.convert("L"), transparency=7),
    ]


def test_pillow_images_follow_the_rules_of_files(resnet, odd_pictures):
    for path in odd_pictures:
        with Image.open(path) as image:
            before = dict(image.info)
            assert resnet.predict(image) == resnet.predict(path), path.name
            assert image.info == before
            assert resnet.predict(image) == resnet.predict(path), path.name


def test_unreadable_pictures_are_named(tiny, mixed_pictures, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(mixed_pictures[0].read_bytes()[:60])
    with pytest.raises(UnreadablePictureError, match=r"broken\.png") as caught:
        tiny.predict([mixed_pictures[0], broken])
    assert caught.value.reason == "truncated"
    with pytest.raises(UnreadablePictureError, match=r"not_an_image: pictures\[1\]"):
        tiny.predict([mixed_pictures[0], b"hello"])
    with open(broken, "rb") as file, pytest.raises(UnreadablePictureError, match=r"broken\.png"):
        tiny.predict(file)
    with pytest.raises(UnreadablePictureError, match=r"empty: picture\b"):
        tiny.predict(io.BytesIO())
    with pytest.raises(UnreadablePictureError, match="truncated: picture"), Image.open(broken) as image:
        tiny.predict(image)
    with pytest.raises(UnreadablePictureError, match="empty: picture"):
        tiny.predict(Image.new("RGB", (0, 3)))
    with pytest.raises(UnreadablePictureError, match="unsupported_mode: picture"):
        tiny.predict(Image.new("F", (3, 3)))


@pytest.mark.parametrize(
    "given",
    [
        7,
        [7],
        [None],
        np.zeros((3, 4)),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        io.StringIO("text"),
    ],
    ids=lambda given: type(given).__name__,
)
def test_other_things_are_no_pictures(tiny, given):
    with pytest.raises(InvalidDatasetError, match=r"this is no picture: picture.* is .*; a picture is"):
        tiny.predict(given)


@register("viewing", image_size=16)
class Viewing(torch.nn.Module):
    """Flattens by `view`, which torch refuses where the channels come last."""

    def __init__(self, num_labels):
        super().__init__()
        self.convolution = torch.nn.Conv2d(3, 4, 3, stride=4, padding=1)
        self.head = torch.nn.Linear(64, num_labels)

    def forward(self, pictures):
        return self.head(self.convolution(pictures).view(len(pictures), 64))


def test_a_network_of_the_users_own_keeps_its_layout(make_model, mixed_pictures):
    assert len(Predictor.of(make_model("viewing"), device="cpu").predict(mixed_pictures)) == 15


def test_only_trained_models_predict(make_model):
    with pytest.raises(InvalidModelDirectoryError, match="untrained"):
        Predictor.of(make_model(trained=False))


def test_devices(tiny_model, monkeypatch):
    monkeypatch.setattr(machine, "gpu_kind", lambda: None)
    assert Predictor.of(tiny_model).device == "cpu"
    with pytest.raises(
        MachineError, match=r"device=cuda; torch sees no GPU .*; use device=auto or device=cpu"
    ):
        Predictor.of(tiny_model, device="cuda")
    with pytest.raises(MachineError, match=r"device=gpu; it is auto \| cpu \| cuda \| mps"):
        Predictor.of(tiny_model, device="gpu")


def test_the_surrounding_program_changes_nothing(resnet, mixed_pictures):
    expected = matrix(resnet.predict(mixed_pictures))
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    state = torch.get_rng_state()
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16), torch.enable_grad():
            found = matrix(resnet.predict(mixed_pictures))
            index = ImageDirectory.open_any(mixed_pictures)
            assert sum(len(b.indices) for b in resnet.stream(index, batch_size=8, workers=0)) == 15
        assert torch.get_float32_matmul_precision() == "medium"
        assert torch.backends.mkldnn.matmul.fp32_precision == "bf16"
    finally:
        torch.set_float32_matmul_precision(before)
    assert np.abs(found - expected).max() < 1e-5
    assert torch.equal(torch.get_rng_state(), state)
    assert not resnet.network.training


class Failing(torch.nn.Module):
    def __init__(self, error):
        super().__init__()
        self.error = error

    def forward(self, pictures):
        raise self.error


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes"),
        MemoryError(),
    ],
)
def test_out_of_memory(tiny_model, mixed_pictures, error):
    predictor = Predictor.of(tiny_model, device="cpu")
    predictor.network = Failing(error)
    with pytest.raises(OutOfMemoryError, match=r"batch_size=12, device=cpu.*use batch_size=6"):
        predictor.predict(mixed_pictures, batch_size=12)
    with pytest.raises(OutOfMemoryError, match="batch_size=1"):
        predictor.predict(mixed_pictures[0])


def test_other_failures_of_a_network_are_not_hidden(tiny_model, mixed_pictures):
    predictor = Predictor.of(tiny_model, device="cpu")
    predictor.network = Failing(RuntimeError("shapes do not fit"))
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        predictor.predict(mixed_pictures)


def test_nan_is_refused(tiny_model, mixed_pictures):
    predictor = Predictor.of(tiny_model, device="cpu")
    with torch.no_grad():
        predictor.network[-1].weight.fill_(3e38)
    with pytest.raises(InvalidModelDirectoryError, match=r"NaN: pictures\[\d\]"):
        predictor.predict(mixed_pictures)
    index = ImageDirectory.open_any(mixed_pictures)
    with pytest.raises(InvalidModelDirectoryError, match=r"NaN: \d\d\."):
        list(predictor.stream(index, batch_size=4, workers=0))


class Recording:
    def __init__(self):
        self.tasks, self.done, self.closed = [], 0, False

    def task(self, name, total):
        self.tasks.append((name, total))
        return self

    def __enter__(self):
        return self.advance

    def __exit__(self, *exception):
        self.closed = True

    def advance(self, count, text):
        self.done += count


@pytest.fixture
def some_broken(pictures, tmp_path):
    """Nine pictures; those at 2, 4 and 5 cannot be read."""
    good = (pictures / "valid" / "red" / "0.png").read_bytes()
    for n in range(9):
        (tmp_path / f"{n}.png").write_bytes({2: b"", 4: good[:50], 5: b"text"}.get(n, good))
    return ImageDirectory.open_any(tmp_path)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_stream_accounts_for_every_picture(tiny, some_broken, workers):
    shown = Recording()
    batches = list(tiny.stream(some_broken, batch_size=2, workers=workers, progress=shown))
    assert [batch.indices for batch in batches] == [[0, 1], [3], [], [6, 7], [8]]
    assert [[(i, e.reason) for i, e in batch.errors] for batch in batches] == [
        [],
        [(2, "empty")],
        [(4, "truncated"), (5, "not_an_image")],
        [],
        [],
    ]
    assert [batch.probabilities.shape for batch in batches] == [(2, 3), (1, 3), (0, 3), (2, 3), (1, 3)]
    assert shown.tasks == [("scoring", 9)]
    assert shown.done == 9
    assert shown.closed


def test_a_stream_that_is_left_early_takes_its_bar_away(tiny, some_broken):
    shown = Recording()
    stream = tiny.stream(some_broken, batch_size=2, workers=0, progress=shown)
    next(stream)
    assert not shown.closed
    stream.close()
    assert shown.closed


def test_a_killed_worker_is_told(tiny, some_broken, monkeypatch):
    monkeypatch.setattr(predictors.PictureDataset, "__getitem__", lambda self, key: os._exit(9))
    with pytest.raises(ProcessError, match=r"ended by the system: DataLoader worker .*loading.workers=0"):
        list(tiny.stream(some_broken, batch_size=2, workers=1))


def test_workers(monkeypatch):
    assert choose_workers(LoadingSettings(workers=3, nested=False), "cpu").value == 3
    for cores, workers in [(1, 1), (4, 3), (5, 4), (9, 8), (64, 8)]:
        monkeypatch.setattr(machine, "cores", lambda cores=cores: cores)
        assert choose_workers(LoadingSettings(workers="auto", nested=False), "cuda").value == workers
        assert choose_workers(LoadingSettings(workers="auto", nested=False), "cpu").value == 0


def test_neither_lightning_nor_hydra_is_loaded(tiny_model, pictures, tmp_path):
    script = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from pathlib import Path
import discerna
from discerna.commands import evaluate, score
from discerna.settings.build import build
from discerna.settings.score import EvaluateSettings, ScoreSettings
given = dict(model={str(tiny_model.path)!r}, data={str(pictures / "valid")!r}, batch_size=4, device="cpu",
             devices=1, views="one", overwrite=False, registry=None, loading=dict(workers=0, nested=False),
             networks=dict(modules=["tiny_networks"]))
assert score.run(build(ScoreSettings, given | dict(output={str(tmp_path / "s.csv")!r}, format="discerna"))).scored == 11
assert evaluate.run(build(EvaluateSettings, given | dict(output=None))).evaluation.pictures == 11
assert discerna.load(given["model"], device="cpu").predict(sorted(Path(given["data"]).rglob("*.png"))[0])
print(*{{name.split(".")[0] for name in sys.modules}})
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert "torch" in loaded
    banned = {
        "lightning",
        "pytorch_lightning",
        "lightning_fabric",
        "hydra",
        "omegaconf",
        "pyarrow",
        "matplotlib",
    }
    assert not loaded & banned
