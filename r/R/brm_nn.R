brm_nn <- function(formula, data, family = stats::gaussian(), ..., scale_prior = "normal(0, 1)",
                   condition_priors = list(), stanvars = NULL) {
  model <- nn_model(
    as_given(formula, parent.frame()), data, family, list(...), scale_prior, condition_priors,
    stanvars
  )
  note_priors(model$effect)
  use_boost()
  fit <- as_fit(do.call(brms::brm, model$arguments), model$effect)
  attr(fit$data, "data_name") <- one_line(substitute(data))
  fit
}

stancode_nn <- function(formula, data, family = stats::gaussian(), ...,
                        scale_prior = "normal(0, 1)", condition_priors = list(),
                        stanvars = NULL) {
  model <- nn_model(
    as_given(formula, parent.frame()), data, family, list(...), scale_prior, condition_priors,
    stanvars
  )
  model$code
}

standata_nn <- function(formula, data, family = stats::gaussian(), ...,
                        scale_prior = "normal(0, 1)", condition_priors = list(),
                        stanvars = NULL) {
  model <- nn_model(
    as_given(formula, parent.frame()), data, family, list(...), scale_prior, condition_priors,
    stanvars
  )
  do.call(brms::make_standata, generation_arguments(model$arguments))
}

# A formula given as text finds the bundle where brm_nn() was called.
as_given <- function(formula, environment) {
  if (is.character(formula)) stats::as.formula(formula, environment) else formula
}

# Everything up to the compiler: the arguments of brm(), the effect, and the Stan code, checked.
nn_model <- function(formula, data, family, dots, scale_prior, condition_priors, stanvars) {
  check_versions()
  check_dots(dots)
  check_family(formula, family)
  parts <- split_formula(formula)
  effect <- read_term(parts$term, parts$environment)
  require_functions(effect$bundle)
  data <- as.data.frame(data)
  effect$area <- choose_area(effect$area, data, effect$bundle)
  effect$layer <- choose_layer(effect$layer, data, effect$bundle)
  effect$priors <- effect_priors(effect$bundle, scale_prior, condition_priors)
  effect$formula <- one_line(if (inherits(formula, "brmsformula")) formula$formula else formula)
  data[[INDEX]] <- area_index(data, effect)
  own <- effect_stanvars(effect$bundle, effect$priors)
  arguments <- c(list(formula = parts$formula, data = data, family = family), dots)
  arguments$stanvars <- if (is.null(stanvars)) own else own + stanvars
  index <- used_index(arguments)
  arguments$stanvars <- arguments$stanvars + index_stanvar(index)
  code <- suppressWarnings(do.call(brms::make_stancode, generation_arguments(arguments)))
  check_code(code)
  list(arguments = arguments, effect = effect, code = code)
}

# Arguments of brm() that its generators of code and data share with it.
generation_arguments <- function(arguments) {
  shared <- c("formula", "data", "family", "prior", "autocor", "data2", "cov_ranef", "sparse",
    "sample_prior", "stanvars", "knots", "drop_unused_levels", "normalize", "save_pars")
  arguments[intersect(shared, names(arguments))]
}

# The index of the rows that brms keeps, in its order: those with missing values it leaves out.
used_index <- function(arguments) {
  arguments$stanvars <- NULL
  arguments$empty <- TRUE
  arguments$silent <- 2L
  # brm() itself says which rows it leaves out, when it is called in earnest.
  kept <- suppressWarnings(do.call(brms::brm, arguments))
  check_terms(kept)
  index <- kept$data[[INDEX]]
  data <- suppressWarnings(do.call(brms::make_standata, generation_arguments(arguments)))
  if (!identical(as.numeric(data$N), as.numeric(length(index)))) {
    refuse("brms uses ", data$N, " of ", length(index), " rows (subset()?); give brm_nn() those alone")
  }
  index
}

check_terms <- function(kept) {
  terms <- brms::brmsterms(kept$formula)
  if (!is.null(terms$dpars$mu$ac)) {
    refuse(
      "brm_nn() takes no autocorrelation term (ar, ma, cosy, car, sar, fcor): brms sorts rows ",
      "by it, or has no place for the spatial effect"
    )
  }
}

# What cannot be done is refused before anything is compiled -----------------------------------

check_versions <- function(installed = utils::packageVersion) {
  least <- c(brms = "2.18.0", rstan = "2.21.0")
  for (package in names(least)) {
    check_version(package, installed(package), least[[package]])
  }
}

check_version <- function(package, found, least) {
  if (found < least) {
    refuse(
      "brm_nn() needs ", package, " ", least, " or later, and finds ", as.character(found),
      "; update it with install.packages(\"", package, "\")"
    )
  }
}

check_dots <- function(dots) {
  threads <- dots$threads %||% getOption("brms.threads")
  count <- if (inherits(threads, "brmsthreads")) threads$threads else threads
  if (!is.null(count)) {
    refuse(
      "brm_nn() does not thread within a chain: brms has no place for the spatial effect there; ",
      "leave out threads (chains run side by side by cores)"
    )
  }
  for (name in intersect(names(dots), c("fit", "autocor", "file", "nl"))) {
    refuse("brm_nn() does not take brm()'s argument '", name, "'; keep the fit by saveRDS(), ",
      "and use update() to fit again")
  }
}

NO_MU <- c(
  "categorical", "multinomial", "dirichlet", "dirichlet2", "logistic_normal", "cumulative",
  "sratio", "cratio", "acat", "mixture", "cox"
)

check_family <- function(formula, family) {
  own <- if (inherits(formula, "brmsformula")) formula$family
  family <- own %||% family
  if (is.function(family)) family <- family()
  name <- if (is.character(family)) family[1] else family$family
  if (any(name %in% NO_MU) || inherits(family, "mixfamily")) {
    refuse(
      "brm_nn() does not fit family ", listed(name %||% "mixture"), ": it has no single ",
      "linear predictor mu to add a spatial effect to (categorical, ordinal, compositional and ",
      "mixture families)"
    )
  }
}

# Where Boost's headers come with the system, as in Debian, rstan has to be told.
use_boost <- function() {
  system <- "/usr/include"
  told <- tryCatch(suppressWarnings(rstan::rstan_options("boost_lib")), error = function(e) NULL)
  if (identical(told, "") && file.exists(file.path(system, "boost", "version.hpp"))) {
    rstan::rstan_options(boost_lib = system)
  }
}

note_priors <- function(effect) {
  text <- vapply(effect$priors, function(p) {
    paste0(p$name, if (is.null(p$fixed)) paste0(" ~ ", p$text) else paste0(" = ", p$fixed))
  }, "")
  note("spatial effect from ", effect$bundle$id, "; ", paste(text, collapse = ", "))
}

as_fit <- function(fit, effect) {
  fit$priorvae <- effect
  class(fit) <- c("priorvae_fit", setdiff(class(fit), "priorvae_fit"))
  fit
}

# brms' own view of the fit.
as_brmsfit <- function(x) {
  class(x) <- setdiff(class(x), "priorvae_fit")
  x
}
