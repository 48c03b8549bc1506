# What brms is given beside the formula, and what it must have made of it.

LINE <- "mu += nn_f[nn_region];"

effect_stanvars <- function(bundle, priors) {
  code <- list(
    brms::stanvar(scode = bundle$functions, block = "functions"),
    brms::stanvar(scode = parameters_text(priors), block = "parameters"),
    brms::stanvar(scode = effect_text(bundle, priors), block = "tparameters"),
    brms::stanvar(scode = priors_text(priors), block = "model", position = "end"),
    brms::stanvar(scode = LINE, block = "likelihood", position = "start")
  )
  Reduce(`+`, c(list(data_stanvars(bundle, priors)), code))
}

# Weights are data: a model that is compiled serves every bundle of the same structure.
data_stanvars <- function(bundle, priors) {
  data <- bundle_data(bundle)
  sizes <- list(num_sites = length(bundle_sites(bundle)), latent_dim = bundle$latent_dim)
  fixed <- Filter(function(p) !is.null(p$fixed), priors)
  names(fixed) <- sprintf("nn_%s", vapply(fixed, `[[`, "", "name"))
  data <- c(sizes, data, lapply(fixed, `[[`, "fixed"))
  Reduce(`+`, lapply(names(data), function(name) {
    brms::stanvar(data[[name]], name = name, scode = declaration(name, data[[name]]))
  }))
}

declaration <- function(name, value) {
  if (is.matrix(value)) {
    return(paste0("matrix[", name, "_rows, ", name, "_cols] ", name, ";"))
  }
  if (name %in% c("low", "high")) {
    return(paste0("vector[num_conditions] ", name, ";"))
  }
  if (is.array(value)) {
    return(paste0("vector[", name, "_rows] ", name, ";"))
  }
  paste0(if (startsWith(name, "nn_")) "real " else "int<lower=0> ", name, ";")
}

index_stanvar <- function(index) {
  # Arrays are declared in one way by Stan until 2.32, and in another since 2.26.
  old <- utils::packageVersion("rstan") < "2.26.0"
  bounds <- "<lower=1, upper=num_sites>"
  code <- if (old) paste0("int", bounds, " nn_region[N];") else
    paste0("array[N] int", bounds, " nn_region;")
  brms::stanvar(array(as.integer(index), length(index)), name = "nn_region", scode = code)
}

free <- function(priors) Filter(function(p) is.null(p$fixed), priors)

bounds_text <- function(p) {
  ends <- c(lower = p$lower, upper = p$upper)
  ends <- ends[is.finite(ends)]
  if (!length(ends)) {
    return("")
  }
  paste0("<", paste0(names(ends), "=", exact_text(ends), collapse = ", "), ">")
}

parameters_text <- function(priors) {
  own <- vapply(free(priors), function(p) {
    paste0("real", bounds_text(p), " nn_", p$name, ";")
  }, "")
  paste(c("vector[latent_dim] nn_z;  // latents of the spatial effect", own), collapse = "\n  ")
}

effect_text <- function(bundle, priors) {
  names <- vapply(bundle$conditions, `[[`, "", "name")
  theta <- if (length(names)) {
    paste0("to_vector({", paste0("nn_", names, collapse = ", "), "})")
  } else {
    "rep_vector(0, 0)"
  }
  arguments <- c("nn_z", theta, "low", "high", decoder_arguments(bundle)$name)
  paste0(
    "vector[num_sites] nn_f = nn_scale * nn_decode(", paste(arguments, collapse = ", "),
    ");  // spatial effect"
  )
}

priors_text <- function(priors) {
  own <- vapply(free(priors), function(p) paste0("target += ", p$density, ";"), "")
  paste(c("target += std_normal_lpdf(nn_z);", own), collapse = "\n  ")
}

# Whether the last lines set up linear predictors, mu among them. Those of other parameters, such
# as sigma, are set up in the same place.
follows_start <- function(lines) {
  starts <- grepl("^vector\\[N\\] \\w+ = (rep_vector\\(0\\.0, N\\)|Intercept .*);$", lines)
  block <- utils::tail(lines, sum(cumprod(rev(starts))))
  any(startsWith(block, "vector[N] mu = "))
}

# Verify that the spatial effect is added to a predictor that has just been set to its start, and
# that nothing sets it anew: brms ignores the line, without a word, in models it has no place in.
check_code <- function(code) {
  lines <- trimws(sub("//.*$", "", strsplit(code, "\n", fixed = TRUE)[[1]]))
  lines <- lines[nzchar(lines)]
  at <- which(lines == LINE)
  if (length(at) != 1L || !follows_start(utils::head(lines, at - 1L))) {
    refuse(
      "brms does not add the spatial effect to this model: in the Stan code it generates, the ",
      "line `", LINE, "` does not stand right after the predictor mu is set up. Models with a ",
      "single linear predictor mu work; categorical, ordinal, mixture, multivariate and ",
      "non-linear ones, and threads, do not"
    )
  }
  rest <- lines[-seq_len(at)]
  anew <- grepl("^(vector\\[N\\] )?mu(\\[[a-z]+\\])? = ", rest)
  keeps <- grepl("= .*\\bmu\\b", rest)
  if (any(anew & !keeps)) {
    refuse(
      "brms sets the predictor anew after the spatial effect was added: `", rest[anew & !keeps][1],
      "`; nn() cannot be used in this model"
    )
  }
  if (!any(grepl("^target \\+= .*\\bmu\\b", rest))) {
    refuse("brms does not use the predictor mu in the likelihood; nn() cannot be used here")
  }
  invisible(code)
}
