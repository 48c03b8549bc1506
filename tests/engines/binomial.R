# Fit a map of test_binomial.py with brms: Rscript binomial.R FOLDER TYPE LEVEL ISO3. Reads data.csv
# there, and the bundle from the cache that PRIORVAE_CACHE names; writes draws.csv, expected.csv,
# log_lik.csv, result.json and check.pdf.
suppressMessages({
  library(brms)
  library(priorvae)
})
arguments <- commandArgs(trailingOnly = TRUE)
folder <- arguments[1]
key <- list(type = arguments[2], level = arguments[3], iso3 = arguments[4])
at <- function(name) file.path(folder, name)
save_table <- function(values, name) {
  text <- formatC(values, digits = 17L, format = "g")
  utils::write.csv(text, at(name), row.names = FALSE, quote = FALSE)
}
rows <- utils::read.csv(at("data.csv"), colClasses = c(area_id = "character"))

fit <- brm_nn(
  y | trials(n) ~ 1 + nn(area_id, type = key$type, level = key$level, iso3 = key$iso3), rows,
  binomial(), chains = 2, iter = 1000, warmup = 500, seed = 1, refresh = 0,
  control = list(adapt_delta = 0.95)
)
expected <- unname(posterior_epred(fit))
draws <- as.matrix(fit)
ids <- spatial_effects(fit)$id
f <- draws[, paste0("nn_f[", match(rows$area_id, ids), "]")]
manual <- rep(rows$n, each = nrow(draws)) * stats::plogis(draws[, "b_Intercept"] + f)

grDevices::pdf(at("check.pdf"))
print(pp_check(fit, ndraws = 20))
invisible(grDevices::dev.off())
found <- loo(fit)
save_table(draws[, !grepl("^nn_f", colnames(draws))], "draws.csv")
save_table(expected, "expected.csv")
save_table(log_lik(fit), "log_lik.csv")
jsonlite::write_json(
  list(
    apart = max(abs(expected - unname(manual))), elpd = found$estimates["elpd_loo", "Estimate"],
    worst_k = max(found$diagnostics$pareto_k), rhat = max(rhat(fit), na.rm = TRUE)
  ),
  at("result.json"),
  auto_unbox = TRUE, digits = NA
)
