"""Use an installed wheel as a stranger would: `python wheel_check.py path/to/discerna`, from an empty directory."""

import subprocess
import sys
from pathlib import Path

from PIL import Image

from discerna.sweeps.page import page


def discerna(*arguments: str) -> str:
    done = subprocess.run([sys.argv[1], *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"discerna {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def write_pictures(root: Path, count: int) -> None:
    for label, colour in (("red", (220, 30, 30)), ("blue", (30, 30, 220))):
        (root / label).mkdir(parents=True)
        for number in range(count):
            shade = tuple(max(0, part - 3 * number) for part in colour)
            Image.new("RGB", (20, 24), shade).save(root / label / f"{number}.png")


write_pictures(Path("train"), 8)
write_pictures(Path("valid"), 3)
print(discerna("--version").strip())
assert "epochs=5" in discerna("train", "--help")
assert "early_stopping:" in discerna("train", "--cfg", "job")
discerna("create", "network=squeezenet1_1", "image_size=32", "output=untrained")
discerna("train", "model=untrained", "train_data=train", "valid_data=valid", "output=model", "epochs=2")
assert len(discerna("score", "model=model", "data=valid").splitlines()) == 7
assert "accuracy" in discerna("evaluate", "model=model", "data=valid")
assert "model.run" in discerna("runs", "list")
assert discerna("register", "model", "name=colours", "alias=production").startswith("colours:1")
assert len(discerna("score", "model=registry:colours@production", "data=valid").splitlines()) == 7
assert page({}).startswith("<!doctype html>")
python = str(Path(sys.argv[1]).with_name("python"))
plugins = "from hydra.core.plugins import Plugins; print(*Plugins.instance().class_name_to_class)"
found = subprocess.run([python, "-c", plugins], capture_output=True, text=True)
assert "DiscernaOptunaSweeper" in found.stdout, found.stderr
print("the wheel works")
