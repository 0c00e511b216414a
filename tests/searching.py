"""A search as a process of its own: `python searching.py STUDY_DB LOG`, killed and started again by tests."""

import sys
from pathlib import Path

from discerna.settings.sweep import OptunaSettings
from discerna.sweeps.search import OptunaPoints
from discerna.sweeps.space import Choices, Interval, Space

SPACE = Space(
    {"++epochs": "2"},
    {"++x": Interval(-2.0, 2.0), "++n": Interval(1, 64, log=True), "o": Choices(("a", "b"))},
)


def settings(sampler="tpe", seed=1):
    return OptunaSettings(
        name="optuna", parallel=1, repeats=1, max_jobs=1, max_hours=None, sampler=sampler, seed=seed
    )


def value(point):
    chosen = point.varying
    return (float(chosen["x"]) - 1) ** 2 + abs(int(chosen["n"]) - 8) / 64 + (chosen["o"] == "a")


def points(storage, total=16, space=SPACE, mode="min", identity="me", **changed):
    return OptunaPoints(
        space, settings(**changed), total=total, mode=mode, storage=storage, identity=identity
    )


def search(asked):
    """Ask and tell one after the other; every third is pruned, every seventh fails."""
    while (point := asked.ask()) is not None:
        yield point
        ending = "failed" if point.number % 7 == 6 else "pruned" if point.number % 3 == 2 else "done"
        asked.tell(point, ending, value(point), {1: value(point) + 1, 2: value(point)})


if __name__ == "__main__":
    with Path(sys.argv[2]).open("a") as log:
        for proposed in search(points(Path(sys.argv[1]))):
            print(sorted(proposed.varying.items()), file=log, flush=True)
