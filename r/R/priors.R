# Priors of the effect's hyperparameters: the trained ones, or a user's within the trained range.

PRIORS <- list(
  normal = list(2L, stats::pnorm, c(-Inf, Inf)),
  lognormal = list(2L, stats::plnorm, c(0, Inf)),
  cauchy = list(2L, stats::pcauchy, c(-Inf, Inf)),
  student_t = list(3L, function(q, df, mu, s) stats::pt((q - mu) / s, df), c(-Inf, Inf)),
  gamma = list(2L, stats::pgamma, c(0, Inf)),
  inv_gamma = list(
    2L, function(q, a, b) stats::pgamma(1 / q, a, rate = b, lower.tail = FALSE), c(0, Inf)
  ),
  exponential = list(1L, stats::pexp, c(0, Inf)),
  beta = list(2L, stats::pbeta, c(0, 1)),
  uniform = list(2L, stats::punif, NULL),
  loguniform = list(2L, function(q, a, b) stats::punif(log(q), log(a), log(b)), NULL)
)

NEGLIGIBLE_MASS <- 1e-5

# A prior as Stan spells it: "normal(0, 1)", or truncated, "normal(100, 50)T[60, 300]".
parse_prior <- function(text, name) {
  if (is.numeric(text) && length(text) == 1L) {
    return(list(fixed = as.numeric(text)))
  }
  pattern <- "^\\s*([a-z_]+)\\s*\\(([^()]*)\\)\\s*(T\\s*\\[([^],]*),([^]]*)\\])?\\s*$"
  parts <- if (is.character(text) && length(text) == 1L) {
    regmatches(text, regexec(pattern, text))[[1]]
  }
  family <- PRIORS[[parts[2] %||% ""]]
  arguments <- suppressWarnings(as.numeric(strsplit(parts[3] %||% "", ",")[[1]]))
  if (!length(parts) || is.null(family) || length(arguments) != family[[1]] || anyNA(arguments)) {
    refuse(
      "prior of ", name, ": expected a number, or text such as \"normal(0, 1)\" or ",
      "\"normal(100, 50)T[60, 300]\", of ", paste(names(PRIORS), collapse = ", "),
      "; got ", one_line(text)
    )
  }
  ends <- suppressWarnings(as.numeric(c(parts[5], parts[6])))
  support <- family[[3]] %||% arguments
  list(
    family = parts[2], arguments = arguments, text = trimws(text), support = support,
    truncated = nzchar(parts[4]),
    ends = ifelse(is.na(ends), support, c(max(ends[1], support[1]), min(ends[2], support[2])))
  )
}

# A parameter: its bounds and log density as Stan text, or the number it is fixed to.
condition_prior <- function(condition, given) {
  name <- condition$name
  if (length(condition$labels)) {
    return(list(name = name, unit = condition$unit, fixed = category_number(condition, given)))
  }
  if (is.null(given)) {
    return(trained_prior(condition))
  }
  prior <- parse_prior(given, name)
  check_inside(prior, condition)
  range <- c(condition$low, condition$high)
  if (!is.null(prior$fixed)) {
    return(list(name = name, unit = condition$unit, fixed = prior$fixed))
  }
  bounded(prior, name, condition$unit, pmax(range[1], pmin(range[2], prior$ends)))
}

check_inside <- function(prior, condition) {
  range <- c(condition$low, condition$high)
  slack <- 1e-6 * max(abs(range))
  ends <- if (is.null(prior$fixed)) prior$ends else rep(prior$fixed, 2L)
  if (ends[1] >= range[1] - slack && ends[2] <= range[2] + slack) {
    return(invisible())
  }
  outside <- if (is.null(prior$fixed)) mass_outside(prior, range) else 1
  if (outside <= NEGLIGIBLE_MASS) {
    return(invisible())
  }
  refuse(
    "prior of ", condition$name, ": ",
    if (is.null(prior$fixed)) {
      paste0(prior$text, " puts ", format(100 * outside, digits = 3L), "% of its mass")
    } else {
      paste(number_text(prior$fixed), "is")
    },
    " outside the trained range, ", span_text(condition), ", where the decoder is not valid; ",
    "give one inside it, such as \"uniform(", number_text(range[1]), ", ", number_text(range[2]),
    ")\" or one truncated by T[low, high], or train a bundle over a wider range"
  )
}

cdf <- function(prior, q) {
  do.call(PRIORS[[prior$family]][[2]], c(list(q), as.list(prior$arguments)))
}

