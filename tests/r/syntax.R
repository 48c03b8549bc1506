# Parse Stan programs as rstan does: Rscript syntax.R FILE...
for (file in commandArgs(trailingOnly = TRUE)) {
  parsed <- rstan::stanc(file = file)
  stopifnot(isTRUE(parsed$status))
}
