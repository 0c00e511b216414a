"""Results as Markdown: rows are recipes, columns are picture sets, cells are means over seeds with their spread."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from statistics import mean, stdev

from benches.jobs import Line

Cells = dict[tuple[str, str], list[Line]]
"""(recipe, set) -> a line for each seed."""


def tables(lines: Sequence[Line], recipes: Sequence[str], sets: Sequence[str]) -> str:
    """All tables that the lines give, in the order of `recipes` and `sets`: one for each model and number of epochs."""
    fresh, outdated = newest([line for line in lines if line["recipe"] in recipes and line["set"] in sets])
    groups: dict[tuple[str, str, int], list[Line]] = defaultdict(list)
    for line in fresh:
        groups[line["network"], str(line["image_size"]), line["epochs"]].append(line)
    parts = []
    for (network, size, epochs), group in sorted(groups.items()):
        seeds = sorted({line["seed"] for line in group})
        pixels = "" if size == "None" else f", {size} pixels"
        head = f"{network}{pixels}, epochs={epochs}, seeds {', '.join(map(str, seeds))}"
        cells: Cells = defaultdict(list)
        for line in group:
            cells[line["recipe"], line["set"]].append(line)
        rows = [name for name in recipes if any(recipe == name for recipe, _ in cells)]
        columns = [name for name in sets if any(of == name for _, of in cells)]
        parts.append(f"Accuracy in %, {head}:\n\n{accuracies(cells, rows, columns, len(seeds))}")
        parts.append(f"Log-loss, {head}:\n\n{losses(cells, rows, columns, len(seeds))}")
    if not parts:
        return "no results yet"
    parts += [_origin(fresh)]
    if outdated:
        parts.append(
            f"{outdated} older results are left out: their recipe or their pictures have changed since."
        )
    return "\n\n".join(parts)


def newest(lines: Iterable[Line]) -> tuple[list[Line], int]:
    """The lines that may stand in one table, and how many may not.

    Of a set, the pictures of its newest line; of a recipe on it, the settings of the newest such line; of a job done
    twice, the newer.
    """
    ordered = list(lines)  # the file grows at its end
    pictures = {line["set"]: line["fingerprint"] for line in ordered}
    of_newest = [line for line in ordered if line["fingerprint"] == pictures[line["set"]]]

    def place(line: Line) -> tuple[object, ...]:
        return line["set"], line["recipe"], line["epochs"], line["network"], line["image_size"]

    settings = {place(line): line["settings_hash"] for line in of_newest}
    kept = {
        (*place(line), line["seed"]): line
        for line in of_newest
        if line["settings_hash"] == settings[place(line)]
    }
    return list(kept.values()), len(ordered) - len(kept)


def accuracies(cells: Cells, recipes: Sequence[str], sets: Sequence[str], seeds: int) -> str:
    """The table of accuracies, with their mean over the sets and the mean rank among the recipes."""
    ranks = mean_ranks(cells, recipes, sets)

    def last(recipe: str) -> list[str]:
        over_sets = _over_sets(cells, recipe, sets, "accuracy")
        rank = ranks.get(recipe)
        return [_number(over_sets, 100, 1), _number(rank, 1, 2)]

    return _table(cells, recipes, sets, seeds, "accuracy", 100, 1, ["mean", "rank"], last)


def losses(cells: Cells, recipes: Sequence[str], sets: Sequence[str], seeds: int) -> str:
    """The table of log-losses, with their mean over the sets."""

    def last(recipe: str) -> list[str]:
        return [_number(_over_sets(cells, recipe, sets, "loss"), 1, 3)]

    return _table(cells, recipes, sets, seeds, "loss", 1, 3, ["mean"], last)


def mean_ranks(cells: Cells, recipes: Sequence[str], sets: Sequence[str]) -> dict[str, float]:
    """The mean over the sets of each recipe's place by accuracy, 1 the best; equal ones share a place.

    Only recipes with a result on every set are ranked.
    """
    whole = [name for name in recipes if _over_sets(cells, name, sets, "accuracy") is not None]
    places: dict[str, list[float]] = defaultdict(list)
    for of in sets:
        reached = {name: _mean(cells[name, of], "accuracy") or 0 for name in whole}
        for name, accuracy in reached.items():
            better = sum(other > accuracy for other in reached.values())
            equal = sum(other == accuracy for other in reached.values())
            places[name].append(better + (equal + 1) / 2)
    return {name: mean(found) for name, found in places.items()}


def _table(
    cells: Cells,
    recipes: Sequence[str],
    sets: Sequence[str],
    seeds: int,
    figure: str,
    times: float,
    digits: int,
    heads: Sequence[str],
    last: Callable[[str], list[str]],
) -> str:
    rows = [["recipe", *sets, *heads], ["---", *["--:"] * (len(sets) + len(heads))]]
    for recipe in recipes:
        found = [_cell(cells.get((recipe, of), []), figure, times, digits, seeds) for of in sets]
        rows.append([f"`{recipe}`", *found, *last(recipe)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cell(lines: Sequence[Line], figure: str, times: float, digits: int, seeds: int) -> str:
    """Mean ± sample standard deviation over the seeds; how many where it is not all."""
    if not lines:
        return "-"
    if any(line["accuracy"] is None for line in lines):
        return "diverged"
    values = [line[figure] * times for line in lines]
    text = f"{mean(values):.{digits}f}"
    if len(values) > 1:
        text += f" ± {stdev(values):.{digits}f}"
    return text if len(values) == seeds else f"{text} (n={len(values)})"


def _mean(lines: Sequence[Line], figure: str) -> float | None:
    if not lines or any(line["accuracy"] is None for line in lines):
        return None
    return float(mean(line[figure] for line in lines))


def _over_sets(cells: Cells, recipe: str, sets: Sequence[str], figure: str) -> float | None:
    """The mean over the sets, each counting the same; None where one is missing."""
    found = [_mean(cells.get((recipe, of), []), figure) for of in sets]
    known = [value for value in found if value is not None]
    return mean(known) if len(known) == len(sets) else None


def _number(value: float | None, times: float, digits: int) -> str:
    return "-" if value is None else f"{value * times:.{digits}f}"


def _origin(lines: Sequence[Line]) -> str:
    """What made the results: never several versions without a word."""
    versions = Counter(
        f"discerna {line['version']}, torch {line['torch']}, {line.get('trainer', 'cpu')}" for line in lines
    )
    told = "; ".join(f"{count} trainings by {name}" for name, count in versions.most_common())
    return told + ("" if len(versions) == 1 else " - **versions are mixed**")
