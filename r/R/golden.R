check_golden <- function(bundle) {
  bundle <- require_functions(as_bundle(bundle))
  use_boost()
  cases <- read_golden(bundle)
  model <- rstan::stan_model(model_code = golden_program(bundle))
  size <- nrow(cases$z)
  data <- c(
    list(num_sites = length(bundle_sites(bundle)), latent_dim = bundle$latent_dim,
      num_cases = size, z = cases$z, theta = cases$theta),
    bundle_data(bundle)
  )
  fit <- rstan::sampling(
    model, data = data, algorithm = "Fixed_param", iter = 1L, warmup = 0L, chains = 1L, refresh = 0L
  )
  found <- rstan::extract(fit, "f")$f[1L, , ]
  errors <- sqrt(rowSums((found - cases$f)^2) / rowSums(cases$f^2))
  max(errors)
}

golden_program <- function(bundle) {
  data <- c(
    list(num_sites = 1L, latent_dim = 1L), bundle_data(bundle)
  )
  declared <- vapply(names(data), function(name) declaration(name, data[[name]]), "")
  arguments <- c("z[i]'", "theta[i]'", "low", "high", decoder_arguments(bundle)$name)
  paste(c(
    "functions {", bundle$functions, "}", "data {", declared, "int<lower=1> num_cases;",
    "matrix[num_cases, latent_dim] z;", "matrix[num_cases, num_conditions] theta;", "}",
    "generated quantities {", "matrix[num_cases, num_sites] f;",
    paste0("for (i in 1:num_cases) f[i] = nn_decode(", paste(arguments, collapse = ", "), ")';"),
    "}"
  ), collapse = "\n")
}

# NumPy's archive is a zip without compression of arrays behind short headers.
read_golden <- function(bundle) {
  file <- file.path(bundle$path, "golden.npz")
  stats::setNames(lapply(c("z", "theta", "f"), function(name) {
    read_npy(file, paste0(name, ".npy"))
  }), c("z", "theta", "f"))
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
