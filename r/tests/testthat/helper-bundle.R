# The bundle that comes with the package, and copies of it to spoil.

grid_path <- function() system.file("extdata", "grid20", package = "priorvae")

grid_copy <- function() {
  folder <- tempfile("grid20-")
  dir.create(folder)
  file.copy(list.files(grid_path(), full.names = TRUE), folder, recursive = TRUE)
  folder
}

# A file of a bundle changed by a function of its text, its sums renewed where that is asked for.
change <- function(folder, name, edit, renew = FALSE) {
  file <- file.path(folder, name)
  writeLines(edit(readLines(file)), file)
  if (renew) renew_sums(folder, name)
  invisible(folder)
}

renew_sums <- function(folder, name) {
  file <- file.path(folder, "SHA256SUMS")
  lines <- readLines(file)
  at <- endsWith(lines, paste0("  ", name))
  lines[at] <- paste0(digest::digest(file = file.path(folder, name), algo = "sha256"), "  ", name)
  writeLines(lines, file)
}

grid_data <- function(n = 20L, seed = 1L) {
  set.seed(seed)
  areas <- read_bundle(grid_path())$areas
  data.frame(
    area = areas$id[(seq_len(n) - 1L) %% nrow(areas) + 1L], x = stats::rnorm(n), size = 30L,
    y = stats::rbinom(n, 30L, 0.3)
  )
}

skip_unless_slow <- function() {
  if (!nzchar(Sys.getenv("PRIORVAE_SLOW_TESTS"))) {
    testthat::skip("compiles and samples; set PRIORVAE_SLOW_TESTS=1")
  }
}
