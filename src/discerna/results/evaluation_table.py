"""The figures of an evaluation as text for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from discerna.wording import align, counted, shown, width

if TYPE_CHECKING:
    from discerna.results.figures import Evaluation, LabelFigures, Means

MATRIX_LIMIT = 20
"""With more labels, the terminal shows the most frequent confusions instead of the matrix."""
HEADS_WIDTH = 80
SHOWN = 10


def evaluation_table(found: Evaluation) -> str:
    """The overall figures, those of each label, the confusions and what was skipped."""
    parts = [_overall(found), _per_label(found)]
    parts.append(_matrix(found) if len(found.labels) <= MATRIX_LIMIT else _most_frequent(found))
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


def _matrix(found: Evaluation) -> str:
    names = [shown(label) for label in found.labels]
    heads = names
    if sum(width(name) + 2 for name in names) > HEADS_WIDTH:
        heads = [str(number) for number in range(1, len(names) + 1)]
        names = [f"{number} {name}" for number, name in zip(heads, names, strict=True)]
    rows = [["true \\ predicted", *heads]]
    for name, counts in zip(names, found.confusion, strict=True):
        rows.append([name, *(str(count) if count else "." for count in counts)])
    return align(rows, "<" + ">" * len(names))


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
