FORMAT_VERSION <- 1L
FUNCTIONS_FILE <- "stan/decoder.stanfunctions"

read_bundle <- function(path) {
  path <- path.expand(path)
  info_file <- file.path(path, "bundle.json")
  if (!file.exists(info_file)) {
    refuse(
      path, ": not a bundle: no bundle.json in it; give the directory that ",
      "`priorvae export BUNDLE --to brms --out DIR` wrote"
    )
  }
  tryCatch(
    bundle <- read_parts(path, info_file),
    error = function(e) {
      refuse(
        path, ": ", conditionMessage(e),
        "\nThe bundle cannot be trusted; export it again, or get a fresh copy"
      )
    }
  )
  if (bundle$certificate != "passed") {
    warning(
      path, ": this bundle is not certified (", bundle$certificate, "): how close it is to its ",
      "prior is not known to be close enough; see `priorvae evaluate`",
      call. = FALSE
    )
  }
  bundle
}

read_parts <- function(path, info_file) {
  info <- read_info(info_file)
  check_sums(path, info)
  areas <- read_areas(file.path(path, "areas.csv"))
  if (nrow(areas) != info$num_areas) {
    refuse("areas.csv has ", nrow(areas), " rows, bundle.json says ", info$num_areas)
  }
  weights <- read_safetensors(file.path(path, "decoder.safetensors"))
  # What continues a piVAE between its areas is no part of its decoder.
  weights <- weights[!startsWith(names(weights), "features.")]
  check_weights(weights, info)
  layers <- if (is.null(info$layers)) NULL else as.character(unlist(info$layers$labels))
  bundle <- structure(
    list(
      path = path, id = info$id, name = info$name, type = info$type, level = info$level,
      iso3 = info$iso3, process = info$process, areas = areas, layer_name = info$layers$name,
      layers = layers, latent_dim = as.integer(info$latent_dim),
      conditions = lapply(info$conditions, read_condition),
      certificate = info$certificate$status, created = info$created, weights = weights,
      functions = read_functions(path)
    ),
    class = "priorvae_bundle"
  )
  names(bundle$conditions) <- vapply(bundle$conditions, `[[`, "", "name")
  check_size(bundle, info)
  bundle
}

read_info <- function(file) {
  info <- tryCatch(
    jsonlite::fromJSON(file, simplifyVector = FALSE),
    error = function(e) refuse("bundle.json is not valid JSON (truncated?)")
  )
  if (!identical(as.integer(info$format_version), FORMAT_VERSION)) {
    refuse(
      "format version: bundle.json has ", listed(info$format_version %||% "none"),
      ", this package reads ", FORMAT_VERSION, "; a newer bundle needs a newer package"
    )
  }
  info
}

read_condition <- function(record) {
  record$parameters <- lapply(record$parameters, as.numeric)
  record$labels <- as.character(unlist(record$labels))
  record$low <- as.numeric(record$low)
  record$high <- as.numeric(record$high)
  record
}

# Ids are text, whatever they look like: '037' keeps its nought, and 'NA' is Namibia.
read_areas <- function(file) {
  areas <- utils::read.csv(
    file,
    colClasses = "character", na.strings = character(), encoding = "UTF-8"
  )
  if (!identical(names(areas), c("id", "name", "x_km", "y_km"))) {
    refuse("areas.csv: expected the columns id, name, x_km, y_km, got ", listed(names(areas)))
  }
  areas$x_km <- suppressWarnings(as.numeric(areas$x_km))
  areas$y_km <- suppressWarnings(as.numeric(areas$y_km))
  areas
}

check_size <- function(bundle, info) {
  width <- layers_width(info$decoder, info$latent_dim, length(info$conditions))
  if (width != length(bundle_sites(bundle))) {
    refuse(
      "shapes: the decoder returns ", width, " values, and the bundle has ",
      length(bundle_sites(bundle)), " areas"
    )
  }
}

# Checksums -----------------------------------------------------------------------------------

check_sums <- function(path, info) {
  sums <- read_sums(file.path(path, "SHA256SUMS"))
  needed <- c("bundle.json", "decoder.safetensors", "areas.csv", names(info$files))
  if (file.exists(file.path(path, FUNCTIONS_FILE))) needed <- c(needed, FUNCTIONS_FILE)
  missing <- setdiff(needed, names(sums))
  if (length(missing)) {
    refuse("checksum: SHA256SUMS lists no ", listed(missing))
  }
  for (name in names(sums)) check_sum(path, name, sums[[name]])
  for (name in names(info$files)) {
    if (!identical(info$files[[name]]$sha256, sums[[name]])) {
      refuse("checksum: ", name, " has one checksum in bundle.json and another in SHA256SUMS")
    }
  }
}

read_sums <- function(file) {
  if (!file.exists(file)) refuse("SHA256SUMS is missing")
  lines <- readLines(file, encoding = "UTF-8", warn = FALSE)
  stats::setNames(as.list(substr(lines, 1L, 64L)), substring(lines, 67L))
}

check_sum <- function(path, name, expected) {
  file <- file.path(path, name)
  # A sum file is read before it is trusted: it may name nothing outside the bundle.
  if (startsWith(name, "/") || ".." %in% strsplit(name, "/", fixed = TRUE)[[1]]) {
    refuse("SHA256SUMS lists '", name, "', which is not a file of the bundle")
  }
  if (!file.exists(file)) refuse("checksum: ", name, " is missing")
  if (!identical(digest::digest(file = file, algo = "sha256"), expected)) {
    refuse("checksum: ", name, " is not the file that was written")
  }
}

