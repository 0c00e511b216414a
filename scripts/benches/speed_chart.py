"""The chart of docs/performance.md."""

from __future__ import annotations

from pathlib import Path

PARTS = {
    "train": ("discerna", "#1f6feb"),
    "lightning": ("plain Lightning", "#8b949e"),
    "plain": ("plain PyTorch", "#c9d1d9"),
}


def draw(rates: dict[str, dict[str, float]], ceiling: float, place: Path) -> None:
    """Bars of each loop's rate, as a share of what the network alone does."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 0.95 * len(rates) + 1.1), dpi=150)
    height = 0.27
    for place_in_group, (part, (name, colour)) in enumerate(PARTS.items()):
        shares = [kind[part] / ceiling for kind in rates.values()]
        spots = [number + (place_in_group - 1) * height for number in range(len(rates))]
        axes.barh(spots, shares, height * 0.92, label=name, color=colour)
        for spot, share in zip(spots, shares, strict=True):
            ink = "white" if part == "train" else "#24292f"
            axes.text(share - 0.01, spot, f"{share:.2f}", va="center", ha="right", fontsize=8, color=ink)
    axes.axvline(1, color="#24292f", linewidth=1)
    axes.text(0.99, -0.5, "the network alone, as discerna computes", ha="right", va="bottom", fontsize=8)
    axes.set_yticks(range(len(rates)), list(rates))
    axes.set_ylim(len(rates) - 0.5, -0.75)
    axes.set_xlim(0, 1.12)
    axes.set_xlabel("pictures a second from the second epoch, as a share of the ceiling")
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0)
    figure.tight_layout(rect=(0, 0, 1, 0.95))
    figure.legend(loc="upper center", ncol=len(PARTS), frameon=False, fontsize=8)
    figure.savefig(place)
