check_golden <- function(...) {
  bundles <- lapply(list(...), function(b) require_functions(as_bundle(b)))
  if (!length(bundles)) refuse("check_golden(): give it a bundle or a directory")
  use_boost()
  parts <- lapply(seq_along(bundles), function(i) golden_part(bundles[[i]], paste0("d", i, "_")))
  model <- rstan::stan_model(model_code = golden_program(parts))
  fit <- rstan::sampling(
    model,
    data = do.call(c, lapply(parts, `[[`, "data")), algorithm = "Fixed_param", iter = 1L,
    warmup = 0L, chains = 1L, refresh = 0L
  )
  errors <- vapply(parts, golden_error, 0, fit = fit)
  stats::setNames(errors, vapply(bundles, `[[`, "", "id"))
}

golden_error <- function(part, fit) {
  found <- array(rstan::extract(fit, part$f)[[1]], dim(part$expected))
  max(sqrt(rowSums((found - part$expected)^2) / rowSums(part$expected^2)))
}

# A bundle's share of a program, under names of its own, since several may be in one.
golden_part <- function(bundle, prefix) {
  cases <- read_golden(bundle)
  data <- c(
    list(num_sites = length(bundle_sites(bundle)), latent_dim = bundle$latent_dim,
      num_cases = nrow(cases$z)),
    bundle_data(bundle)
  )
  declared <- c(
    vapply(names(data), function(name) declaration(name, data[[name]]), ""),
    "matrix[num_cases, latent_dim] z;", "matrix[num_cases, num_conditions] theta;"
  )
  data <- c(data, list(z = cases$z, theta = cases$theta))
  arguments <- c("z[i]'", "theta[i]'", "low", "high", decoder_arguments(bundle)$name)
  call <- paste0(
    "for (i in 1:num_cases) f[i] = nn_decode(", paste(arguments, collapse = ", "), ")';"
  )
  own <- paste0("\\b((?:", paste(c(names(data), "f"), collapse = "|"), ")\\b|nn_)")
  rename <- function(text) gsub(own, paste0(prefix, "\\1"), text, perl = TRUE)
  names(data) <- paste0(prefix, names(data))
  list(
    functions = gsub("\\bnn_", paste0(prefix, "nn_"), bundle$functions, perl = TRUE),
    declared = rename(declared), field = rename("matrix[num_cases, num_sites] f;"),
    call = rename(call), data = data, f = paste0(prefix, "f"), expected = cases$f
  )
}

golden_program <- function(parts) {
  all_of <- function(name) unlist(lapply(parts, `[[`, name))
  paste(c(
    "functions {", all_of("functions"), "}", "data {", all_of("declared"), "}",
    "generated quantities {", all_of("field"), all_of("call"), "}"
  ), collapse = "\n")
}

# NumPy's archive is a zip without compression of arrays behind short headers.
read_golden <- function(bundle) {
  file <- file.path(bundle$path, "golden.npz")
  names <- c("z", "theta", "f")
  stats::setNames(lapply(names, function(name) read_npy(file, paste0(name, ".npy"))), names)
}

read_npy <- function(file, name) {
  connection <- unz(file, name, "rb")
  on.exit(close(connection))
  start <- readBin(connection, "raw", 8L)
  bytes <- if (start[7] == 1L) 2L else 4L
  size <- sum(as.integer(readBin(connection, "raw", bytes)) * 256^(seq_len(bytes) - 1))
  header <- rawToChar(readBin(connection, "raw", size))
  if (!grepl("'descr': '<f8'", header, fixed = TRUE) || grepl("True", header, fixed = TRUE)) {
    refuse("golden.npz: ", name, " is not an array of float64 in C order")
  }
  shape <- regmatches(header, regexec("\\(([0-9]+), *([0-9]+)\\)", header))[[1]][-1L]
  shape <- as.integer(shape)
  values <- readBin(connection, "numeric", prod(shape), size = 8L, endian = "little")
  matrix(values, shape[1], shape[2], byrow = TRUE)
}
