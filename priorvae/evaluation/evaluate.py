"""Evaluate a bundle: measure it against its process, and judge it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from priorvae.bundles import Bundle
from priorvae.config import CertificateConfig
from priorvae.evaluation.certificate import certify
from priorvae.evaluation.document import Evaluation
from priorvae.evaluation.prior import PriorFidelity, evaluate_prior
from priorvae.evaluation.targets import split
from priorvae.objectives import reference_decoder
from priorvae.processes.base import Gaussian, Process

if TYPE_CHECKING:
    import jax

__all__ = ["evaluate_bundle"]

MOMENT_DRAWS = 20
"""Draws behind moments that are not analytic, for each draw of the two-sample tests."""

LARGEST_REFERENCE = 1500
"""Areas beyond which the analytic reference decoder takes minutes to build."""


def evaluate_bundle(
    bundle: Bundle,
    process: Process,
    config: CertificateConfig,
    *,
    seed: int,
    even_if_failed: bool = True,
) -> Evaluation:
    """Measure a bundle against the process it stands for, and judge it.

    Args:
        bundle: The bundle.
        process: That process.
        config: What to measure and the thresholds; the posterior's part where it names data, and
            calibration where it asks for it.
        seed: Seed of the draws, the permutations and the sampler.
        even_if_failed: Whether to go on to posteriors where the prior has failed already.

    Raises:
        ProcessError: Posteriors are asked for, and the process has no exact one; or calibration,
            and a hyperparameter is a category.
    """
    import jax

    prior_key, posterior_key = split(jax.random.key(seed))
    start = time.perf_counter()
    prior = _measure_prior(prior_key, bundle, process, config)
    seconds = {"prior": time.perf_counter() - start}
    posterior = None
    wanted = even_if_failed or certify(prior, None, config).passed
    if config.posterior is not None and wanted:
        from priorvae.evaluation.comparison import posterior_fidelity, require_comparable

        start = time.perf_counter()
        exact = require_comparable(process)
        posterior = posterior_fidelity(posterior_key, bundle, exact, config.posterior)
        seconds["posterior"] = time.perf_counter() - start
    calibration = None
    if config.calibration is not None and wanted:
        from priorvae.evaluation.calibration import calibrate

        start = time.perf_counter()
        calibration_key = jax.random.fold_in(jax.random.key(seed), 2)
        calibration = calibrate(calibration_key, bundle, process, config.calibration)
        seconds["calibration"] = time.perf_counter() - start
    certificate = certify(prior, posterior, config, calibration)
    return Evaluation(prior, posterior, certificate, seconds, calibration)


def _measure_prior(
    key: jax.Array, bundle: Bundle, process: Process, config: CertificateConfig
) -> PriorFidelity:
    return evaluate_prior(
        key,
        bundle,
        process,
        num_conditions=config.num_conditions,
        num_draws=config.num_draws,
        num_moment_draws=MOMENT_DRAWS * config.num_draws,
        reference=_reference(bundle, process),
    )


def _reference(bundle: Bundle, process: Process) -> Bundle | None:
    """Return the analytic decoder of a bundle's process, as a bundle, where it is a yardstick."""
    apart = bundle.info.type != "reference" and bool(bundle.conditions)
    if not apart or not isinstance(process, Gaussian) or process.size > LARGEST_REFERENCE:
        return None
    decoder, weights = reference_decoder(process)
    changed = {"decoder": decoder.records(), "latent_dim": decoder.latent_dim}
    info = bundle.info.model_copy(update=changed)
    return Bundle(info, bundle.areas, weights, arrays=bundle.arrays)
