# One model is compiled for all of these.

# Short chains: what is tested holds for any draws, so their warnings are not of interest.
grid_fit <- local({
  kept <- NULL
  function() {
    if (is.null(kept)) {
      kept <<- suppressWarnings(brm_nn(
        y | trials(size) ~ x + nn(area, bundle = grid_path()), grid_data(40L), binomial(),
        prior = brms::prior(normal(0, 1), class = "b"), chains = 2, iter = 600, warmup = 300, seed = 5, refresh = 0,
        control = list(adapt_delta = 0.95)
      ))
    }
    kept
  }
})

manual <- function(fit, rows) {
  draws <- as.matrix(fit)
  index <- match(rows$area, read_bundle(grid_path())$areas$id)
  eta <- draws[, "b_Intercept"] + outer(draws[, "b_x"], rows$x) +
    draws[, paste0("nn_f[", index, "]"), drop = FALSE]
  unname(stats::plogis(eta) * rep(rows$size, each = nrow(draws)))
}

test_that("expectations are what the draws say", {
  skip_unless_slow()
  fit <- grid_fit()
  expect_s3_class(fit, c("priorvae_fit", "brmsfit"), exact = TRUE)
  expect_equal(unname(brms::posterior_epred(fit)), manual(fit, grid_data(40L)), tolerance = 1e-12)
  some <- grid_data(40L)[c(7, 7, 2), ]
  some$x <- c(-1, 1, 0)
  expect_equal(unname(brms::posterior_epred(fit, newdata = some)), manual(fit, some), tolerance = 1e-12)
  linear <- brms::posterior_linpred(fit, newdata = some, draw_ids = c(3, 10, 400))
  expect_equal(unname(linear), stats::qlogis(manual(fit, some) / some$size[1])[c(3, 10, 400), ], tolerance = 1e-10)
})

test_that("log likelihood, loo, predictions and checks are brms' own", {
  skip_unless_slow()
  fit <- grid_fit()
  rows <- grid_data(40L)
  expected <- manual(fit, rows) / rows$size[1]
  y <- rep(rows$y, each = nrow(expected))
  expect_equal(
    unname(brms::log_lik(fit)), matrix(stats::dbinom(y, rows$size[1], expected, log = TRUE), nrow(expected)),
    tolerance = 1e-10
  )
  expect_s3_class(suppressWarnings(brms::loo(fit)), "loo")
  expect_equal(dim(brms::posterior_predict(fit, ndraws = 7)), c(7L, 40L))
  expect_s3_class(brms::pp_check(fit, ndraws = 5), "ggplot")
  expect_length(brms::bayes_R2(fit, summary = FALSE), nrow(expected))
})

test_that("an area that is missing leaves the effect out, an unknown one is an error", {
  skip_unless_slow()
  fit <- grid_fit()
  rows <- data.frame(area = NA, x = 0.5, size = 1L)
  draws <- as.matrix(fit)
  without <- stats::plogis(draws[, "b_Intercept"] + 0.5 * draws[, "b_x"])
  expect_equal(brms::posterior_epred(fit, newdata = rows)[, 1], unname(without), tolerance = 1e-12)
  expect_error(brms::posterior_epred(fit, newdata = transform(rows, area = "nowhere")), "'nowhere'")
  expect_error(brms::posterior_epred(fit, newdata = rows[-1L]), "no column 'area'")
  effect <- suppressMessages(brms::conditional_effects(fit, method = "posterior_epred"))
  expect_named(effect, "x")
  middle <- effect$x[which.min(abs(effect$x$x)), ]
  by_hand <- stats::plogis(draws[, "b_Intercept"] + middle$x * draws[, "b_x"]) * middle$size
  expect_equal(middle$estimate__, stats::median(by_hand), tolerance = 1e-8)
  id <- read_bundle(grid_path())$areas$id[4]
  there <- suppressMessages(brms::conditional_effects(fit, conditions = data.frame(area = id)))$x
  middle <- there[which.min(abs(there$x)), ]
  rows <- data.frame(area = id, x = middle$x, size = middle$size)
  expect_equal(middle$estimate__, stats::median(manual(fit, rows)), tolerance = 1e-8)
})

