# Prediction is brms' own: to its population-level part are appended a column for each value of f,
# one in the rows of its area, with the draws of f as coefficients.

prepare_predictions.priorvae_fit <- function(x, newdata = NULL, ndraws = NULL, draw_ids = NULL,
                                             point_estimate = NULL, ...) {
  newdata <- with_index(newdata, x$priorvae)
  index <- if (is.null(newdata)) x$data[[INDEX]] else newdata[[INDEX]]
  if (is.null(draw_ids) && !is.null(ndraws)) {
    draw_ids <- sort(sample(brms::ndraws(x), ndraws))
  }
  prepared <- brms::prepare_predictions(
    as_brmsfit(x),
    newdata = newdata, draw_ids = draw_ids, point_estimate = point_estimate, ...
  )
  if (is.null(prepared$dpars$mu)) {
    return(prepared)
  }
  effect <- effect_draws(x, draw_ids, point_estimate, prepared$ndraws)
  prepared$dpars$mu$fe <- with_effect(prepared$dpars$mu$fe, index, effect)
  prepared
}

# Draws of f, a row a draw.
effect_draws <- function(x, draw_ids = NULL, point_estimate = NULL, ndraws = NULL) {
  size <- length(bundle_sites(x$priorvae$bundle))
  # By name and in order: a regular expression would sort nn_f[10] before nn_f[2].
  found <- brms::as_draws_matrix(as_brmsfit(x), variable = paste0("nn_f[", seq_len(size), "]"))
  # As brms chooses them, which sorts.
  if (!is.null(draw_ids)) {
    found <- suppressMessages(posterior::subset_draws(found, draw = draw_ids))
  }
  found <- matrix(as.numeric(found), ncol = size)
  if (!is.null(point_estimate)) {
    point <- apply(found, 2L, match.fun(point_estimate))
    found <- matrix(point, ndraws, size, byrow = TRUE)
  }
  found
}

with_effect <- function(fe, index, effect) {
  # Only the areas that occur: a column for each would be a large matrix of noughts.
  areas <- setdiff(sort(unique(index)), 0L)
  columns <- outer(index, areas, `==`) + 0
  colnames(columns) <- if (length(areas)) paste0("nn_f[", areas, "]")
  fe$X <- if (is.null(fe$X)) columns else cbind(fe$X, columns)
  own <- effect[, areas, drop = FALSE]
  colnames(own) <- colnames(columns)
  fe$b <- if (is.null(fe$b)) own else cbind(fe$b, own)
  fe
}

standata.priorvae_fit <- function(object, newdata = NULL, ...) {
  brms::standata(as_brmsfit(object), newdata = with_index(newdata, object$priorvae), ...)
}

# Without an area there is no spatial effect in it, as there are no group-level ones.
conditional_effects.priorvae_fit <- function(x, effects = NULL, conditions = NULL, ...) {
  effect <- x$priorvae
  wanted <- c(effect$area, effect$layer)
  if (is.null(conditions)) conditions <- data.frame(nn_idx = 0L)
  conditions <- as.data.frame(conditions)
  if (!INDEX %in% names(conditions)) {
    conditions[[INDEX]] <- 0L
    if (all(wanted %in% names(conditions))) {
      if (!"cond__" %in% names(conditions)) {
        conditions$cond__ <- paste(effect$area, "=", conditions[[effect$area]])
      }
      conditions[[INDEX]] <- area_index(conditions, effect, "conditions", missing = TRUE)
      # The model knows the index and not the columns it came from.
      conditions <- conditions[setdiff(names(conditions), setdiff(wanted, names(x$data)))]
    }
  }
  if (is.null(effects)) {
    effects <- own_effects(x)
  }
  inner <- x
  NextMethod(x = inner, effects = effects, conditions = conditions)
}

# The covariates that brms would show, without the index.
own_effects <- function(x) {
  terms <- brms::brmsterms(x$formula)
  shown <- setdiff(all.vars(terms$dpars$mu$fe), INDEX)
  shown <- shown[shown %in% names(x$data)]
  if (length(shown)) shown else NULL
}

update.priorvae_fit <- function(object, formula. = NULL, newdata = NULL, ...) {
  effect <- object$priorvae
  dots <- list(...)
  check_dots(dots)
  given <- intersect(names(dots), c("family", "stanvars", "scale_prior", "condition_priors"))
  if (!is.null(formula.) || length(given)) {
    refuse(
      "update() of a fit with nn() takes new data and settings of the sampler; for another ",
      if (is.null(formula.)) given[1] else "formula", " call brm_nn() again"
    )
  }
  use_boost()
  if (is.null(newdata)) {
    return(as_fit(stats::update(as_brmsfit(object), ...), effect))
  }
  newdata <- with_index(newdata, effect)
  newdata <- newdata[stats::complete.cases(newdata[names(object$data)]), , drop = FALSE]
  if (any(newdata[[INDEX]] == 0L)) {
    refuse("newdata: column '", effect$area, "' is missing (NA) in some rows; leave them out")
  }
  stanvars <- object$stanvars
  stanvars$nn_region$sdata <- index_stanvar(newdata[[INDEX]])$nn_region$sdata
  fit <- stats::update(as_brmsfit(object), newdata = newdata, stanvars = stanvars, ...)
  as_fit(fit, effect)
}
