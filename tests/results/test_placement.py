"""How many processes score, and where, each choice with its reason."""

import numpy as np
import pytest
import torch

from discerna import machine
from discerna.composition import compose
from discerna.directories.image_dir import ImageDirectory
from discerna.errors import MachineError, SettingsError
from discerna.results.placement import FEW_PICTURES, choose_placement, refuse_devices
from discerna.results.pool import PredictorPool
from discerna.results.predictor import Predictor, Share


def settings(*overrides):
    return compose("score", ["model=m", "data=d", *overrides])


@pytest.fixture
def gpus(monkeypatch):
    """As on a machine with so many GPUs; None is one without."""

    def there_are(count, kind="cuda"):
        monkeypatch.setattr(machine, "gpu_kind", lambda: kind if count else None)
        monkeypatch.setattr(machine, "gpu_name", lambda kind: "a GPU")
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(machine, "cores", lambda: 16)
        monkeypatch.setattr(torch, "get_num_threads", lambda: 16)

    return there_are


def test_one_process_unless_asked(gpus):
    gpus(4)
    found = choose_placement(settings(), 1_000_000)
    assert (found.device.value, found.processes.value, found.workers.value) == ("cuda", 1, 8)
    assert found.told() == "device cuda: found a GPU; 8 workers: 16 cores"


def test_all_gpus(gpus):
    gpus(4)
    found = choose_placement(settings("devices=auto"), FEW_PICTURES + 1)
    assert (found.processes.value, found.threads.value, found.workers.value) == (4, 4, 3)
    assert found.told().startswith(
        "device cuda: found a GPU; 4 processes of 4 threads: all 4 GPUs, 16 cores; "
    )
    few = choose_placement(settings("devices=auto"), FEW_PICTURES)
    assert few.processes.value == 1
    assert f"1 process: {FEW_PICTURES} pictures are scored before another process has started" in few.told()
    assert choose_placement(settings("devices=2"), FEW_PICTURES).processes.value == 2


def test_no_process_without_a_batch(gpus):
    gpus(0)
    found = choose_placement(settings("devices=3", "batch_size=4"), 8)
    assert (found.processes.value, found.processes.reason) == (2, "there are no more batches of 4")
    assert choose_placement(settings("devices=3", "batch_size=4"), 9).processes.value == 3
    assert choose_placement(settings("devices=auto"), 1_000_000).processes.reason == "no GPU to count"


def test_each_process_has_its_part_of_the_cores(gpus, monkeypatch):
    gpus(0)
    assert choose_placement(settings("devices=3"), 999).threads.value == 5
    assert choose_placement(settings("devices=99"), 9999).threads.value == 1
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)  # as OMP_NUM_THREADS=2 makes it
    assert choose_placement(settings("devices=3"), 999).threads.value == 2


def test_which_gpu_a_process_has(gpus, tiny_model):
    gpus(4)

    def of(*overrides):
        found = choose_placement(settings("batch_size=4", *overrides), 12).scorer(tiny_model)
        assert isinstance(found, PredictorPool)
        return found._gpus

    assert of("devices=3") == [0, 1, 2]
    assert of("devices=[3,1]") == [3, 1]
    assert of("devices=[3,1,0,2]") == [3, 1, 0]  # of three batches
    assert of("devices=[2]") == [2]  # one process, but not this one, which may use another GPU
    assert of("devices=2", "device=cpu") == [None, None]
    gpus(0)
    assert isinstance(choose_placement(settings("devices=3"), 12).scorer(tiny_model), Predictor)


@pytest.mark.parametrize(
    ("count", "kind", "overrides", "told"),
    [
        (2, "cuda", ["devices=3"], r"more GPUs than there are: devices=3; torch sees 2; use devices=2"),
        (2, "cuda", ["devices=[0,2]"], r"more GPUs than there are: devices=\[0, 2\]; torch sees 2"),
        (2, "cuda", ["devices=[1,1]"], r"named twice, or none: devices=\[1, 1\]; name each once"),
        (
            0,
            None,
            ["devices=[0,1]"],
            r"no GPU was found: devices=\[0, 1\]; .*; use devices=2 for 2 processes",
        ),
        (1, "mps", ["devices=2"], r"Apple's GPU serves one process: devices=2; use devices=1"),
        (1, "mps", ["devices=[1]"], r"Apple's GPU serves one process"),
        (0, None, ["devices=2", "device=cuda"], r"device=cuda; torch sees no GPU"),
    ],
)
def test_devices_that_are_not_there(gpus, count, kind, overrides, told):
    gpus(count, kind)
    with pytest.raises(MachineError, match=told):
        refuse_devices(settings(*overrides))


def test_values():
    with pytest.raises(SettingsError, match=r"CPUs have no numbers: devices=\[0, 1\]; .*; use devices=2"):
        settings("device=cpu", "devices=[0,1]")
    for wrong in ("0", "-1", "all"):
        with pytest.raises(SettingsError, match=rf"wrong value: devices={wrong}; it is a whole number, 1 or"):
            settings(f"devices={wrong}")


def test_shares_are_whole_batches(tiny_model, mixed_pictures):
    predictor, index = Predictor.of(tiny_model, device="cpu"), ImageDirectory.open_any(mixed_pictures)
    whole = list(predictor.stream(index, batch_size=2, workers=0))
    for number in range(3):
        share = list(predictor.stream(index, batch_size=2, workers=0, share=Share(number, 3)))
        assert [batch.indices for batch in share] == [batch.indices for batch in whole[number::3]]
        for mine, same in zip(share, whole[number::3], strict=True):
            assert np.array_equal(mine.probabilities, same.probabilities)
    assert list(predictor.stream(index, batch_size=8, workers=0, share=Share(2, 3))) == []