# The decoder as Stan functions -----------------------------------------------------------------

read_functions <- function(path) {
  file <- file.path(path, FUNCTIONS_FILE)
  if (!file.exists(file)) {
    return(NULL)
  }
  paste(readLines(file, encoding = "UTF-8", warn = FALSE), collapse = "\n")
}

require_functions <- function(bundle) {
  if (!is.null(bundle$functions)) {
    return(invisible(bundle))
  }
  refuse(
    bundle$path, ": has no ", FUNCTIONS_FILE, ", which brms needs; write it with\n",
    "  priorvae export ", bundle$path, " --to brms --out DIR\nand use DIR"
  )
}

# The weights as `nn_decode` takes them: a data frame of Stan names and types, in its order.
decoder_arguments <- function(bundle) {
  pattern <- "vector nn_decode\\(vector z, vector theta, vector low, vector high([^)]*)\\)"
  found <- regmatches(bundle$functions, regexec(pattern, bundle$functions))[[1]]
  if (length(found) != 2L) {
    refuse(bundle$path, ": ", FUNCTIONS_FILE, " defines no nn_decode(z, theta, low, high, ...)")
  }
  parts <- strsplit(trimws(strsplit(sub("^, ", "", found[2]), ",", fixed = TRUE)[[1]]), " ")
  parts <- parts[lengths(parts) == 2L]
  arguments <- data.frame(
    type = vapply(parts, `[`, "", 1L), name = vapply(parts, `[`, "", 2L)
  )
  own <- ifelse(lengths(lapply(bundle$weights, `[[`, "shape")) == 1L, "vector", "matrix")
  names(own) <- stan_name(names(bundle$weights))
  if (!setequal(names(own), arguments$name) || any(own[arguments$name] != arguments$type)) {
    refuse(
      bundle$path, ": ", FUNCTIONS_FILE, " is of another structure than the weights: it takes ",
      listed(arguments$name), ", the bundle has ", listed(names(own)), "; export it again"
    )
  }
  arguments
}

stan_name <- function(weight) gsub(".", "_", weight, fixed = TRUE)

bundle_data <- function(bundle) {
  data <- list(
    num_conditions = length(bundle$conditions),
    low = array(vapply(bundle$conditions, `[[`, 0, "low"), length(bundle$conditions)),
    high = array(vapply(bundle$conditions, `[[`, 0, "high"), length(bundle$conditions))
  )
  for (name in names(weight_order(bundle))) {
    value <- stan_array(bundle$weights[[name]])
    own <- stan_name(name)
    data[[paste0(own, "_rows")]] <- dim(value)[1]
    if (is.matrix(value)) data[[paste0(own, "_cols")]] <- ncol(value)
    data[[own]] <- value
  }
  data
}

# Weights by name, in the order of the decoder's arguments where those are known.
weight_order <- function(bundle) {
  if (is.null(bundle$functions)) {
    return(bundle$weights)
  }
  position <- match(decoder_arguments(bundle)$name, stan_name(names(bundle$weights)))
  bundle$weights[position]
}

# A name for each value of f: the area's id, or `layer/id` where there are layers.
bundle_sites <- function(bundle) {
  ids <- bundle$areas$id
  if (is.null(bundle$layers)) {
    return(ids)
  }
  paste0(rep(bundle$layers, each = length(ids)), "/", rep(ids, length(bundle$layers)))
}

as_bundle <- function(bundle) {
  if (inherits(bundle, "priorvae_bundle")) {
    return(bundle)
  }
  if (!is.character(bundle) || length(bundle) != 1L || is.na(bundle)) {
    refuse("nn(): `bundle` must be a directory or what read_bundle() returned, got ",
      class(bundle)[1])
  }
  read_bundle(bundle)
}

# Printing ----------------------------------------------------------------------------------------

span_text <- function(condition) {
  if (length(condition$labels)) {
    return(paste("one of", paste(condition$labels, collapse = ", ")))
  }
  trimws(paste(
    number_text(condition$low), "to", number_text(condition$high), condition$unit
  ))
}

format_process <- function(process) {
  paste(c(process$kind, process$kernel), collapse = ", ")
}

print.priorvae_bundle <- function(x, ...) {
  ids <- utils::head(x$areas$id, 3L)
  cat("priorvae bundle ", x$id, "\n", sep = "")
  cat("  prior       ", format_process(x$process), "\n", sep = "")
  cat("  areas       ", nrow(x$areas), ": ", paste(ids, collapse = ", "),
    if (nrow(x$areas) > 3L) ", ...", "\n",
    sep = ""
  )
  if (length(x$layers)) {
    cat("  ", format(x$layer_name, width = 12L), paste(x$layers, collapse = ", "), "\n", sep = "")
  }
  cat("  latents     ", x$latent_dim, "\n", sep = "")
  for (condition in x$conditions) {
    cat("  condition   ", condition$name, ": ", span_text(condition), " (",
      condition$distribution, ")\n",
      sep = ""
    )
  }
  cat("  certificate ", x$certificate, "\n", sep = "")
  if (x$certificate != "passed") {
    cat("  WARNING: not certified; it may not be close enough to its prior\n")
  }
  if (is.null(x$functions)) {
    cat("  without Stan functions: `priorvae export ... --to brms` writes them\n")
  }
  invisible(x)
}
