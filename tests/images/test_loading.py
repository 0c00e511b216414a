import pickle
import threading

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from discerna.directories.image_dir import ImageDirectory
from discerna.errors import UnreadablePictureError
from discerna.images.decode import decode
from discerna.images.loading import Batch, PictureDataset, collate, read_here
from discerna.images.preprocessing import fit_picture
from discerna.images.tensors import to_tensor
from discerna.settings.augmentation import AugmentationSettings

STRONG = AugmentationSettings(
    name="strong",
    crop_scale=[0.35, 1.0],
    random_crop=False,
    padding=0.1,
    flip=0.5,
    vertical_flip=0.5,
    rotation=20.0,
    affine=0.1,
    perspective=0.5,
    jitter=0.2,
    grayscale=0.3,
    trivial=True,
    erasing=0.5,
    mixup=0.0,
    cutmix=0.0,
)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Two labels of four pictures in three sizes, and two that cannot be read: cat/3 and dog/0."""
    root = tmp_path_factory.mktemp("pictures")
    draw = np.random.default_rng(0)
    for label in ("cat", "dog"):
        (root / label).mkdir()
        for i, size in enumerate([(20, 30), (40, 25), (33, 33), (20, 30)]):
            Image.fromarray(draw.integers(0, 256, (*size, 3)).astype(np.uint8)).save(
                root / label / f"{i}.png"
            )
    (root / "cat" / "3.png").write_text("text")
    (root / "dog" / "0.png").write_bytes(b"")
    return root


@pytest.fixture
def dataset(root, spec):
    return PictureDataset(ImageDirectory.open(root), spec(), [5, 2], STRONG, seed=1)


def test_sample(dataset, root, spec):
    dataset.augmentation = None
    sample = dataset[0, 1]
    expected = fit_picture(decode(root / "cat" / "1.png"), spec())
    assert (sample.picture.permute(1, 2, 0).numpy() == np.asarray(expected)).all()
    assert (sample.label, sample.index, sample.error) == (5, 1, None)
    assert dataset[0, 6].label == 2
    assert len(dataset) == 8


def test_bad_picture_is_told_not_raised(dataset, root):
    for i, name, reason in ((3, "cat/3.png", "not_an_image"), (4, "dog/0.png", "empty")):
        sample = dataset[0, i]
        assert (sample.picture, sample.index) == (None, i)
        assert (sample.error.reason, sample.error.where) == (reason, str(root / name))
        assert sample.error.__traceback__ is None
        assert sample.error.__context__ is None


def test_unlabelled(root, spec):
    flat = ImageDirectory.open_any(root)
    assert PictureDataset(flat, spec(), [0, 1], None, 1)[0, 0].label == -1
    assert PictureDataset(ImageDirectory.open(root), spec(), None, None, 1)[0, 0].label == -1


def test_augmentation_follows_seed_epoch_and_picture(root, spec):
    index = ImageDirectory.open(root)

    def view(seed, epoch, i):
        return PictureDataset(index, spec(), [0, 1], STRONG, seed)[epoch, i].picture.numpy().tobytes()

    assert view(1, 0, 0) == view(1, 0, 0)
    assert len({view(seed, epoch, 0) for seed in (1, -(10**40)) for epoch in (0, 1, 2)}) == 6


def test_augmentation_differs_between_equal_pictures(root, spec, tmp_path):
    for name in ("a/1.png", "a/2.png", "b/1.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((root / "cat" / "0.png").read_bytes())
    dataset = PictureDataset(ImageDirectory.open(tmp_path), spec(), [0, 1], STRONG, 1)
    assert len({dataset[0, i].picture.numpy().tobytes() for i in range(3)}) == 3


def test_places_go_round(dataset):
    first, again = dataset[0, 6], dataset[0, 14]
    assert (again.index, again.label) == (6, 2)
    assert not torch.equal(first.picture, again.picture)
    assert torch.equal(again.picture, dataset[0, 14].picture)
    assert dataset[0, 3 + 5 * 8].error.reason == "not_an_image"
    dataset.augmentation = None
    assert torch.equal(dataset[0, 6].picture, dataset[0, 14].picture)


def test_each_epoch_has_its_size(root, spec):
    index = ImageDirectory.open(root)
    sizes = {0: 16, 1: 24, 2: 32}
    for augmentation in (STRONG, None):
        full = PictureDataset(index, spec(), [0, 1], augmentation, 1)
        growing = PictureDataset(index, spec(), [0, 1], augmentation, 1, size_of_epoch=sizes.__getitem__)
        assert [growing[epoch, 0].picture.shape for epoch in sizes] == [(3, n, n) for n in sizes.values()]
        assert torch.equal(growing[2, 0].picture, full[2, 0].picture)
    fitted = fit_picture(decode(index.path(0)), spec(size=16, resize=18))
    assert torch.equal(growing[0, 0].picture, to_tensor(fitted))


def test_collate(dataset):
    batch = collate([dataset[0, i] for i in (6, 3, 0, 4)])
    assert (batch.pictures.dtype, batch.pictures.shape) == (torch.uint8, (2, 3, 32, 32))
    assert (batch.labels.tolist(), batch.indices.tolist()) == ([2, 5], [6, 0])
    assert batch.labels.dtype == batch.indices.dtype == torch.int64
    assert [(i, error.reason) for i, error in batch.errors] == [(3, "not_an_image"), (4, "empty")]


def test_collate_without_a_readable_picture(dataset):
    batch = collate([dataset[0, 3]])
    assert (batch.pictures.shape, len(batch.labels), len(batch.indices)) == ((0, 3, 0, 0), 0, 0)
    assert len(batch.errors) == 1


def test_batch_moves_and_survives_pickling(dataset):
    batch = collate([dataset[0, i] for i in (0, 3)])
    moved = batch.to("meta")
    assert {tensor.device.type for tensor in moved[:3]} == {"meta"}
    again = pickle.loads(pickle.dumps(batch))
    assert (again.pictures == batch.pictures).all()
    assert isinstance(again.errors[0][1], UnreadablePictureError)
    assert str(again.errors[0][1]) == str(batch.errors[0][1])


def test_batch_goes_through_lightning_and_pin_memory(dataset, monkeypatch):
    from lightning.fabric.utilities.apply_func import move_data_to_device
    from torch.utils.data._utils.pin_memory import pin_memory

    batch = collate([dataset[0, i] for i in (0, 3)])
    moved = move_data_to_device(batch, torch.device("meta"))
    assert isinstance(moved, Batch)
    assert moved.pictures.device.type == "meta"
    assert moved.errors == batch.errors
    # pinning needs a GPU; what it would do is seen without one
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor, *device: tensor.clone())
    pinned = pin_memory(batch)
    assert isinstance(pinned, Batch)
    assert pinned.pictures.data_ptr() != batch.pictures.data_ptr()
    assert pinned.errors == batch.errors


KEYS = [[(2, i) for i in part] for part in ((7, 0, 3), (1, 4, 2), (5, 6))]


@pytest.mark.parametrize("others", ["two workers", "two threads", "eight threads"])
def test_batches_are_the_same_whoever_reads(dataset, others):
    if others == "two workers":
        read = DataLoader(dataset, batch_sampler=KEYS, num_workers=2, collate_fn=collate)
    else:
        read = read_here(dataset, KEYS, 2 if others == "two threads" else 8)
    for alone, with_workers in zip(read_here(dataset, KEYS, 1), read, strict=True):
        assert isinstance(with_workers, Batch)
        assert (alone.pictures == with_workers.pictures).all()
        assert alone.labels.tolist() == with_workers.labels.tolist()
        assert alone.indices.tolist() == with_workers.indices.tolist()
        assert [(i, str(e)) for i, e in alone.errors] == [(i, str(e)) for i, e in with_workers.errors]


def test_no_thread_is_left_behind_by_who_stops_in_the_midst(dataset):
    reading = read_here(dataset, KEYS, 4)
    next(reading)
    assert any(thread.name.startswith("pictures") for thread in threading.enumerate())
    reading.close()
    assert not any(thread.name.startswith("pictures") for thread in threading.enumerate())


def test_an_error_of_ours_ends_the_reading(dataset):
    def broken(key):
        raise KeyError(key)

    dataset.read = broken
    with pytest.raises(KeyError):
        list(read_here(dataset, KEYS, 4))
    assert not any(thread.name.startswith("pictures") for thread in threading.enumerate())
