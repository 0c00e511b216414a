"""The figures of an evaluation as text for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from discerna.wording import align, counted, shown, width

if TYPE_CHECKING:
    from discerna.results.figures import Evaluation, LabelFigures, Means

WIDTH = 80
"""Of a terminal. Instead of a matrix that is wider, it shows the most frequent confusions."""
SHOWN = 10


def evaluation_table(found: Evaluation) -> str:
    """The overall figures, those of each label, the confusions and what was skipped."""
    parts = [_overall(found), _per_label(found), _matrix(found) or _most_frequent(found)]
    if found.skipped:
        parts.append(_skipped(found))
    return "\n\n".join(parts)


def _overall(found: Evaluation) -> str:
    told = f"accuracy {found.accuracy:.2%}, balanced {found.balanced_accuracy:.2%}, loss {found.loss:.4f}"
    if found.top5 is not None:
        told += f", top-5 {found.top5:.2%}"
    calibration = found.calibration
    lines = [
        f"{told}, {counted(found.pictures, 'picture')}",
        f"mcc {_figure(found.mcc)}, kappa {_figure(found.kappa)}, brier {found.brier:.3f}, "
        f"calibration error {calibration.error:.3f} (max {calibration.max_error:.3f})",
    ]
    if found.auroc_margin:
        lines.append(
            f"auroc is exact within {found.auroc_margin:.1g}: so many probabilities are counted in bins"
        )
    return "\n".join(lines)


def _per_label(found: Evaluation) -> str:
    rows: list[tuple[str, ...]] = [("label", "precision", "recall", "f1", "auroc", "ap", "pictures")]
    rows += [(shown(f.label), *_columns(f), str(f.support)) for f in found.per_label]
    rows.append(("mean", *_columns(found.macro), str(found.pictures)))
    rows.append(("weighted mean", *_columns(found.weighted), str(found.pictures)))
    return align(rows, "<>>>>>>")


def _columns(f: LabelFigures | Means) -> list[str]:
    return [_figure(value) for value in (f.precision, f.recall, f.f1, f.auroc, f.average_precision)]


def _matrix(found: Evaluation) -> str | None:
    """The confusion matrix, its columns named or else numbered; None where it is too wide."""
    if len(found.labels) * len("  .") > WIDTH:
        return None
    names = [shown(label) for label in found.labels]
    numbers = [str(number) for number in range(1, len(names) + 1)]
    numbered = [f"{number} {name}" for number, name in zip(numbers, names, strict=True)]
    for heads, first in [(names, names), (numbers, numbered)]:
        rows = [["true \\ predicted", *heads]]
        for name, counts in zip(first, found.confusion, strict=True):
            rows.append([name, *(str(count) if count else "." for count in counts)])
        matrix = align(rows, "<" + ">" * len(names))
        if max(map(width, matrix.splitlines())) <= WIDTH:
            return matrix
    return None


def _most_frequent(found: Evaluation) -> str:
    wrong = [(count, pair) for pair, count in found.confusions.items() if pair[0] != pair[1]]
    if not wrong:
        return "no confusions"
    wrong.sort(key=lambda item: (-item[0], item[1]))
    rows = [("most frequent confusions: true", "predicted", "pictures")]
    for count, (true, predicted) in wrong[:SHOWN]:
        rows.append((shown(found.labels[true]), shown(found.labels[predicted]), str(count)))
    return align(rows, "<<>")


def _skipped(found: Evaluation) -> str:
    rows = [(shown(name), shown(why)) for name, why in found.skipped[:SHOWN]]
    more = len(found.skipped) - len(rows)
    head = f"{counted(len(found.skipped), 'picture')} cannot be read and count nowhere"
    tail = f"\n  and {more} more" if more else ""
    return f"{head}\n{align(rows, indent='  ')}{tail}"


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