mass_between <- function(prior, ends) {
  # The cdf of a lognormal or log-uniform is not defined below nought.
  ends <- pmin(pmax(ends, prior$support[1]), prior$support[2])
  cdf(prior, ends[2]) - cdf(prior, ends[1])
}

mass_outside <- function(prior, range) {
  all <- mass_between(prior, prior$ends)
  inside <- pmax(prior$ends[1], pmin(prior$ends[2], range))
  1 - mass_between(prior, inside) / all
}

bounded <- function(prior, name, unit, bounds) {
  mass <- if (all(is.infinite(bounds))) 1 else mass_between(prior, bounds)
  if (!isTRUE(mass > 0)) {
    refuse("prior of ", name, ": ", prior$text, " has no mass where the parameter may be")
  }
  list(
    name = name, unit = unit, lower = bounds[1], upper = bounds[2], text = prior$text,
    density = density_text(prior$family, prior$arguments, paste0("nn_", name), mass)
  )
}

# The log density of a truncated prior as Stan text, normalised.
density_text <- function(family, arguments, variable, mass = 1) {
  if (family == "loguniform") {
    width <- log(arguments[2]) - log(arguments[1])
    return(paste0("-log(", variable, ") - ", exact_text(log(width) + log(mass))))
  }
  values <- paste(exact_text(arguments), collapse = ", ")
  paste0(family, "_lpdf(", variable, " | ", values, ") - (", exact_text(log(mass)), ")")
}

# The hyperprior a bundle was trained with, which its decoder's certificate speaks of.
trained_prior <- function(condition) {
  range <- c(condition$low, condition$high)
  p <- condition$parameters
  arguments <- switch(condition$distribution,
    uniform = , loguniform = range,
    normal = , lognormal = c(p$loc, p$scale),
    beta = c(p$a, p$b),
    refuse("bundle.json: unknown hyperprior '", condition$distribution, "' of ", condition$name)
  )
  if (condition$distribution == "beta") {
    return(stretched_beta(condition, arguments))
  }
  prior <- list(
    family = condition$distribution, arguments = arguments,
    support = PRIORS[[condition$distribution]][[3]] %||% arguments,
    text = paste0(condition$distribution, "(", paste(number_text(arguments), collapse = ", "), ")")
  )
  bounded(prior, condition$name, condition$unit, range)
}

stretched_beta <- function(condition, arguments) {
  variable <- paste0("nn_", condition$name)
  width <- exact_text(condition$high - condition$low)
  place <- paste0("(", variable, " - (", exact_text(condition$low), ")) / ", width)
  list(
    name = condition$name, unit = condition$unit, lower = condition$low, upper = condition$high,
    text = paste0("beta(", paste(number_text(arguments), collapse = ", "), ") over the range"),
    density = paste0(
      "beta_lpdf(", place, " | ", paste(exact_text(arguments), collapse = ", "),
      ") - log(", width, ")"
    )
  )
}

category_number <- function(condition, given) {
  labels <- condition$labels
  if (is.null(given)) {
    refuse(
      condition$name, ": is a category, and Stan samples numbers alone; fix it to one of ",
      listed(labels), ", as in condition_priors = list(", condition$name, " = \"", labels[1], "\")"
    )
  }
  number <- match(given, labels)
  if (length(given) != 1L || is.na(number)) {
    refuse(condition$name, ": expected one of ", listed(labels), ", got ", one_line(given))
  }
  number - 1
}

scale_prior_of <- function(given) {
  prior <- parse_prior(given, "the scale")
  if (!is.null(prior$fixed)) {
    if (!isTRUE(prior$fixed > 0)) refuse("prior of the scale: expected a positive number")
    return(list(name = "scale", unit = "", fixed = prior$fixed))
  }
  bounded(prior, "scale", "", pmax(0, prior$ends))
}

effect_priors <- function(bundle, scale_prior, condition_priors) {
  known <- names(bundle$conditions)
  if (length(condition_priors) && !is.list(condition_priors)) {
    condition_priors <- as.list(condition_priors)
  }
  unknown <- setdiff(names(condition_priors), known)
  if (length(unknown) || (length(condition_priors) && is.null(names(condition_priors)))) {
    refuse(
      "condition_priors: the bundle has no condition ", listed(unknown), "; it has ",
      if (length(known)) listed(known) else "none"
    )
  }
  conditions <- lapply(bundle$conditions, function(condition) {
    condition_prior(condition, condition_priors[[condition$name]])
  })
  c(list(scale = scale_prior_of(scale_prior)), conditions)
}
