# Fit the regression of test_posteriors.py with brms: Rscript posterior.R FOLDER. Reads data.csv and
# settings.json there, writes draws.json and, as float64 in Fortran order, draws.bin.
suppressMessages({
  library(brms)
  library(priorvae)
})
folder <- commandArgs(trailingOnly = TRUE)[1]
settings <- jsonlite::fromJSON(file.path(folder, "settings.json"))
rows <- utils::read.csv(file.path(folder, "data.csv"), colClasses = c(id = "character"))
fit <- brm_nn(
  y ~ x + offset(exposure) + nn(id, bundle = settings$bundle), rows, poisson(),
  prior = c(
    set_prior(settings$intercept, class = "Intercept"), set_prior(settings$slope, class = "b")
  ),
  chains = 4, iter = settings$warmup + settings$draws, warmup = settings$warmup, seed = 1,
  # brms samples the intercept and not its sum with the effect's mean, which takes smaller steps.
  refresh = 0, control = list(adapt_delta = 0.99)
)
draws <- as.array(fit, variable = c("b_Intercept", "b_x", "nn_scale", "nn_lengthscale"))
# Draws of a chain follow one another.
mu <- array(posterior_epred(fit), c(dim(draws)[1:2], nrow(rows)))
all <- array(c(draws, mu), c(dim(draws)[1:2], dim(draws)[3] + nrow(rows)))
writeBin(as.vector(all), file.path(folder, "draws.bin"))
jsonlite::write_json(list(shape = dim(all)), file.path(folder, "draws.json"))
