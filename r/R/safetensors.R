# Weights are stored row-major behind a JSON header whose length comes first.
read_safetensors <- function(path) {
  name <- basename(path)
  data <- readBin(path, "raw", file.size(path))
  if (length(data) < 8L) {
    refuse(name, ": too short for a safetensors file (truncated?)")
  }
  # Unsigned, 64 bits: two halves, of which the upper one is nought.
  size <- sum(as.numeric(data[1:8]) * 256^(0:7))
  if (size > length(data) - 8) {
    refuse(name, ": not a safetensors file, or truncated")
  }
  header <- tryCatch(
    jsonlite::fromJSON(rawToChar(data[8L + seq_len(size)]), simplifyVector = FALSE),
    error = function(e) refuse(name, ": its header is not valid JSON")
  )
  header[["__metadata__"]] <- NULL
  start <- 8 + size
  stats::setNames(
    lapply(names(header), function(key) read_tensor(data, start, header[[key]], key, name)),
    names(header)
  )
}

# A list of its shape and its values as stored: the last dimension runs fastest.
read_tensor <- function(data, start, entry, key, name) {
  bytes <- switch(entry$dtype, F32 = 4L, F64 = 8L)
  if (is.null(bytes)) {
    refuse(name, ": weight '", key, "' is of type ", entry$dtype, "; expected F32 or F64")
  }
  shape <- as.integer(unlist(entry$shape))
  ends <- as.numeric(unlist(entry$data_offsets))
  count <- prod(shape)
  if (ends[2] - ends[1] != count * bytes || start + ends[2] > length(data)) {
    refuse(name, ": weight '", key, "' does not have the bytes of its shape (truncated?)")
  }
  # A float32 becomes the double of the same value.
  part <- data[start + ends[1] + seq_len(ends[2] - ends[1])]
  values <- readBin(part, "numeric", n = count, size = bytes, endian = "little")
  list(shape = shape, values = values)
}

# As Stan takes it: a vector, or a matrix; those of three dimensions stacked to a matrix.
stan_array <- function(tensor) {
  if (length(tensor$shape) == 1L) {
    return(array(tensor$values, tensor$shape))
  }
  matrix(tensor$values, ncol = utils::tail(tensor$shape, 1L), byrow = TRUE)
}
