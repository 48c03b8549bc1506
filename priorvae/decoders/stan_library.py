"""What decoders in Stan are made of: one small function for each thing a layer does.

Written for Stan 2.21 and later: no arrays, no overloading, no functions that came after it.
"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["LIBRARY", "Function"]


class Function(NamedTuple):
    """A Stan function."""

    source: str
    """Its definition; its name and those it calls begin with `nn_`."""
    calls: tuple[str, ...]
    """Names, without `nn_`, of the library's functions it calls."""


_SOURCES = """
// Positions of conditions in [-1, 1] on their own scale. Old versions of Stan take a function whose
// name ends with _log for a density.
real nn_identity_unit(real value, real low, real high) {
  return 2 * (value - low) / (high - low) - 1;
}

real nn_log_unit(real value, real low, real high) {
  return 2 * (log(value) - log(low)) / (log(high) - log(low)) - 1;
}

real nn_log1m_unit(real value, real low, real high) {
  return 2 * (log1m(value) - log1m(low)) / (log1m(high) - log1m(low)) - 1;
}

real nn_arcsine_unit(real value, real low, real high) {
  return 2 * (asin(sqrt(value)) - asin(sqrt(low))) / (asin(sqrt(high)) - asin(sqrt(low))) - 1;
}

real nn_asin_unit(real value, real low, real high) {
  return 2 * (asin(value) - asin(low)) / (asin(high) - asin(low)) - 1;
}

// A category 0, ..., high is the Chebyshev node of its number.
real nn_category_unit(real value, real low, real high) {
  return cos(pi() * (value + 0.5) / (high + 1));
}

// T_0(u), ..., T_{size - 1}(u).
row_vector nn_chebyshev(real u, int size) {
  row_vector[size] basis = rep_row_vector(1, size);
  if (size > 1) basis[2] = u;
  for (k in 3:size) basis[k] = 2 * u * basis[k - 1] - basis[k - 2];
  return basis;
}

// All products a[i] b[j], j running fastest.
row_vector nn_outer(row_vector a, row_vector b) {
  return to_row_vector(b' * a);
}

vector nn_linear(vector x, matrix kernel) {
  return (x' * kernel)';
}

matrix nn_linear_rows(matrix x, matrix kernel) {
  return x * kernel;
}

vector nn_affine(vector x, matrix kernel, vector bias) {
  return (x' * kernel)' + bias;
}

matrix nn_affine_rows(matrix x, matrix kernel, vector bias) {
  return x * kernel + rep_matrix(bias', rows(x));
}

vector nn_times(vector x, row_vector factor) {
  return x .* factor';
}

matrix nn_times_rows(matrix x, row_vector factor) {
  return x .* rep_matrix(factor, rows(x));
}

vector nn_film(vector x, row_vector factor, row_vector shift) {
  return x .* factor' + shift';
}

matrix nn_film_rows(matrix x, row_vector factor, row_vector shift) {
  return x .* rep_matrix(factor, rows(x)) + rep_matrix(shift, rows(x));
}

// sum_r mix[r] M_r' x, the M_r stacked one below the other.
vector nn_mixture(vector x, row_vector mix, matrix kernels) {
  return (to_row_vector(x * mix) * kernels)';
}

vector nn_relu(vector x) {
  vector[rows(x)] y;
  for (i in 1:rows(x)) y[i] = fmax(x[i], 0);
  return y;
}

vector nn_elu(vector x) {
  vector[rows(x)] y;
  for (i in 1:rows(x)) y[i] = x[i] > 0 ? x[i] : expm1(x[i]);
  return y;
}

vector nn_tanh(vector x) {
  return tanh(x);
}

vector nn_gelu(vector x) {
  return 0.5 * x .* (1 + tanh(sqrt(2 / pi()) * (x + 0.044715 * x .* x .* x)));
}

vector nn_sigmoid(vector x) {
  return inv_logit(x);
}

vector nn_softplus(vector x) {
  return log1p_exp(x);
}

vector nn_sin(vector x) {
  return sin(x);
}

vector nn_exp(vector x) {
  return exp(x);
}

vector nn_standardise(vector x) {
  vector[rows(x)] centred = x - mean(x);
  return centred / sqrt(dot_self(centred) / rows(x) + 1e-6);
}

vector nn_layer_norm(vector x, vector factor, vector shift) {
  return nn_standardise(x) .* factor + shift;
}

matrix nn_layer_norm_rows(matrix x, vector factor, vector shift) {
  matrix[rows(x), cols(x)] y;
  for (i in 1:rows(x)) y[i] = (nn_standardise(x[i]') .* factor + shift)';
  return y;
}

vector nn_concat(vector x, vector u) {
  return append_row(x, u);
}

matrix nn_concat_rows(matrix x, vector u) {
  return append_col(x, rep_matrix(u', rows(x)));
}

// Each area's value, place and conditions.
matrix nn_tokens(vector x, matrix places, vector u) {
  return append_col(append_col(x, places), rep_matrix(u', rows(x)));
}

// One half of the channels gates the other, mixed over the areas.
matrix nn_spatial_gate(matrix x, matrix kernel, matrix bias) {
  int half = cols(x) / 2;
  matrix[rows(x), half] gate = block(x, 1, half + 1, rows(x), half);
  return block(x, 1, 1, rows(x), half) .* (kernel * gate + rep_matrix(col(bias, 1), half));
}

matrix nn_normed_gate(matrix x, matrix kernel, matrix bias, vector factor, vector shift) {
  int half = cols(x) / 2;
  matrix[rows(x), half] gate
    = nn_layer_norm_rows(block(x, 1, half + 1, rows(x), half), factor, shift);
  return block(x, 1, 1, rows(x), half) .* (kernel * gate + rep_matrix(col(bias, 1), half));
}

// Each head averages its share of the channels over areas, by a kernel of their distance.
matrix nn_attention(matrix x, matrix places, row_vector strength, row_vector decay) {
  int n = rows(x);
  int share = cols(x) / cols(strength);
  matrix[n, n] apart;
  matrix[n, cols(x)] y;
  for (i in 1:n) for (j in 1:n) apart[i, j] = squared_distance(places[i], places[j]);
  for (h in 1:cols(strength)) {
    matrix[n, n] weight = exp(strength[h] * (exp(-decay[h] * apart) - 1));
    vector[n] total = weight * rep_vector(1, n);
    matrix[n, share] mixed = weight * block(x, 1, (h - 1) * share + 1, n, share);
    for (k in 1:share) y[, (h - 1) * share + k] = mixed[, k] ./ total;
  }
  return y;
}

vector nn_radial(vector x, matrix centres) {
  vector[rows(centres)] y;
  for (i in 1:rows(centres)) y[i] = exp(-squared_distance(x, centres[i]'));
  return y;
}
"""

_NAME = re.compile(r"\bnn_(\w+)\(")


def _parse(sources: str) -> dict[str, Function]:
    """Split the text into functions by blank lines, and find what each calls."""
    found = {}
    for source in sources.strip().split("\n\n"):
        name, *calls = _NAME.findall(source)
        found[name] = Function(source, tuple(dict.fromkeys(calls)))
    return found


LIBRARY = _parse(_SOURCES)
"""Every function by its name without `nn_`, each after those it calls."""
