"""The figures of the report."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from matplotlib.colors import Normalize, TwoSlopeNorm
from scipy import stats
from scipy.spatial.distance import cdist

from priorvae.config import CertificateConfig
from priorvae.evaluation.calibration import Calibration, RankHistogram
from priorvae.evaluation.drawing import (
    DECODER,
    PROCESS,
    ReportFigure,
    draw_areas,
    finish,
    new_figure,
    positions,
)
from priorvae.evaluation.panels import Panel, layer_panels
from priorvae.evaluation.posterior import HyperFidelity, PosteriorFidelity
from priorvae.evaluation.prior import Decoder, PriorFidelity, moments_of, shortfall
from priorvae.evaluation.targets import build_target, split
from priorvae.processes.base import Layers, Process
from priorvae.processes.conditions import Condition

if TYPE_CHECKING:
    import jax
    from matplotlib.axes import Axes

    from priorvae.areas.types import Areas

__all__ = [
    "View",
    "look",
    "loss_figure",
    "posterior_figures",
    "prior_figures",
    "rank_figure",
    "threshold_figure",
]

PRIOR, TRAINING, POSTERIOR, CALIBRATION = "prior", "training", "posterior", "calibration"
RANK_COLUMNS = 3
"""Histograms of ranks in a row."""
SMALLEST_SHARE = 1e-4
NUM_SHOWN = 3
"""Draws of each side in a row of maps."""
MOST_LAYERS = 9
"""Layers in a grid of maps."""
MOST_MOMENT_DRAWS = 5000
"""Draws behind a covariance that is shown and is not analytic; no more than it was judged by."""


class View(NamedTuple):
    """What is shown of a decoder and its process at one value of the hyperparameters."""

    label: str
    """The hyperparameters in words."""
    actual: np.ndarray
    """Covariance of the decoder `(area, area)`."""
    expected: np.ndarray
    """Covariance of the process `(area, area)`."""
    ours: np.ndarray
    """Draws of the decoder `(draw, area)`."""
    theirs: np.ndarray
    """Draws of the process `(draw, area)`."""


def look(
    key: jax.Array, decoder: Decoder, process: Process, prior: PriorFidelity
) -> tuple[View, ...]:
    """Look at a decoder at the first, middle and last point it was judged at."""
    points = [prior.points[i] for i in sorted({0, len(prior.points) // 2, len(prior.points) - 1})]
    target = build_target(process, prior.mixture)
    num = min(MOST_MOMENT_DRAWS, prior.num_moment_draws)
    conditions = {condition.name: condition for condition in process.conditions}
    views = []
    for point, view_key in zip(points, split(key, len(points)), strict=True):
        ours, theirs, moments_key, target_key = split(view_key, 4)
        moments = moments_of(moments_key, decoder, point.hyper, num)
        expected = target.moments(target_key, point.hyper, num)
        views.append(
            View(
                _in_words(point.hyper, conditions),
                moments.covariance,
                expected.covariance,
                np.asarray(decoder.sample(ours, point.hyper, NUM_SHOWN)),
                target.sample(theirs, point.hyper, NUM_SHOWN),
            )
        )
    return tuple(views)


def _in_words(hyper: Mapping[str, float], conditions: Mapping[str, Condition]) -> str:
    if not hyper:
        return "hyperparameters integrated out"
    return ", ".join(f"{name} {conditions[name].text(v)}" for name, v in hyper.items())


def prior_figures(
    views: Sequence[View], areas: Areas, layers: Layers | None = None
) -> list[ReportFigure]:
    """Return the figures of the prior part: correlations, covariances, sds and draws.

    Args:
        views: What to show.
        areas: The map.
        layers: What is stacked on it, where something is.
    """
    return [
        *(_correlation_figure(_first_layer(view, areas, layers), areas) for view in views),
        *(_draws_figure(view, areas, layers) for view in views),
        *(_heat_maps(view, areas, layers) for view in views),
        _sd_map(max(views, key=lambda view: np.abs(_sd_ratios(view) - 1).max()), areas, layers),
    ]


def _first_layer(view: View, areas: Areas, layers: Layers | None) -> View:
    if layers is None:
        return view
    _, actual, expected, ours, theirs = view
    n = len(areas)
    return View(
        f"{view.label}, {layers.name} {layers.labels[0]}",
        actual[:n, :n],
        expected[:n, :n],
        ours[:, :n],
        theirs[:, :n],
    )


def threshold_figure(prior: PriorFidelity, config: CertificateConfig) -> ReportFigure | None:
    """Show every figure over the hyperparameter, as a share of what its threshold allows."""
    if prior.mixture or len({len(p.hyper) for p in prior.points} | {1}) > 1:
        return None
    name = next(iter(prior.points[0].hyper))
    allowed = {
        "covariance error": ("covariance_error", config.covariance_error),
        "mean sd": ("mean_sd", config.mean_sd),
        "worst sd": ("worst_sd", config.worst_sd),
        "worst mean": ("worst_mean", config.worst_mean),
        "neighbour correlation": ("neighbour_correlation", config.neighbour_correlation),
        "worst neighbours": ("worst_edge", config.worst_edge),
        "Bures-Wasserstein": ("bures_wasserstein", config.bures_wasserstein),
    }
    allowed = {k: v for k, v in allowed.items() if getattr(prior.points[0], v[0]) is not None}
    values = [point.hyper[name] for point in prior.points]
    with new_figure(7.2, 3.8) as (figure, axes):
        for (label, (key, bound)), marker in zip(allowed.items(), "osD^v<>", strict=False):
            shares = [shortfall(key, getattr(p, key)) / bound for p in prior.points]
            axes.plot(values, np.maximum(shares, SMALLEST_SHARE), marker=marker, label=label)
        axes.axhline(1, color=PROCESS, linestyle="--", label="threshold")
        if min(values) > 0 and max(values) > 5 * min(values) and name not in prior.labels:
            axes.set_xscale("log")
        axes.set_xticks(values, [_short(prior.label(name, value)) for value in values])
        axes.set_xticks([], minor=True)
        axes.set(yscale="log", xlabel=name, ylabel="share of what is allowed")
        figure.legend(loc="outside lower center", ncols=3)
        uri = finish(figure)
    worst = max(
        (shortfall(k, getattr(p, k)) / b, label, _short(prior.label(name, p.hyper[name])))
        for label, (k, b) in allowed.items()
        for p in prior.points
    )
    return ReportFigure(
        PRIOR,
        f"Figures over the {name}",
        "Each figure's error divided by its threshold: above the dashed line it fails. "
        f"Logarithmic; shares below {SMALLEST_SHARE:g} are drawn there.",
        f"Lines of {len(allowed)} figures over {len(values)} values of the {name}, as shares of "
        f"their thresholds. The largest share is {worst[0]:.2g}, of {worst[1]} at {worst[2]}.",
        uri,
        wide=True,
    )


def _short(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.3g}"


def _correlations(covariance: np.ndarray) -> np.ndarray:
    sds = np.sqrt(np.diag(covariance))
    return covariance / np.where(sds > 0, sds[:, None] * sds, 1.0)


def _correlation_figure(view: View, areas: Areas) -> ReportFigure:
    places = positions(areas)
    upper = np.triu_indices(len(areas), 1)
    distances = cdist(places, places)[upper]
    order = np.argsort(distances)
    groups = np.array_split(order, min(30, len(order)))
    middle = np.array([distances[g].mean() for g in groups])
    with new_figure(3.8, 3.0) as (figure, axes):
        for covariance, label, colour, line in (
            (view.expected, "process", PROCESS, "-"),
            (view.actual, "decoder", DECODER, "--"),
        ):
            values = _correlations(covariance)[upper]
            low, mean, high = np.array(
                [[*np.quantile(values[g], [0.05, 0.95]), values[g].mean()] for g in groups]
            ).T[[0, 2, 1]]
            axes.fill_between(middle, low, high, color=colour, alpha=0.15, linewidth=0)
            axes.plot(middle, mean, color=colour, linestyle=line, linewidth=2, label=label)
        unit = "distance (km)" if areas.centroids is not None else "distance in the graph's layout"
        axes.set(xlabel=unit, ylabel="correlation", title=view.label)
        axes.legend()
        uri = finish(figure)
    gap = np.abs(_correlations(view.actual) - _correlations(view.expected)).max()
    return ReportFigure(
        PRIOR,
        "Correlation against distance",
        "Mean over pairs of areas at that distance; bands hold 90 % of the pairs. The two lines "
        "should lie on each other.",
        f"Correlation of decoder and process against distance at {view.label}; the largest "
        f"difference over all pairs is {gap:.3g}.",
        uri,
    )


def _draws_figure(view: View, areas: Areas, layers: Layers | None) -> ReportFigure:
    low, high = np.quantile(np.concatenate([view.ours, view.theirs]), [0.005, 0.995])
    around_zero = low < 0 < high
    limit = max(-low, high)
    norm = Normalize(-limit, limit) if around_zero else Normalize(low, high)
    sides = {"process": _fields(view.theirs, layers), "decoder": _fields(view.ours, layers)}
    columns = len(sides["process"])
    with new_figure(*_map_size(areas, 2, columns), 2, columns) as (figure, axes):
        for row, (label, fields) in zip(axes, sides.items(), strict=True):
            for panel, field in zip(row, fields, strict=True):
                shown = draw_areas(
                    panel,
                    areas,
                    field.values,
                    cmap="RdBu_r" if around_zero else "viridis",
                    norm=norm,
                )
                panel.set_title(field.title, loc="left")
            row[0].set_title(", ".join(filter(None, [label, fields[0].title])), loc="left")
        figure.colorbar(shown, ax=axes, shrink=0.7, extend="both", aspect=30)
        uri = finish(figure, "png")
    what = f"{NUM_SHOWN} draws" if layers is None else f"{columns} layers of a draw"
    return ReportFigure(
        PRIOR,
        f"Draws, {view.label}",
        "Upper row from the process, lower row from the decoder, all in the same colours. They "
        "are different draws: compare their smoothness and spread, not their patterns.",
        f"Maps of {what} of the process above {what} of the decoder at {view.label}; sd over the "
        f"map {view.theirs.std():.2f} and {view.ours.std():.2f}.",
        uri,
        wide=True,
    )


def _fields(draws: np.ndarray, layers: Layers | None) -> tuple[Panel, ...]:
    """Several draws of one layer, or several layers of one draw."""
    if layers is None:
        return tuple(Panel("", field) for field in draws)
    return layer_panels(draws[0], layers, NUM_SHOWN)


def _map_size(areas: Areas, rows: int = 2, columns: int = NUM_SHOWN) -> tuple[float, float]:
    """Return the width and height of rows of maps, so that little paper stays empty."""
    spread = np.ptp(positions(areas), axis=0)
    aspect = float(np.clip(spread[1] / max(spread[0], 1e-12), 0.35, 1.6))
    return 7.4, 1.0 + rows * aspect * 6.4 / columns


def _heat_maps(view: View, areas: Areas, layers: Layers | None) -> ReportFigure:
    starts = len(areas) * np.arange(1 if layers is None else len(layers.labels))
    order = (starts[:, None] + _along_the_map(areas)).ravel()
    within = "" if layers is None else f", one {layers.name} after another"
    actual, expected = (m[np.ix_(order, order)] for m in (view.actual, view.expected))
    top = float(expected.max())
    gap = float(np.abs(actual - expected).max())
    with new_figure(7.4, 3.1, 1, 3) as (figure, axes):
        for panel in axes:
            panel.set_axis_off()
        for panel, matrix, label in zip(
            axes, (expected, actual), ("process", "decoder"), strict=False
        ):
            shown = panel.imshow(matrix, vmin=min(0.0, float(expected.min())), vmax=top)
            panel.set_title(label)
        figure.colorbar(shown, ax=axes[:2], shrink=0.75, location="bottom", aspect=40)
        limit = max(gap, 1e-3 * top)
        shown = axes[2].imshow(actual - expected, cmap="RdBu_r", vmin=-limit, vmax=limit)
        axes[2].set_title("decoder - process")
        bar = figure.colorbar(shown, ax=axes[2], shrink=0.75, location="bottom", aspect=20)
        bar.set_ticks([-limit, 0, limit])
        bar.ax.set_xticklabels([f"{-limit:.1g}", "0", f"{limit:.1g}"])
        uri = finish(figure, "png")
    return ReportFigure(
        PRIOR,
        f"Covariance, {view.label}",
        f"Areas in order along the map's longest axis{within}. The difference has its own scale: "
        "structure in it is error, a faint even grain is not.",
        f"Heat maps of the covariance of process and decoder and their difference at {view.label}; "
        f"the largest difference is {gap:.2g}, of a largest covariance of {top:.2g}.",
        uri,
        wide=True,
    )


def _along_the_map(areas: Areas) -> np.ndarray:
    places = positions(areas)
    axis = np.linalg.svd(places - places.mean(0), full_matrices=False)[2][0]
    return np.argsort(places @ axis, kind="stable")


def _sd_ratios(view: View) -> np.ndarray:
    return np.sqrt(np.diag(view.actual) / np.diag(view.expected))


def _sd_map(view: View, areas: Areas, layers: Layers | None) -> ReportFigure:
    ratios = _sd_ratios(view)
    limit = max(0.01, float(np.abs(ratios - 1).max()))
    norm = TwoSlopeNorm(1.0, 1 - limit, 1 + limit)
    layer, worst = divmod(int(np.argmax(np.abs(ratios - 1))), len(areas))
    panels = layer_panels(ratios, layers, MOST_LAYERS, keep=layer)
    columns = min(len(panels), NUM_SHOWN)
    rows = -(-len(panels) // columns)
    width, height = _map_size(areas, rows, columns)
    size = (width, height) if layers else (0.7 * width, 0.5 * height + 1.05)
    with new_figure(*size, rows, columns) as (figure, axes):
        every = np.atleast_1d(axes).ravel()
        for place in every:
            place.set_axis_off()
        for place, panel in zip(every, panels, strict=False):
            shown = draw_areas(place, areas, panel.values, cmap="PuOr", norm=norm)
            place.set_title(panel.title)
        figure.colorbar(shown, ax=axes, shrink=0.8, location="bottom", format="%.3f", aspect=35)
        figure.suptitle(view.label, fontsize=11)
        uri = finish(figure, "png")
    where = f", {layers.name} {layers.labels[layer]}" if layers else ""
    return ReportFigure(
        PRIOR,
        "Marginal sd, decoder over process",
        "Where on the map the decoder is too narrow (below 1) or too wide, at the value shown "
        "where the worst area is furthest off.",
        f"Map of the ratio of marginal sds at {view.label}; it ranges from {ratios.min():.4f} to "
        f"{ratios.max():.4f}, furthest from 1 in area {areas.ids[worst]}{where}.",
        uri,
        wide=layers is not None,
    )


def loss_figure(metrics_path: Path) -> ReportFigure | None:
    """Show the training loss from `metrics.jsonl`, or None where it holds no finite loss."""
    lines = [json.loads(line) for line in metrics_path.read_text().splitlines() if line.strip()]
    pairs = [(r["step"], r["loss"]) for r in lines if isinstance(r.get("loss"), int | float)]
    points = np.array([p for p in pairs if np.isfinite(p[1])], dtype=float)
    if len(points) == 0:
        return None
    steps, losses = points.T
    with new_figure(7.2, 3.2) as (figure, axes):
        axes.plot(steps, losses, color=DECODER, linewidth=1.2)
        # A logarithmic axis has no readable ticks within one decade.
        wide = losses.min() > 0 and losses.max() > 10 * losses.min()
        axes.set(xlabel="step", ylabel="loss", yscale="log" if wide else "linear")
        uri = finish(figure)
    return ReportFigure(
        TRAINING,
        "Loss",
        "It should have levelled off: a curve that still falls asks for more steps.",
        f"Training loss over {len(points)} records, from {losses[0]:.4g} at step {steps[0]:.0f} "
        f"to {losses[-1]:.4g} at step {steps[-1]:.0f}.",
        uri,
        wide=True,
    )


def posterior_figures(fidelity: PosteriorFidelity) -> list[ReportFigure]:
    """Return the figures of the posterior part: means, sds and hyperparameters."""
    areas = fidelity.areas
    means, sds = (areas.mean, areas.exact_mean), (areas.sd, areas.exact_sd)
    return [
        _scatter(*means, "mean", f"correlation {fidelity.correlation:.5f}"),
        _scatter(*sds, "sd", f"mean ratio {fidelity.sd_ratio:.3f}"),
        *(_density(hyper, fidelity.paired) for hyper in fidelity.hyperparameters),
    ]


def rank_figure(calibration: Calibration) -> ReportFigure:
    """Show the ranks of true values among posterior draws, a histogram for each quantity."""
    quantities = calibration.quantities
    columns = min(len(quantities), RANK_COLUMNS)
    rows = -(-len(quantities) // columns)
    with new_figure(2.4 * columns, 2.2 * rows, rows, columns) as (figure, axes):
        every = list(np.atleast_1d(axes).flat)
        for panel in every[len(quantities) :]:
            panel.set_axis_off()
        for panel, quantity in zip(every, quantities, strict=False):
            _draw_ranks(panel, quantity, calibration)
        uri = finish(figure)
    worst = calibration.worst
    return ReportFigure(
        CALIBRATION,
        "Ranks of true values among posterior draws",
        "The line is what equal ranks would give; 99 of 100 bars should end within the band.",
        f"Histograms of ranks of {', '.join(q.name for q in quantities)} over "
        f"{calibration.datasets} data sets; the least uniform is {worst.name}, with p = "
        f"{worst.pvalue:.2g}.",
        uri,
        wide=True,
    )


def _draw_ranks(axes: Axes, quantity: RankHistogram, calibration: Calibration) -> None:
    total, bins = calibration.datasets, len(quantity.counts)
    low, high = stats.binom.ppf([0.005, 0.995], total, 1 / bins)
    axes.axhspan(low, high, color=PROCESS, alpha=0.15, linewidth=0)
    axes.axhline(quantity.expected, color=PROCESS, linestyle="--", linewidth=1)
    axes.stairs(quantity.counts, np.linspace(0, 1, bins + 1), color=DECODER, fill=True, alpha=0.55)
    axes.set(xlim=(0, 1), ylim=(0, None), title=quantity.name, xlabel="rank")
    axes.set_xticks([0, 0.5, 1], ["lowest", "", "highest"])


def _scatter(
    ours: Sequence[float], theirs: Sequence[float], what: str, figure_text: str
) -> ReportFigure:
    with new_figure(3.8, 3.6) as (figure, axes):
        ends = [min(*ours, *theirs), max(*ours, *theirs)]
        axes.plot(ends, ends, color=PROCESS, linewidth=1, linestyle="--")
        axes.scatter(theirs, ours, s=14, color=DECODER, alpha=0.7, edgecolors="none")
        axes.set(xlabel=f"exact posterior {what}", ylabel=f"decoder's posterior {what}")
        axes.set_aspect("equal")
        axes.locator_params(nbins=5)
        axes.ticklabel_format(scilimits=(-2, 4), useMathText=True)
        uri = finish(figure)
    return ReportFigure(
        POSTERIOR,
        f"Posterior {what} of every area",
        f"One point an area; the dashed line is equality. Here: {figure_text}.",
        f"Scatter of the decoder's against the exact posterior {what} of {len(ours)} areas: "
        f"{figure_text}.",
        uri,
    )


def _density(hyper: HyperFidelity, paired: bool) -> ReportFigure:
    name = hyper.name.removeprefix("f_")
    label = f"log {name}" if hyper.scale == "log" else name
    with new_figure(3.8, 3.2) as (figure, axes):
        axes.stairs(
            hyper.exact_density, hyper.edges, fill=True, color=PROCESS, alpha=0.25, label="exact"
        )
        axes.stairs(hyper.density, hyper.edges, color=DECODER, linewidth=2, label="decoder")
        axes.set(xlabel=label, ylabel="posterior density")
        axes.legend()
        uri = finish(figure)
    chance = (
        f" ({hyper.shift_z:+.1f} Monte Carlo standard errors). Two samples of one distribution "
        f"differ this much with p = {hyper.pvalue:.2g}."
    )
    return ReportFigure(
        POSTERIOR,
        f"Posterior of the {name}",
        f"The means differ by {hyper.shift:+.3f} posterior sd{'.' if paired else chance}",
        f"Histograms of {label} under the decoder and exactly; means differ by "
        f"{hyper.shift:.3f} posterior sd.",
        uri,
    )