test_that("the summary names the effect's parameters", {
  skip_unless_slow()
  fit <- grid_fit()
  found <- suppressWarnings(summary(fit))$spatial
  expect_equal(rownames(found), c("scale", "lengthscale"))
  expect_equal(found["lengthscale", "Estimate"], mean(as.matrix(fit)[, "nn_lengthscale"]))
  expect_equal(found["lengthscale", "Unit"], "km")
  narrow <- suppressWarnings(summary(fit, prob = 0.5))$spatial
  quarter <- stats::quantile(as.matrix(fit)[, "nn_scale"], 0.25)
  expect_equal(narrow["scale", "l-50% CI"], unname(quarter))
  shown <- paste(capture.output(suppressWarnings(print(fit))), collapse = "\n")
  expect_match(shown, "Spatial effect: y | trials(size) ~ x + nn(area, bundle = grid_path())", fixed = TRUE)
})

test_that("effects come with their areas, and maps with their values", {
  skip_unless_slow()
  fit <- grid_fit()
  draws <- spatial_effects(fit, summary = FALSE)
  table <- spatial_effects(fit)
  expect_equal(colnames(draws), read_bundle(grid_path())$areas$id)
  expect_equal(table$Estimate, unname(colMeans(draws)))
  grDevices::pdf(NULL)
  on.exit(grDevices::dev.off())
  map <- plot_map(fit, statistic = "exceedance", threshold = 0.1)
  expect_equal(map$value, unname(colMeans(draws > 0.1)))
  response <- plot_map(fit, "response", newdata = grid_data(20L))
  expect_equal(response$value, colMeans(manual(fit, grid_data(20L))), tolerance = 1e-12)
})

test_that("an update takes new rows in other areas, without a compiler", {
  skip_unless_slow()
  fit <- grid_fit()
  rows <- grid_data(20L, seed = 3L)[c(20:11), ]
  again <- suppressWarnings(update(
    fit, newdata = rows, recompile = FALSE, chains = 1, iter = 300, refresh = 0, seed = 2
  ))
  expect_s3_class(again, "priorvae_fit")
  expect_equal(as.integer(brms::standata(again)$nn_region), 20:11)
  expect_equal(unname(brms::posterior_epred(again)), manual(again, rows), tolerance = 1e-12)
  expect_error(update(fit, y ~ 1), "call brm_nn\\(\\) again")
  expect_error(update(fit, newdata = transform(rows, area = "nowhere")), "'nowhere'")
})

test_that("the prior alone is the trained one", {
  skip_unless_slow()
  prior <- update(
    grid_fit(), sample_prior = "only", recompile = FALSE, chains = 2, iter = 3000, warmup = 500,
    refresh = 0, seed = 4
  )
  draws <- as.matrix(prior)
  range <- log(unlist(prior$priorvae$bundle$conditions$lengthscale[c("low", "high")]))
  place <- (log(draws[, "nn_lengthscale"]) - range[1]) / diff(range)
  # Uniform on its scale, and half-normal: means by six Monte Carlo standard errors.
  array <- brms::as_draws_array(prior, variable = c("nn_lengthscale", "nn_scale"))
  ess <- apply(array, 3L, posterior::ess_bulk)
  expect_lt(abs(mean(place) - 0.5), 6 * sqrt(1 / 12 / ess[1]))
  expect_lt(abs(mean(draws[, "nn_scale"]) - sqrt(2 / pi)), 6 * sqrt((1 - 2 / pi) / ess[2]))
})

test_that("golden cases are decoded by rstan", {
  skip_unless_slow()
  expect_lt(check_golden(grid_path()), 1e-10)
})
