"""`priorvae infer`, importable: from a bundle and a table to a directory with the answer."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import jax

from priorvae.areas import Areas, read_areas
from priorvae.areas.boundaries import SUFFIXES
from priorvae.bundles import Bundle, load_bundle
from priorvae.errors import InputError, preview
from priorvae.inference.data import join_by_id, read_table
from priorvae.inference.design import RegressionData, build_data
from priorvae.inference.exact import ExactPrior
from priorvae.inference.maps import geometry_for
from priorvae.inference.output import check_out, write_fit
from priorvae.inference.regression import RegressionPriors
from priorvae.inference.reweighting import correct_fit, require_correctable
from priorvae.inference.sampling import ChainMethod, Fit, fit
from priorvae.processes.base import Gaussian, require_gaussian

__all__ = ["infer", "load_data"]


def infer(
    *,
    bundle: str | Path | Bundle,
    data: str | Path,
    formula: str,
    family: str,
    out: str | Path,
    id: str | None = None,
    areas: str | Path | None = None,
    conditions: Mapping[str, float | str] | None = None,
    num_chains: int = 4,
    num_warmup: int = 1000,
    num_samples: int = 1000,
    chain_method: ChainMethod = "auto",
    target_accept: float = 0.95,
    seed: int = 1,
    exact: bool = False,
    correct: bool = False,
    progress: bool = False,
) -> Fit:
    """Fit a regression with a bundle as its spatial prior, and write the result to a directory.

    Args:
        bundle: Directory of the bundle, or the bundle as loaded from one.
        data: CSV or TSV file, boundary file (its attributes), or `builtin:NAME`.
        formula: For example `deaths ~ poverty + offset(log(births))`.
        family: `poisson` or `binomial`.
        out: Directory to write; must not exist, or be empty.
        id: The data's column of area ids; a built-in knows its own.
        areas: Boundary file for the map; where None, the data's or the bundle's own if they have
            polygons, else the bundle's centroids.
        conditions: Values to fix hyperparameters at, by name; a category, which must be fixed, by
            its label.
        num_chains: Chains.
        num_warmup: Warm-up draws per chain.
        num_samples: Draws kept per chain.
        chain_method: See `priorvae.inference.fit`.
        target_accept: Acceptance probability the step size is adapted to.
        seed: Seed of the sampler.
        exact: Use the process the bundle stands for in place of the decoder.
        correct: Take the decoder's posterior to that of the process by importance weights; see
            `correct_fit`. Where they cannot be relied on, the draws stay the decoder's.
        progress: Whether to show a progress bar.

    Raises:
        InputError: The bundle, data, formula or directory cannot be used; nothing is written.
        RunError: The sampler fails.
    """
    check_out(Path(out))
    _check_counts(chains=num_chains, warmup=num_warmup, samples=num_samples)
    loaded = bundle if isinstance(bundle, Bundle) else load_bundle(bundle)
    _check_layers(loaded)
    process = _require_process(loaded, exact, correct)
    regression = load_data(loaded.area_ids, data, formula=formula, family=family, id=id)
    shapes = _find_map(loaded, data, areas, id)
    geometry_for(shapes, loaded.area_ids)
    result = fit(
        jax.random.key(seed),
        regression,
        ExactPrior(process) if exact and process else loaded,
        priors=RegressionPriors(conditions=tuple((conditions or {}).items())),
        num_warmup=num_warmup,
        num_samples=num_samples,
        num_chains=num_chains,
        chain_method=chain_method,
        target_accept=target_accept,
        progress=progress,
    )
    if correct and process:
        result = correct_fit(jax.random.fold_in(jax.random.key(seed), 1), result, loaded, process)
    record = {
        "bundle": loaded.info.id,
        "certificate": loaded.info.certificate.status,
        "exact": exact,
        "data": str(data),
        "conditions": dict(conditions or {}),
        "seed": seed,
        "num_warmup": num_warmup,
        "target_accept": target_accept,
    }
    write_fit(result, Path(out), areas=shapes, record=record)
    return result


def load_data(
    area_ids: Sequence[str],
    data: str | Path,
    *,
    formula: str,
    family: str,
    id: str | None = None,
) -> RegressionData:
    """Read a table, join it to areas by id, and evaluate a formula on it.

    Raises:
        DataError: The table, the ids or the formula cannot be used.
    """
    table, column = read_table(data, id=id)
    joined = join_by_id(table, column, area_ids, data)
    return build_data(formula, family, joined)


def _require_process(bundle: Bundle, exact: bool, correct: bool) -> Gaussian | None:
    """Return the process a bundle stands for, where it is asked for and can serve."""
    if not (exact or correct):
        return None
    if exact and correct:
        raise InputError(
            "--correct: --exact samples the process itself, and leaves nothing to correct; give "
            "one of the two"
        )
    function = bundle.info.process.function
    if function is not None:
        raise InputError(
            f"{'--exact' if exact else '--correct'}: {bundle.path} stands for the function "
            f"{function.path}, which is known by its draws alone, and exact inference needs a "
            "Gaussian process"
        )
    if correct:
        return require_correctable(bundle, bundle.process())
    return require_gaussian(bundle.process(), "exact inference")


def _check_layers(bundle: Bundle) -> None:
    """Refuse a prior of several values an area: a table joined by area id has one."""
    layers = bundle.info.layers
    if layers is not None:
        raise InputError(
            f"{bundle.path}: a prior over {bundle.num_areas} areas and {len(layers.labels)} "
            f"{layers.name}s ({preview(layers.labels)}), and `priorvae infer` joins one row to "
            "each area; write the model in NumPyro with `priorvae.numpyro.spatial_effect(..., "
            "index=...)`, where position = layer x areas + area"
        )


def _check_counts(**counts: int) -> None:
    for name, value in counts.items():
        if value < 1 or (name == "samples" and value < 4):
            raise InputError(
                f"--{name}: expected at least {4 if name == 'samples' else 1}, got {value}"
            )


def _find_map(bundle: Bundle, data: str | Path, areas: str | Path | None, id: str | None) -> Areas:
    """Return the map to draw on: the one asked for, or the best at hand."""
    if areas is not None:
        return read_areas(areas, id=None if str(areas).startswith("builtin:") else id)
    source = bundle.info.boundary.source
    if source.startswith(("builtin:", "grid:")):
        found = read_areas(source)
        # A bundle of several boundary systems has areas that its main map lacks.
        return found if set(found.ids) >= set(bundle.area_ids) else bundle.areas
    if Path(str(data)).suffix.lower() in SUFFIXES:
        return read_areas(data, id=id)
    return bundle.areas
