# The shape of every weight, by its flat name, as the layer records have it. The kinds and their
# weights are those of the bundle format, version 1.

basis_size <- function(layer) {
  prod(as.numeric(unlist(layer$degrees)) + 1)
}

layer_width <- function(layer, width, conditions) {
  switch(layer$kind,
    dense = , mixture = , radial = layer$units,
    activation = , gate = , film = , scale = , `layer-norm` = , `kernel-attention` = width,
    `concat-condition` = width + conditions,
    tokens = 1 + layer$places + conditions,
    `spatial-gate` = width %/% 2,
    flatten = layer$areas,
    sum = layers_width(layer$branches[[1]], width, conditions),
    refuse(
      "bundle.json: unknown layer kind '", layer$kind,
      "'; a newer bundle needs a newer version of this package"
    )
  )
}

layers_width <- function(layers, width, conditions) {
  for (layer in layers) width <- layer_width(layer, width, conditions)
  width
}

layer_shapes <- function(layer, width, conditions) {
  series <- c(basis_size(layer), width)
  switch(layer$kind,
    dense = c(
      list(kernel = c(width, layer$units)),
      if (isTRUE(layer$bias)) list(bias = layer$units)
    ),
    gate = list(coefficients = series),
    mixture = list(
      coefficients = c(series[1], layer$rank),
      kernels = c(layer$rank, width, layer$units)
    ),
    film = list(scale = series, shift = series),
    scale = list(scale = width),
    `layer-norm` = list(scale = width, bias = width),
    tokens = list(places = c(layer$areas, layer$places)),
    `spatial-gate` = c(
      list(kernel = c(layer$areas, layer$areas), bias = c(layer$areas, 1)),
      if (isTRUE(layer$normalise)) list(scale = width %/% 2, shift = width %/% 2)
    ),
    `kernel-attention` = list(
      places = c(layer$areas, layer$places),
      strength = c(series[1], layer$heads),
      decay = c(series[1], layer$heads)
    ),
    radial = list(centres = c(layer$units, width)),
    sum = branch_shapes(layer$branches, width, conditions),
    list()
  )
}

branch_shapes <- function(branches, width, conditions) {
  found <- lapply(branches, layers_shapes, width = width, conditions = conditions)
  with_prefixes(found)
}

layers_shapes <- function(layers, width, conditions) {
  found <- vector("list", length(layers))
  for (i in seq_along(layers)) {
    found[[i]] <- layer_shapes(layers[[i]], width, conditions)
    width <- layer_width(layers[[i]], width, conditions)
  }
  with_prefixes(found)
}

# Lists of shapes become one, its names beginning with the position of theirs, from nought.
with_prefixes <- function(found) {
  named <- lapply(seq_along(found), function(i) {
    shapes <- found[[i]]
    if (length(shapes)) names(shapes) <- paste0(i - 1L, ".", names(shapes))
    shapes
  })
  do.call(c, c(list(list()), named))
}

weight_shapes <- function(info) {
  shapes <- layers_shapes(info$decoder, info$latent_dim, length(info$conditions))
  if (length(shapes)) names(shapes) <- paste0("layers.", names(shapes))
  shapes
}

check_weights <- function(weights, info) {
  expected <- weight_shapes(info)
  odd <- c(setdiff(names(expected), names(weights)), setdiff(names(weights), names(expected)))
  if (length(odd)) {
    refuse(
      "shapes: weights do not match the layer records: '", odd[1], "' is ",
      if (odd[1] %in% names(weights)) "not in bundle.json" else "missing in decoder.safetensors"
    )
  }
  for (name in names(expected)) check_weight(name, weights[[name]], expected[[name]])
  invisible(weights)
}

check_weight <- function(name, weight, expected) {
  if (!identical(as.numeric(weight$shape), as.numeric(expected))) {
    refuse(
      "shapes: weight '", name, "' has shape (", paste(weight$shape, collapse = ", "),
      "), its layer needs (", paste(expected, collapse = ", "), ")"
    )
  }
  if (!all(is.finite(weight$values))) {
    refuse("shapes: weight '", name, "' holds values that are not finite")
  }
}
