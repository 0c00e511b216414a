"""Every public door that takes a model, in a process of its own, under a canary.

`python hostile_doors.py FOLDER` makes a good thing of each kind in FOLDER and goes through every door with it, so that
all is imported; says `{"good": {KIND: PATH}, "controls": [NAME]}`; then reads lines `{"kind": ..., "path": ...}` or
`{"control": NAME}`, and answers each with a line of what happened.
"""

import gc
import json
import os
import pickle
import resource
import shutil
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TextIO

TESTS = Path(__file__).parent
sys.path[:0] = [str(TESTS), str(TESTS.parent / "scripts")]

import discerna  # noqa: E402
import discerna.commands.create  # noqa: E402
import discerna.commands.evaluate  # noqa: E402
import discerna.commands.register  # noqa: E402
import discerna.commands.score  # noqa: E402
import tiny_networks  # noqa: E402, F401
from canary import Canary  # noqa: E402
from discerna import commands, environment, launch  # noqa: E402
from discerna.composition import compose  # noqa: E402
from discerna.errors import InvalidModelDirectoryError  # noqa: E402
from discerna.networks.architectures import find  # noqa: E402
from discerna.progress import SILENT  # noqa: E402
from hostile_models import MARKER, MODULE, SECRET, Evaluated, Payload  # noqa: E402
from old_model_dirs import write_old_model  # noqa: E402
from peak_memory import peak_memory  # noqa: E402
from picture_sets import write_pictures  # noqa: E402

MEMORY_LIMIT = 12 << 30
"""Of addresses, beyond what is there when all is imported: a bomb ends this process, and not the machine."""

LABELS = ["blue", "green", "red"]

Doors = dict[str, Callable[[Path], Any]]


def doors(root: Path) -> dict[str, Doors]:
    """What opens a thing of each kind.

    The settings are composed once: all that a command line does with a model is to put its path there.
    """
    made = root / "made"
    data, sides = f"data={root / 'valid'}", [f"train_data={root / 'train'}", f"valid_data={root / 'valid'}"]

    def fresh(settings: Any, key: str, path: Path) -> Any:
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir()
        return replace(settings, **{key: str(path) if key == "model" and settings is train else path})

    score = compose("score", ["model=tiny/", data, f"output={made / 'scores.csv'}", "device=cpu"])
    evaluate = compose("evaluate", ["model=tiny/", data, "device=cpu"])
    register = compose("register", ["model=tiny/", "name=x", f"registry={made / 'registry'}"])
    train = compose(
        "train", ["model=tiny/", *sides, f"output={made / 'm'}", "epochs=1", "trainer.accelerator=cpu"]
    )
    create = compose("create", ["from=tiny/", f"output={made / 'm'}"])

    return {
        "model": {
            "load": lambda m: discerna.load(m, device="cpu"),
            "score": lambda m: commands.score.run(fresh(score, "model", m)),
            "evaluate": lambda m: commands.evaluate.run(fresh(evaluate, "model", m)),
            "register": lambda m: commands.register.run(fresh(register, "model", m)),
            "train": lambda m: launch.train(fresh(train, "model", m), SILENT),
        },
        "run": {"resume": resume},
        "from": {"create": lambda m: commands.create.run(fresh(create, "from_", m))},
    }


def resume(run: Path) -> None:
    """Go on with a run that has not come to its end."""
    shutil.rmtree(run / "model", ignore_errors=True)
    for ended in ("result.json", "published.json"):
        (run / ended).unlink(missing_ok=True)
    launch.train(compose("train", [f"resume={run}"]), SILENT)


def good(root: Path) -> dict[str, Path]:
    """A good thing of each kind."""
    write_pictures(root / "train", dict.fromkeys(LABELS, 4), seed=1)
    write_pictures(root / "valid", dict.fromkeys(LABELS, 2), seed=2)
    discerna.train(
        model="tiny",
        train_data=root / "train",
        valid_data=root / "valid",
        output=root / "good-model",
        epochs=1,
    )
    run = root / "good-run"
    shutil.copytree(root / "good-model.run", run)
    sample = next((root / "train").rglob("*.png"))
    old = write_old_model(root / "good-from", "resnet18", pretrained=False, labels=LABELS, samples=[sample])
    return {"model": root / "good-model", "run": run, "from": old}


