spatial_effects <- function(fit, summary = TRUE, probs = c(0.025, 0.975)) {
  require_fit(fit)
  sites <- bundle_sites(fit$priorvae$bundle)
  draws <- effect_draws(fit)
  colnames(draws) <- sites
  if (!summary) {
    return(draws)
  }
  quantiles <- t(apply(draws, 2L, stats::quantile, probs = probs))
  colnames(quantiles) <- paste0("Q", 100 * probs)
  areas <- fit$priorvae$bundle$areas
  index <- rep_len(seq_len(nrow(areas)), length(sites))
  found <- data.frame(
    id = areas$id[index], name = areas$name[index], x_km = areas$x_km[index],
    y_km = areas$y_km[index], Estimate = colMeans(draws),
    Est.Error = apply(draws, 2L, stats::sd), quantiles,
    check.names = FALSE, row.names = sites
  )
  if (!is.null(fit$priorvae$bundle$layers)) {
    found$layer <- rep(fit$priorvae$bundle$layers, each = nrow(areas))
  }
  found
}

require_fit <- function(fit) {
  if (!inherits(fit, "priorvae_fit")) {
    refuse("expected a fit of brm_nn(), got ", class(fit)[1])
  }
}

plot_map <- function(fit, what = c("effect", "response"),
                     statistic = c("mean", "sd", "exceedance"), threshold = 0, newdata = NULL,
                     polygons = NULL, id = "id", layer = NULL, main = NULL, ...) {
  require_fit(fit)
  what <- match.arg(what)
  statistic <- match.arg(statistic)
  draws <- if (what == "effect") effect_map(fit, layer) else response_map(fit, newdata, layer)
  values <- switch(statistic,
    mean = colMeans(draws),
    sd = apply(draws, 2L, stats::sd),
    exceedance = colMeans(draws > threshold)
  )
  label <- if (statistic == "exceedance") {
    paste0("P(", what, " > ", number_text(threshold), ")")
  } else {
    paste("posterior", statistic, "of the", what)
  }
  areas <- fit$priorvae$bundle$areas
  if (is.null(polygons)) {
    draw_points(areas, values, main %||% label, ...)
  } else {
    draw_polygons(areas, values, polygons, id, main %||% label, ...)
  }
  invisible(data.frame(areas[c("id", "name")], value = unname(values)))
}

# Draws of the effect in each area, of one layer.
effect_map <- function(fit, layer) {
  effect_draws(fit)[, of_layer(fit, layer), drop = FALSE]
}

of_layer <- function(fit, layer) {
  bundle <- fit$priorvae$bundle
  if (is.null(bundle$layers)) {
    return(seq_len(nrow(bundle$areas)))
  }
  number <- match(as_ids(layer %||% bundle$layers[1]), bundle$layers)
  if (is.na(number)) refuse("layer: expected one of ", listed(bundle$layers))
  (number - 1L) * nrow(bundle$areas) + seq_len(nrow(bundle$areas))
}

# Draws of the expected response in each area, averaged over its rows; NA in one without rows.
response_map <- function(fit, newdata, layer) {
  newdata <- with_index(newdata, fit$priorvae)
  index <- if (is.null(newdata)) fit$data[[INDEX]] else newdata[[INDEX]]
  expected <- brms::posterior_epred(fit, newdata = newdata)
  vapply(of_layer(fit, layer), function(i) {
    rows <- which(index == i)
    if (length(rows)) rowMeans(expected[, rows, drop = FALSE]) else rep(NA_real_, nrow(expected))
  }, numeric(nrow(expected)))
}

value_colours <- function(values, range = base::range(values, na.rm = TRUE), size = 64L) {
  palette <- grDevices::hcl.colors(size, "viridis")
  width <- if (diff(range) > 0) diff(range) else 1
  colours <- palette[1L + floor((size - 1L) * (values - range[1]) / width)]
  ifelse(is.na(colours), "grey80", colours)
}

# Draws a map with its legend in the margin on the right, where it hides no area.
beside_legend <- function(values, draw) {
  old <- graphics::par(mar = c(4, 4, 3, 6))
  on.exit(graphics::par(old))
  draw(value_colours(values))
  range <- range(values, na.rm = TRUE)
  ticks <- pretty(range, 4L)
  ticks <- rev(ticks[ticks >= range[1] & ticks <= range[2]])
  if (length(ticks) < 2L) ticks <- unique(signif(rev(range), 3L))
  shown <- value_colours(pmin(pmax(ticks, range[1]), range[2]), range)
  lacking <- anyNA(values)
  graphics::legend(
    "topleft", inset = c(1.01, 0), xpd = NA, bty = "n", cex = 0.9,
    legend = c(format(ticks), if (lacking) "no data"), fill = c(shown, if (lacking) "grey80")
  )
}

draw_points <- function(areas, values, main, ...) {
  if (anyNA(areas$x_km)) {
    refuse("plot_map(): the bundle has no centroids; give `polygons` (sf) to draw on")
  }
  settings <- utils::modifyList(
    list(asp = 1, pch = 19, cex = 1.5, xlab = "east (km)", ylab = "north (km)"), list(...)
  )
  beside_legend(values, function(colours) {
    do.call(graphics::plot, c(
      list(areas$x_km, areas$y_km, col = colours, main = main), settings
    ))
  })
}

draw_polygons <- function(areas, values, polygons, id, main, ...) {
  if (!requireNamespace("sf", quietly = TRUE)) {
    refuse("plot_map(): `polygons` needs the package sf; without them it draws centroids")
  }
  if (!id %in% names(polygons)) {
    refuse("plot_map(): polygons have no column '", id, "'; name it by `id`")
  }
  position <- match(areas$id, as_ids(polygons[[id]]))
  if (anyNA(position)) {
    refuse("plot_map(): polygons lack areas of the bundle: ", listed(areas$id[is.na(position)]))
  }
  beside_legend(values, function(colours) {
    graphics::plot(sf::st_geometry(polygons)[position], col = colours, main = main, ...)
  })
}
