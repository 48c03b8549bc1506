data <- grid_data()
bundle <- read_bundle(grid_path())
code <- function(formula, ..., frame = data) stancode_nn(formula, frame, ...)

test_that("the effect stands right after the predictor's start, with its parameters and priors", {
  found <- code(y | trials(size) ~ x + nn(area, bundle = bundle), family = binomial())
  expect_match(found, "vector\\[N\\] mu = rep_vector\\(0.0, N\\);\n +mu \\+= nn_f\\[nn_region\\];")
  expect_match(found, "real<lower=0> nn_scale;", fixed = TRUE)
  low <- bundle$conditions$lengthscale$low
  expect_match(found, paste0("real<lower=", exact_text(low)), fixed = TRUE)
  expect_match(found, "target += std_normal_lpdf(nn_z);", fixed = TRUE)
  expect_match(found, "target += -log(nn_lengthscale) - ", fixed = TRUE)
})

test_that("weights are data and no number of the map is in the program", {
  made <- standata_nn(y ~ x + nn(area, bundle = bundle), data)
  expect_equal(made[names(bundle_data(bundle))], bundle_data(bundle), ignore_attr = "class")
  expect_equal(made$num_sites, 20L)
})

test_that("the formula without a covariate keeps its intercept, or none", {
  expect_match(code(y ~ nn(area, bundle = bundle)), "mu += Intercept + offsets;", fixed = TRUE)
  expect_no_match(code(y ~ 0 + nn(area, bundle = bundle)), "Intercept")
  found <- code(y ~ (x + nn(area, bundle = bundle)), family = poisson())
  expect_match(found, "poisson_log_glm_lpmf(Y | Xc, mu, b)", fixed = TRUE)
})

test_that("other terms, distributional ones and the user's stanvars stay", {
  found <- code(
    brms::bf(y ~ x + (1 | area) + nn(area, bundle = bundle), sigma ~ x),
    stanvars = brms::stanvar(3, name = "mine")
  )
  expect_match(found, "vector[N] sigma", fixed = TRUE)
  expect_match(found, "r_1_1", fixed = TRUE)
  expect_match(found, "real mine;", fixed = TRUE)
})

test_that("areas join by id, in the order of the rows that brms keeps", {
  shuffled <- data[c(5, 3, 3, 20, 1), ]
  shuffled$x[2] <- NA
  made <- suppressWarnings(standata_nn(y ~ x + nn(area, bundle = bundle), shuffled))
  expect_equal(as.integer(made$nn_region), c(5L, 3L, 20L, 1L))
  expect_equal(as_ids(c(1e5, 7)), c("100000", "7"))
  expect_equal(as_ids(factor(c("b", "a"))), c("b", "a"))
})

test_that("the one column of ids is found, and reported", {
  expect_message(code(y ~ x + nn(bundle = bundle)), "areas from column 'area'")
  twice <- transform(data, place = area)
  expect_error(code(y ~ x + nn(bundle = bundle), frame = twice), "several columns .*'area', 'place'")
  expect_error(code(y ~ x + nn(bundle = bundle), frame = data[c("y", "x")]), "no column of the data")
})

test_that("areas that are unknown or missing are listed", {
  other <- transform(data, area = replace(area, 4:5, c("a1", "a2")))
  expect_error(code(y ~ nn(area, bundle = bundle), frame = other), "2 value.*'a1', 'a2'")
  none <- transform(data, area = replace(area, 7, NA))
  expect_error(code(y ~ nn(area, bundle = bundle), frame = none), "missing \\(NA\\) in row\\(s\\) '7'")
  expect_error(code(y ~ nn(place, bundle = bundle)), "no column 'place'")
})

test_that("what the term cannot be part of is refused", {
  expect_error(code(y ~ x), "0 nn\\(\\) terms")
  expect_error(code(y ~ nn(area, bundle = bundle) + nn(area, bundle = bundle)), "2 nn\\(\\) terms")
  expect_error(code(y ~ x * nn(area, bundle = bundle)), "term of its own")
  expect_error(code(y ~ x - nn(area, bundle = bundle)), "term of its own")
  expect_error(code(y ~ . + nn(area, bundle = bundle)), "write its covariates out")
  expect_error(code(brms::bf(y ~ a, a ~ nn(area, bundle = bundle), nl = TRUE)), "non-linear")
  expect_error(code(brms::bf(y ~ x, sigma ~ nn(area, bundle = bundle))), "not of 'sigma'")
  expect_error(code(brms::mvbf(y ~ nn(area, bundle = bundle), x ~ 1)), "multivariate")
  expect_error(code(y ~ ar() + nn(area, bundle = bundle)), "autocorrelation")
  expect_error(code("y"), "no response|incompatible|expected a formula|invalid formula")
  expect_error(nn(area), "term of the formula of brm_nn")
})

