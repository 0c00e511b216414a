"""All about one run, for people."""

from __future__ import annotations

from discerna.resumption import command
from discerna.runs.listing import cell, local
from discerna.runs.run import Run
from discerna.wording import align, as_typed, shown

_METRICS = ("epoch", "train_loss", "valid_loss", "valid_accuracy", "valid_top5", "learning_rate")


def describe(run: Run) -> str:
    """State, figures, data, place, and a line for each epoch."""
    parts = [align(_facts(run))]
    epochs = run.epochs()
    if epochs:
        names = [name for name in _METRICS if any(name in row for row in epochs)]
        lines = [[_figure(name, row.get(name)) for name in names] for row in epochs]
        parts.append(align([[*names], *lines], ">" * len(names)))
    return "\n\n".join(parts)


def _facts(run: Run) -> list[tuple[str, str]]:
    rows = [
        ("run", shown(as_typed(run.path))),
        ("state", run.state + (f": {shown(run.reason)}" if run.reason and run.reason != run.state else "")),
        ("experiment", cell(run, "experiment_name")),
        ("model", cell(run, "model")),
        ("began", f"{cell(run, 'began')}, took {cell(run, 'time')}"),
    ]
    if run.value("ended"):
        rows.append(("ended", local(run.value("ended"))))
    for where in ("train_data", "valid_data"):
        side = run.pictures.get(where) or {}
        told = (
            f"{side.get('used')} of {side.get('found')} pictures, {str(side.get('fingerprint', ''))[:12]}"
            if side
            else ""
        )
        rows.append((where, ", ".join(filter(None, (shown(str(run.value(where))), told)))))
    figures = [f"{name} {cell(run, name)}" for name in ("accuracy", "balanced_accuracy", "loss", "top5")]
    told = ", ".join(text for text in figures if not text.endswith(" -"))
    if told:
        rows.append(("validation", f"{told} (best epoch {run.value('best_epoch')})"))
    for name in ("recipe", "learning_rate", "batch_size", "random_seed"):
        rows.append((name, cell(run, name)))
    git = run.environment.get("git")
    if git:
        told = " + changes" if git.get("dirty") else ""
        rows.append(("git", f"{git['commit'][:12]}{told} ({git.get('branch') or 'no branch'})"))
    machine = run.environment.get("machine") or {}
    if machine:
        gpu = machine.get("gpu")
        told = "no GPU" if gpu in (None, "none") else str(gpu)
        rows.append(("machine", shown(f"{machine.get('processor', '?')}, {told}")))
    missing = "not yet" if run.state == "running" else "none"
    rows.append(("trained model", shown(as_typed(run.output)) if run.output else missing))
    kept = run.folder.checkpoints
    if run.state != "finished" and kept.is_dir() and any(kept.iterdir()):
        rows.append(("checkpoints", shown(as_typed(kept))))
    if run.state not in ("finished", "stopped early", "running") and run.folder.has_checkpoint():
        rows.append(("to go on", command(run.path)))
    return rows


def _figure(name: str, value: float | None) -> str:
    if value is None:
        return "-"
    if name == "epoch":
        return str(int(value))
    return f"{value:.2%}" if name in ("valid_accuracy", "valid_top5") else f"{value:.4g}"
