# The one nn() term of a formula, and the formula without it.

nn <- function(area, bundle, type, level, iso3, layer) {
  refuse("nn() is a term of the formula of brm_nn(), and does nothing elsewhere")
}

INDEX <- "nn_idx"

# A list of the term's call and the formula that brms gets in its place: the index times nought is
# an offset, so that brms keeps the index in its data, and writes out the predictor mu.
split_formula <- function(formula) {
  whole <- check_formula(formula)
  main <- if (inherits(whole, "brmsformula")) whole$formula else whole
  calls <- nn_calls(main)
  if (length(calls) != 1L) {
    refuse(
      "the formula has ", length(calls), " nn() terms; expected one, as in ",
      "y ~ x + nn(area, bundle = \"DIR\")"
    )
  }
  rest <- without_term(right_side(main))
  if (length(nn_calls(rest))) {
    refuse(
      "nn() must be a term of its own, added to the others; got ", one_line(right_side(main))
    )
  }
  if ("." %in% all.vars(rest)) {
    refuse("a formula with `.` would take in the index of nn(); write its covariates out")
  }
  index <- call("offset", call("*", 0, as.name(INDEX)))
  main[[3L]] <- call("+", rest %||% 1, index)
  if (inherits(whole, "brmsformula")) whole$formula <- main else whole <- main
  list(term = calls[[1]], formula = whole, environment = environment(main))
}

check_formula <- function(formula) {
  if (inherits(formula, "mvbrmsformula")) {
    refuse("brm_nn() fits one response; this formula is multivariate")
  }
  if (inherits(formula, "brmsformula")) {
    if (isTRUE(attr(formula$formula, "nl"))) {
      refuse("brm_nn() takes no non-linear formula: brms ignores a spatial effect there")
    }
    others <- Filter(function(f) length(nn_calls(f)) > 0L, c(formula$pforms, formula$pfix))
    if (length(others)) {
      refuse("nn() is a term of the mean alone, not of ", listed(names(others)))
    }
    check_response(formula$formula)
    return(formula)
  }
  if (!inherits(formula, "formula")) {
    refuse("expected a formula such as y ~ x + nn(area, bundle = \"DIR\"), got ", class(formula)[1])
  }
  check_response(formula)
  formula
}

check_response <- function(formula) {
  if (length(formula) != 3L) {
    refuse("the formula has no response: ", one_line(formula))
  }
  if (is.call(formula[[2]]) && identical(formula[[2]][[1]], as.name("mvbind"))) {
    refuse("brm_nn() fits one response; this formula is multivariate")
  }
}

right_side <- function(formula) formula[[length(formula)]]

one_line <- function(x) paste(deparse(x, width.cutoff = 500L), collapse = " ")

is_nn <- function(x) {
  is.call(x) && one_line(x[[1]]) %in% c("nn", "priorvae::nn")
}

nn_calls <- function(x) {
  if (is_nn(x)) {
    return(list(x))
  }
  if (!is.call(x)) {
    return(list())
  }
  do.call(c, c(list(list()), lapply(as.list(x), nn_calls)))
}

# What is left of a sum of terms without nn(); NULL where that is nothing.
without_term <- function(x) {
  if (is_nn(x)) {
    return(NULL)
  }
  if (!is.call(x)) {
    return(x)
  }
  if (identical(x[[1]], as.name("("))) {
    return(if (length(nn_calls(x))) without_term(x[[2]]) else x)
  }
  if (!as.character(x[[1]])[1] %in% c("+", "-") || length(x) != 3L) {
    return(x)
  }
  left <- without_term(x[[2]])
  # A term that is taken away stays where it is, and is refused.
  right <- if (identical(x[[1]], as.name("+"))) without_term(x[[3]]) else x[[3]]
  if (is.null(right)) {
    return(left)
  }
  if (is.null(left)) {
    return(if (identical(x[[1]], as.name("+"))) right else call("-", 1, right))
  }
  call(as.character(x[[1]]), left, right)
}

# The term's arguments: the columns of area and layer by name, and the bundle.
read_term <- function(term, environment) {
  matched <- as.list(tryCatch(
    match.call(nn, term),
    error = function(e) refuse("nn(): ", conditionMessage(e))
  ))[-1L]
  value <- function(name) {
    if (is.null(matched[[name]])) NULL else eval(matched[[name]], environment)
  }
  list(
    area = column_name(matched$area, "area"),
    layer = column_name(matched$layer, "layer"),
    bundle = term_bundle(value("bundle"), lapply(c("type", "level", "iso3"), value))
  )
}

column_name <- function(x, what) {
  if (is.null(x) || is.name(x) || (is.character(x) && length(x) == 1L)) {
    return(if (is.null(x)) NULL else as.character(x))
  }
  refuse("nn(): ", what, " must be the name of a column, got ", one_line(x))
}

term_bundle <- function(bundle, keys) {
  given <- !vapply(keys, is.null, NA)
  if (!is.null(bundle)) {
    if (any(given)) refuse("nn(): give either a bundle or type, level and iso3, not both")
    return(as_bundle(bundle))
  }
  if (!all(given)) {
    refuse("nn(): which bundle? Give bundle = \"DIR\", or type, level and iso3 together")
  }
  read_bundle(do.call(find_bundle, unname(keys)))
}