def controls(root: Path) -> dict[str, Callable[[], Any]]:
    """What each must make the canary sing."""
    payload, evaluated = pickle.dumps(Payload()), pickle.dumps(Evaluated())
    import ctypes
    import importlib

    import torch

    torch.save({"a": Evaluated()}, root / "payload.pt")

    def fork() -> None:
        if (child := os.fork()) == 0:
            os._exit(0)
        os.waitpid(child, 0)

    def connect() -> None:
        with socket.socket() as one:
            one.settimeout(0.1)
            one.connect(("127.0.0.1", 9))

    return {
        "a pickle that starts a process": lambda: pickle.loads(payload),
        "a pickle that evaluates": lambda: pickle.loads(evaluated),
        "torch.load without weights_only": lambda: torch.load(root / "payload.pt", weights_only=False),
        "a command": lambda: os.system("true"),
        "a process": lambda: subprocess.run(["true"], check=True),
        "a fork": fork,
        "a connection": connect,
        "an evaluated text": lambda: eval("1 + 1"),
        "an executed text": lambda: exec("x = 1"),
        "an imported module": lambda: importlib.import_module(MODULE),
        "a file elsewhere": lambda: (root.parent / "elsewhere").write_text("x"),
        "a file elsewhere by its number": lambda: os.close(
            os.open(root.parent / "elsewhere", os.O_WRONLY | os.O_CREAT)
        ),
        "a folder elsewhere": lambda: (root.parent / "folder").mkdir(),
        "a secret": lambda: (root / SECRET).read_text(),
        "a password file": lambda: Path("/etc/passwd").read_bytes(),
        "a library": lambda: ctypes.CDLL(str(root / "library.so")),
        "memory": lambda: len(bytearray(300 << 20)),
        "nothing": lambda: (root / "inside").write_text("x"),
    }


def resident() -> int:
    """The memory that this process has now, in bytes; its peak begins here."""
    if sys.platform != "linux":
        return peak_memory()
    Path("/proc/self/clear_refs").write_text("5")
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def watched(canary: Canary, act: Callable[[], Any]) -> dict[str, Any]:
    """What an act led to: the class and text of its error, the crimes, its seconds and bytes."""
    gc.collect()
    before, began = resident(), time.monotonic()
    told: dict[str, Any] = {"error": None, "message": ""}
    with canary.armed() as events:
        try:
            act()
        except BaseException as error:
            told = {"error": type(error).__name__, "message": str(error)[:5000], "length": len(str(error))}
    told |= {"seconds": time.monotonic() - began, "bytes": peak_memory() - before, "crimes": events[:5]}
    if (marker := Path(MARKER)).exists():
        told["crimes"].append(MARKER)
        marker.unlink()
    return told


def main(root: Path, answers: TextIO) -> None:
    """Answer until the questions end."""
    warnings.simplefilter("error")  # as pytest has it
    environment.describe = (
        dict  # a training asks git and the drivers what it runs with, whatever the model is
    )
    (root / "here").mkdir()
    (root / "modules").mkdir()
    (root / "modules" / f"{MODULE}.py").write_text(f"open({MARKER!r}, 'w').close()\ndef run(*_, **__): ...\n")
    (root / SECRET).write_text("a secret")
    sys.path.append(str(root / "modules"))
    os.chdir(root / "here")
    things, all_doors, acts = good(root), doors(root), controls(root)
    for kind, path in things.items():
        for door in all_doors[kind].values():
            door(path)
    with suppress(InvalidModelDirectoryError):
        discerna.load(things["from"])
    find("timm/resnet18")
    gc.collect()
    gc.freeze()  # all that was imported: looking through it would take longer than most doors
    canary = Canary(root, [TESTS, Path(discerna.__path__[0])], [MODULE, SECRET])
    used = (
        int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        if sys.platform == "linux"
        else 0
    )
    if used:
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY_LIMIT, used + MEMORY_LIMIT))
    print(
        json.dumps({"good": {kind: str(path) for kind, path in things.items()}, "controls": list(acts)}),
        file=answers,
        flush=True,
    )
    for line in sys.stdin:
        asked = json.loads(line)
        if "control" in asked:
            told = {"control": watched(canary, acts[asked["control"]])}
        else:
            path = Path(asked["path"])
            told = {
                name: watched(canary, partial(door, path)) for name, door in all_doors[asked["kind"]].items()
            }
        print(json.dumps(told), file=answers, flush=True)


if __name__ == "__main__":
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what commands print is no answer
    main(Path(sys.argv[1]), channel)
