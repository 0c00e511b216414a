"""`discerna demo` writes digits, and never deletes what is not its own."""

import pytest
from PIL import Image

from discerna.commands.demo import run
from discerna.composition import compose
from discerna.errors import MissingExtraError, OutputError


def demo(path, overwrite=False):
    return run(compose("demo", [f"output={path}", f"overwrite={str(overwrite).lower()}"]))


def test_digits(tmp_path):
    result = demo(tmp_path / "digits")
    assert (result.train, result.valid) == (1438, 359)
    assert sorted(p.name for p in (tmp_path / "digits" / "train").iterdir()) == list("0123456789")
    assert len(list((tmp_path / "digits" / "new").iterdir())) == 10
    with Image.open(next((tmp_path / "digits" / "valid" / "3").iterdir())) as picture:
        assert picture.size == (32, 32)
    assert "discerna train model=resnet18" in result.summary()
    with pytest.raises(OutputError, match="overwrite=true"):
        demo(tmp_path / "digits")
    assert demo(tmp_path / "digits", overwrite=True).train == 1438


@pytest.mark.parametrize("own", ["train/rose/precious.jpg", "new/me.png", "train/1/digit1.txt"])
def test_people_s_own_pictures_are_safe(tmp_path, own):
    path = tmp_path / "data" / own
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x")
    with pytest.raises(OutputError, match="choose another output"):
        demo(tmp_path / "data", overwrite=True)
    assert path.exists()


def test_an_output_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError):
        demo(tmp_path / "file" / "below")


def test_without_scikit_learn(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sklearn.datasets", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'discerna\[demo\]'"):
        demo(tmp_path / "digits")
