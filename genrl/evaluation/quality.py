"""The quality report: a synthetic data set beside the real one, before anything is trained on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torch import Tensor

from genrl.data.columns import Columns
from genrl.data.copying import Copying, copying, cross_copying
from genrl.data.episodes import Episodes
from genrl.evaluation import plots
from genrl.evaluation.fidelity import fidelity
from genrl.evaluation.recorded import elsewhere, named
from genrl.evaluation.report import Report

HORIZON = 16


def quality_report(
    real: Episodes, synthetic: Episodes, path: Path | str, held_out: Episodes | None = None, horizon: int = HORIZON
) -> Path:
    """Write one HTML file: summary, trajectories, marginals, correlations, returns, nearest real neighbours.

    Args:
        real: the data that ``synthetic`` was learned from.
        synthetic: a data set with the same spaces.
        path: of the file, replaced if it exists.
        held_out: real episodes that no model saw. Without them the real episodes take turns, see ``cross_copying``.
        horizon: steps of the windows compared with their nearest neighbours, fewer where episodes are shorter.

    Returns:
        The path of the file.

    Raises:
        AlignmentError: the two data sets have different spaces.
    """
    compared = fidelity(real, synthetic)
    measured = _copying(real, synthetic, held_out, horizon)
    one, other = real.card.dataset_id or "the real data", synthetic.card.dataset_id or "The synthetic data"
    report = Report(f"{other} beside {one}")
    report.text(
        "Distances between the two are Wasserstein-1 distances: how far, on average, "
        "values must be moved to turn one distribution into the other; 0 means that the two agree."
    )
    if elsewhere(real.card, synthetic.card):
        report.warning(f"Of different environments: {named(real.card)}, and {named(synthetic.card)}.")
    if measured is not None and (message := measured.excess()):
        report.warning(message)
    report.table(_sizes(real, synthetic), "What the two data sets hold.", ("", "real", "synthetic"))
    rows = [*compared.rows(), *(measured.rows() if measured is not None else ())]
    report.table(rows, "How far the synthetic data are from the real ones.", ("measure", "value"))
    _trajectories(report, real, synthetic)
    report.heading("Marginals").figure(
        plots.marginals(real, synthetic),
        f"Every variable of observation and action, and the reward (the first {plots.MOST_PANELS} of them). The grey "
        "figure is the distance of the two: in real standard deviations, for a choice the share of rows that differ.",
    )
    report.heading("Correlations").figure(plots.correlations(compared), "Pearson correlations between the columns.")
    report.heading("Returns and lengths").figure(
        plots.returns(real, synthetic), "Undiscounted returns and lengths of episodes; dashed: means."
    )
    _neighbours(report, measured)
    return report.write(path)


def _trajectories(report: Report, real: Episodes, synthetic: Episodes) -> None:
    report.heading("Trajectories")
    columns = Columns.of_observations(real)
    if columns.left_out:
        report.text(f"Images are left out of everything here: {', '.join(columns.left_out)}.")
    if columns.names:
        report.figure(plots.trajectories({"real": real, "synthetic": synthetic}), "Trajectories in the same plane.")


def _neighbours(report: Report, measured: Copying | None) -> None:
    report.heading("Nearest real neighbours")
    if measured is None:
        report.text("Not measured: too few real episodes to hold any out.")
        return
    report.figure(
        plots.neighbours(measured),
        "How far windows are from the nearest training window. A curve left of the held-out one means that the "
        "synthetic data keep closer to the training data than new real data do; a jump at zero means copies.",
    )


def _copying(real: Episodes, synthetic: Episodes, held_out: Episodes | None, horizon: int) -> Copying | None:
    """The copying measure; None where no real episode can be held out."""
    others = (synthetic,) if held_out is None else (synthetic, held_out)
    horizon = min(horizon, int(real.lengths.median()), *(int(data.lengths.max()) for data in others))
    if held_out is not None:
        return copying(real, held_out, synthetic, horizon)
    return None if len(real) < 2 else cross_copying(real, synthetic, horizon)


def _sizes(real: Episodes, synthetic: Episodes) -> list[tuple[str, str, str]]:
    def row(name: str, value: Callable[[Episodes], str]) -> tuple[str, str, str]:
        return name, value(real), value(synthetic)

    return [
        row("episodes", lambda data: f"{len(data):,}"),
        row("transitions", lambda data: f"{data.num_transitions:,}"),
        row("length in steps, mean ± std", lambda data: _spread(data.lengths.double())),
        row("return, mean ± std", lambda data: _spread(data.returns)),
        row("episodes that terminate", lambda data: f"{100 * data.terminations.sum().item() / len(data):.1f} %"),
    ]


def _spread(values: Tensor) -> str:
    return f"{values.mean():.2f} ± {values.std(correction=0):.2f}"
