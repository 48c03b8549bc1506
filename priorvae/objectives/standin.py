"""A Gaussian field that, put through a function, has the moments of a process: where to start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, final

import numpy as np
from scipy.special import logit

from priorvae.errors import ProcessError, preview
from priorvae.processes.aggregated import TransformedAggregate
from priorvae.processes.base import Gaussian, Hyper, Process
from priorvae.processes.finite import in_words
from priorvae.processes.samplers import build_sampler

__all__ = ["StandIn", "StandInMoments"]


class StandInMoments(NamedTuple):
    """Mean and covariance of the Gaussian field."""

    mean: np.ndarray
    """Shape `(size,)`, float64."""
    covariance: np.ndarray
    """Shape `(size, size)`, float64; positive semi-definite but for rounding."""


@final
@dataclass(frozen=True, eq=False)
class StandIn:
    """A Gaussian `h(theta)` with `output(h)` close to a process.

    - A Gaussian process stands for itself.
    - For `exp` and a process whose mean m and covariance C are known, `h` is the one with these
      moments after the exponential: covariance `log(1 + C_ij / m_i m_j)` and mean
      `log m_i - Var_i / 2`. A sum of lognormals is close to such a lognormal (Fenton 1960, The sum
      of log-normal probability distributions in scatter transmission systems, IRE Transactions on
      Communications Systems 8).
    - Otherwise it has the mean and covariance of the process's draws put through the inverse of
      `output`: the same keys at every theta, so that chance varies as smoothly as they do.

    Attributes:
        process: What it stands for.
        output: `identity`, `exp`, `softplus` or `sigmoid`.
        num_draws: Draws, where moments come from them.
    """

    process: Process
    output: str
    num_draws: int

    @property
    def exact(self) -> bool:
        """Whether moments have a closed form."""
        process = self.process
        if isinstance(process, TransformedAggregate):
            return self.output == process.nonlinearity == "exp"
        return isinstance(process, Gaussian) and self.output == "identity"

    def moments(self, hyper: Hyper) -> StandInMoments:
        """Return the moments at given hyperparameters.

        Raises:
            ProcessError: Draws are not finite, or outside the range of `output`.
        """
        process = self.process
        if isinstance(process, Gaussian):
            return StandInMoments(np.zeros(process.size), process.covariance(hyper))
        if self.exact:
            assert isinstance(process, TransformedAggregate)
            known = process.moments(hyper)
            assert known is not None
            covariance = np.log1p(known.covariance / np.outer(known.mean, known.mean))
            return StandInMoments(np.log(known.mean) - np.diag(covariance) / 2, covariance)
        inner = self._inverse(self._draws(hyper), hyper)
        return StandInMoments(inner.mean(axis=0), np.cov(inner, rowvar=False))

    def _draws(self, hyper: Hyper) -> np.ndarray:
        import jax

        columns = {name: np.full(self.num_draws, value) for name, value in hyper.items()}
        sampler = build_sampler(self.process)
        return np.asarray(sampler.sample(jax.random.key(0), columns, self.num_draws), np.float64)

    def _inverse(self, fields: np.ndarray, hyper: Hyper) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            match self.output:
                case "exp":
                    inner = np.log(fields)
                case "softplus":
                    inner = fields + np.log(-np.expm1(-fields))
                case "sigmoid":
                    inner = logit(fields)
                case _:
                    inner = fields
        outside = np.flatnonzero(~np.isfinite(inner).all(axis=0))
        if len(outside) > 0:
            span = "between 0 and 1" if self.output == "sigmoid" else "above 0"
            raise ProcessError(
                f"{self.process.kind}: model.output {self.output} is for values {span}, and "
                f"{preview(self.process.sites[i] for i in outside)} had others, with "
                f"{in_words(self.process.all_hyper(hyper))}; use another output"
            )
        return inner