test_that("bundles are named in one way", {
  expect_error(code(y ~ nn(area)), "which bundle")
  mine <- bundle
  expect_match(stancode_nn("y ~ nn(area, bundle = mine)", data), "nn_region", fixed = TRUE)
  expect_error(code(y ~ nn(area, bundle = bundle, type = "PriorCVAE")), "not both")
  expect_error(code(y ~ nn(area, bundle = 3)), "must be a directory")
  expect_error(code(y ~ nn(area, budle = bundle)), "unused argument")
  bare <- grid_copy()
  unlink(file.path(bare, "stan"), recursive = TRUE)
  change(bare, "SHA256SUMS", function(x) x[!grepl("stan/", x)])
  expect_error(code(y ~ nn(area, bundle = bare)), "--to brms --out DIR")
})

test_that("families without one predictor, and threads, are refused before anything is compiled", {
  for (family in c("categorical", "cumulative", "acat", "multinomial")) {
    expect_error(code(y ~ nn(area, bundle = bundle), family = family), "does not fit family")
  }
  expect_error(
    code(y ~ nn(area, bundle = bundle), family = brms::mixture(gaussian, gaussian)),
    "does not fit family"
  )
  expect_error(code(y ~ nn(area, bundle = bundle), threads = brms::threading(2)), "does not thread")
})

test_that("the generated code is read, whatever the model", {
  good <- code(y ~ nn(area, bundle = bundle))
  expect_identical(check_code(good), good)
  # Where brms would put the line elsewhere, leave it out, or overwrite the predictor.
  moved <- sub("mu += nn_f[nn_region];\n", "", good, fixed = TRUE)
  expect_error(check_code(moved), "does not add the spatial effect")
  late <- sub("target += normal", "mu += nn_f[nn_region];\n target += normal", moved, fixed = TRUE)
  expect_error(check_code(late), "does not add the spatial effect")
  anew <- sub("    target += normal", "    mu = X * b;\n    target += normal", good, fixed = TRUE)
  expect_error(check_code(anew), "sets the predictor anew")
  unused <- gsub("normal_lpdf(Y | mu, sigma)", "normal_lpdf(Y | 0, sigma)", good, fixed = TRUE)
  expect_error(check_code(unused), "does not use the predictor")
})

test_that("old versions are refused", {
  expect_error(check_version("brms", package_version("2.17.9"), "2.18.0"), "needs brms 2.18.0 or later")
  expect_error(check_version("rstan", package_version("2.19.3"), "2.21.0"), "needs rstan 2.21.0")
  expect_silent(check_version("rstan", package_version("2.32.6"), "2.21.0"))
  expect_error(check_versions(function(package) package_version("2.20.0")), "needs rstan 2.21.0 or later, and finds 2.20.0")
  expect_silent(check_versions())
})

test_that("brm_nn() refuses bad input before anything is compiled", {
  fit <- function(bundle, frame = data, ...) brm_nn(y ~ x + nn(area, bundle = bundle), frame, ...)
  spoilt <- change(grid_copy(), "areas.csv", function(x) c(x, "more"))
  expect_error(fit(spoilt), "checksum: areas.csv .*cannot be trusted; export it again")
  other <- function(x) gsub("matrix layers_0_1_0_kernel", "matrix layers_9_kernel", x)
  changed <- change(grid_copy(), "stan/decoder.stanfunctions", other, renew = TRUE)
  expect_error(fit(changed), "of another structure than the weights")
  expect_error(fit(bundle, transform(data, area = replace(area, 3, "elsewhere"))), "does not know: 'elsewhere'; it knows")
  outside <- list(lengthscale = "lognormal(0, 10)")
  expect_error(fit(bundle, condition_priors = outside), "outside the trained range, .* where the decoder is not valid")
})

test_that("priors may be changed within the trained range", {
  prior <- function(...) {
    code(y ~ nn(area, bundle = bundle), ...)
  }
  range <- bundle$conditions$lengthscale[c("low", "high")]
  middle <- sqrt(range$low * range$high)
  expect_match(prior(scale_prior = "gamma(2, 3)"), "gamma_lpdf(nn_scale | 2, 3) - (0)", fixed = TRUE)
  expect_match(prior(scale_prior = 0.7), "real nn_scale;", fixed = TRUE)
  cut <- sprintf("normal(%g, 1)T[%g, %g]", middle, 0.9 * middle, 1.1 * middle)
  found <- prior(condition_priors = list(lengthscale = cut))
  expect_match(found, paste0("real<lower=", exact_text(as.numeric(sprintf("%g", 0.9 * middle)))), fixed = TRUE)
  expect_match(prior(condition_priors = list(lengthscale = middle)), "real nn_lengthscale;", fixed = TRUE)
  refused <- list(
    "uniform(0.001, 1000)", "lognormal(0, 10)", range$high * 2, sprintf("normal(1, 1)T[0, %g]", 9 * range$high)
  )
  for (given in refused) {
    expect_error(prior(condition_priors = list(lengthscale = given)), "outside the trained range")
  }
  expect_error(prior(condition_priors = list(lengthscle = 1)), "no condition 'lengthscle'; it has 'lengthscale'")
  expect_error(prior(scale_prior = "normal(0)"), "expected a number, or text such as")
  expect_error(prior(scale_prior = -1), "positive")
})

