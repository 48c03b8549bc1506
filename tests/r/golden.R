# Decode golden cases with rstan: Rscript golden.R BUNDLE... prints the largest relative errors.
suppressMessages(library(priorvae))
errors <- suppressWarnings(do.call(check_golden, as.list(commandArgs(trailingOnly = TRUE))))
cat(jsonlite::toJSON(unname(errors), digits = NA), "\n")
