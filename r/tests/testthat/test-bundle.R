test_that("a bundle says what it is", {
  bundle <- read_bundle(grid_path())
  expect_s3_class(bundle, "priorvae_bundle")
  expect_equal(nrow(bundle$areas), 20L)
  shown <- paste(capture.output(print(bundle)), collapse = "\n")
  expect_match(shown, bundle$id, fixed = TRUE)
  expect_match(shown, "condition   lengthscale: .* \\(loguniform\\)")
  expect_match(shown, "certificate passed")
  expect_no_match(shown, "WARNING")
})

test_that("weights become Stan data by the names of the decoder's arguments", {
  data <- bundle_data(read_bundle(grid_path()))
  expect_equal(data$num_conditions, 1L)
  expect_equal(dim(data$low), 1L)
  kernel <- data$layers_0_1_0_kernel
  expect_equal(dim(kernel), c(data$layers_0_1_0_kernel_rows, data$layers_0_1_0_kernel_cols))
  # A float32 keeps its value.
  raw <- writeBin(as.vector(kernel), raw(), size = 4L)
  expect_identical(readBin(raw, "numeric", length(kernel), size = 4L), as.vector(kernel))
})

test_that("tensors are row-major, and those of three dimensions are stacked", {
  stacked <- stan_array(list(shape = c(2L, 2L, 3L), values = as.numeric(1:12)))
  expect_equal(stacked, matrix(as.numeric(1:12), 4L, 3L, byrow = TRUE))
  expect_equal(stan_array(list(shape = 2L, values = c(1, 2))), array(c(1, 2), 2L))
})

test_that("golden cases decode as they should, by the weights that were read", {
  bundle <- read_bundle(grid_path())
  cases <- read_golden(bundle)
  data <- bundle_data(bundle)
  # f = (z * g) A + ((z B) * h) C, the gated linear decoder, written out.
  low <- log(as.vector(data$low))
  high <- log(as.vector(data$high))
  u <- 2 * (log(cases$theta[, 1]) - low) / (high - low) - 1
  degrees <- seq_len(nrow(data$layers_0_0_0_coefficients)) - 1
  basis <- cos(outer(acos(pmax(-1, pmin(1, u))), degrees))
  own <- cases$z * basis %*% data$layers_0_0_0_coefficients
  mixing <- (cases$z %*% data$layers_0_1_0_kernel) * basis %*% data$layers_0_1_1_coefficients
  f <- own %*% data$layers_0_0_1_kernel + mixing %*% data$layers_0_1_2_kernel
  expect_lt(max(abs(f - cases$f)) / max(abs(cases$f)), 1e-10)
})

test_that("a file that was changed is named", {
  for (name in c("areas.csv", "edges.csv", "README.md", "stan/decoder.stanfunctions")) {
    folder <- change(grid_copy(), name, function(x) c(x, "more"))
    expect_error(read_bundle(folder), paste0("checksum: ", name), fixed = TRUE)
  }
  folder <- grid_copy()
  unlink(file.path(folder, "edges.csv"))
  expect_error(read_bundle(folder), "edges.csv is missing")
})

test_that("a changed file with a new sum disagrees with bundle.json", {
  folder <- change(grid_copy(), "areas.csv", function(x) x[-2L], renew = TRUE)
  expect_error(read_bundle(folder), "areas.csv has one checksum in bundle.json")
})

test_that("what is no bundle, or a newer one, is refused", {
  expect_error(read_bundle(tempdir()), "not a bundle: no bundle.json")
  newer <- function(x) sub("\"format_version\": 1", "\"format_version\": 2", x)
  folder <- change(grid_copy(), "bundle.json", newer, renew = TRUE)
  expect_error(read_bundle(folder), "format version: bundle.json has '2', this package reads 1")
  folder <- change(grid_copy(), "bundle.json", function(x) utils::head(x, 10L), renew = TRUE)
  expect_error(read_bundle(folder), "not valid JSON")
})

test_that("weights of another structure are refused", {
  wider <- function(x) sub("\"units\": 30", "\"units\": 7", x)
  folder <- change(grid_copy(), "bundle.json", wider, renew = TRUE)
  expect_error(read_bundle(folder), "weight 'layers.0.1.0.kernel' has shape \\(20, 30\\), its layer needs \\(20, 7\\)")
  other <- function(x) gsub("matrix layers_0_1_0_kernel", "matrix layers_9_kernel", x)
  folder <- change(grid_copy(), "stan/decoder.stanfunctions", other, renew = TRUE)
  bundle <- read_bundle(folder)
  expect_error(bundle_data(bundle), "of another structure than the weights")
})

test_that("a bundle that is not certified warns", {
  failed <- function(x) sub("\"status\": \"passed\"", "\"status\": \"failed\"", x)
  folder <- change(grid_copy(), "bundle.json", failed, renew = TRUE)
  expect_warning(bundle <- read_bundle(folder), "not certified")
  expect_output(print(bundle), "WARNING: not certified")
})

test_that("shapes follow the layer records", {
  sum <- list(kind = "sum", branches = list(list(), list(list(kind = "dense", units = 3, bias = TRUE))))
  records <- list(
    list(kind = "mixture", units = 3, rank = 2, degrees = list(4)), list(kind = "layer-norm"), sum,
    list(kind = "concat-condition"), list(kind = "film", degrees = list(1)),
    list(kind = "radial", units = 5)
  )
  found <- weight_shapes(list(decoder = records, latent_dim = 6, conditions = list(1)))
  expect_equal(found, list(
    layers.0.coefficients = c(5, 2), layers.0.kernels = c(2, 6, 3), layers.1.scale = 3,
    layers.1.bias = 3, layers.2.1.0.kernel = c(3, 3), layers.2.1.0.bias = 3,
    layers.4.scale = c(2, 4), layers.4.shift = c(2, 4), layers.5.centres = c(5, 4)
  ))
})

test_that("the catalogue's cache is searched by type, level and iso3", {
  cache <- tempfile("cache-")
  old <- Sys.getenv("PRIORVAE_CACHE")
  Sys.setenv(PRIORVAE_CACHE = cache)
  on.exit(Sys.setenv(PRIORVAE_CACHE = old))
  expect_error(find_bundle("GatedLinear", "grid", "XXX"), "no such bundle in the local cache")
  put <- function(version) {
    folder <- file.path(cache, "bundles", "GatedLinear", "grid", "XXX", version)
    dir.create(folder, recursive = TRUE)
    file.copy(list.files(grid_path(), full.names = TRUE), folder, recursive = TRUE)
    folder
  }
  folder <- put("0.1.0")
  expect_equal(find_bundle("GatedLinear", "grid", "XXX"), folder)
  code <- stancode_nn(
    y ~ nn(area, type = "GatedLinear", level = "grid", iso3 = "XXX"), grid_data()
  )
  expect_match(code, "mu += nn_f[nn_region];", fixed = TRUE)
  put("0.2.0")
  expect_error(find_bundle("GatedLinear", "grid", "XXX"), "2 such bundles")
})