test_that("densities of truncated priors integrate to one", {
  condition <- list(name = "a", unit = "km", low = 2, high = 9, labels = character())
  cases <- list(
    "normal(3, 2)T[2.5, 8]", "lognormal(1, 0.3)T[2, 9]", "student_t(3, 4, 1)T[2, 9]", "gamma(3, 1)T[2, 9]",
    "inv_gamma(3, 9)T[2, 9]", "cauchy(4, 1)T[2, 9]", "exponential(0.4)T[2, 9]", "uniform(3, 8)", "loguniform(3, 8)"
  )
  logs <- list(
    normal = stats::dnorm, lognormal = stats::dlnorm, gamma = stats::dgamma, cauchy = stats::dcauchy,
    exponential = stats::dexp, uniform = stats::dunif,
    student_t = function(x, df, mu, s, log) stats::dt((x - mu) / s, df, log = TRUE) - log(s),
    inv_gamma = function(x, a, b, log) stats::dgamma(1 / x, a, rate = b, log = TRUE) - 2 * log(x)
  )
  # Stan's spelling, read as R.
  scope <- lapply(logs, function(f) function(x, ...) f(x, ..., log = TRUE))
  names(scope) <- paste0(names(scope), "_lpdf")
  for (given in cases) {
    p <- condition_prior(condition, given)
    text <- gsub("nn_a |", "nn_a,", p$density, fixed = TRUE)
    density <- function(x) exp(eval(str2lang(text), c(scope, list(nn_a = x))))
    expect_equal(stats::integrate(density, p$lower, p$upper, rel.tol = 1e-9)$value, 1, tolerance = 1e-7, info = given)
  }
})

test_that("the trained hyperpriors are those of the bundle format", {
  record <- list(name = "a", unit = "", low = 0.2, high = 0.9, labels = character())
  beta <- trained_prior(c(record, list(distribution = "beta", parameters = list(a = 2, b = 3))))
  expect_match(beta$density, "beta_lpdf((nn_a - (0.2", fixed = TRUE)
  normal <- trained_prior(c(record, list(distribution = "normal", parameters = list(loc = 0.5, scale = 0.1))))
  expect_match(normal$density, "normal_lpdf(nn_a | 0.5, 0.1", fixed = TRUE)
  log_uniform <- trained_prior(c(record, list(distribution = "loguniform", parameters = list())))
  expect_match(log_uniform$density, paste0("-log(nn_a) - ", exact_text(log(log(0.9) - log(0.2)))), fixed = TRUE)
})

test_that("a category is fixed by its label", {
  kernel <- list(name = "kernel", unit = "", low = 0, high = 2, labels = c("rbf", "matern12", "matern32"))
  expect_error(condition_prior(kernel, NULL), "is a category")
  expect_equal(condition_prior(kernel, "matern32")$fixed, 2)
  expect_error(condition_prior(kernel, "matern52"), "expected one of 'rbf'")
})

test_that("values of several layers are found by layer and area", {
  layered <- bundle
  layered$layers <- c("2019", "2020")
  layered$layer_name <- "time"
  effect <- list(bundle = layered, area = "area", layer = "year")
  rows <- data.frame(area = bundle$areas$id[c(3, 3, 20)], year = c(2019, 2020, 2020))
  expect_equal(area_index(rows, effect), c(3L, 23L, 40L))
  expect_equal(bundle_sites(layered)[23], paste0("2020/", bundle$areas$id[3]))
  expect_error(choose_layer(NULL, rows, layered), "layer = time")
  expect_error(choose_layer("year", rows, bundle), "has no layers")
  rows$year[1] <- 2021
  expect_error(area_index(rows, effect), "'2021'")
})

test_that("new data say where they are", {
  effect <- list(bundle = bundle, area = "area")
  rows <- data.frame(area = c(bundle$areas$id[2], NA))
  expect_equal(with_index(rows, effect)$nn_idx, c(2L, 0L))
  expect_error(with_index(data.frame(area = "elsewhere"), effect), "newdata: column 'area' .*'elsewhere'")
  expect_error(with_index(data.frame(x = 1), effect), "newdata has no column 'area'")
  expect_error(with_index(data.frame(nn_idx = 21), effect), "whole numbers from 0 to 20")
})
