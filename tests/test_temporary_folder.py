"""A temporary folder with a long path: batches of a loader's workers come through a socket in it."""

import pytest


@pytest.mark.parametrize("length", [pytest.param(90, marks=pytest.mark.slow), 150])
def test_batches_arrive_whatever_the_temporary_folder(discerna, pictures, tmp_path, length):
    folder = tmp_path / "a"
    while len(str(folder)) < length:
        folder /= "a" * min(40, length - len(str(folder)))
    folder.mkdir(parents=True)
    discerna(
        "train", "model=tiny", "networks.modules=[tiny_networks]", f"train_data={pictures / 'train'}",
        f"valid_data={pictures / 'valid'}", "output=m", "epochs=1", "loading.workers=1", "trainer=cpu",
        TMPDIR=str(folder),
    )  # fmt: skip
    discerna(
        "score", "model=m", "networks.modules=[tiny_networks]", f"data={pictures / 'valid'}", "output=s.csv",
        "device=cpu", "loading.workers=1", "batch_size=4", TMPDIR=str(folder),
    )  # fmt: skip
    assert list(folder.iterdir()) == []
