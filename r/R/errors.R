# Every refusal says what is wrong, where, and what to do, without a call that means nothing to
# the reader.
refuse <- function(...) {
  stop(..., call. = FALSE)
}

note <- function(...) {
  message("priorvae: ", ...)
}

# A list of values for a message, the first few of many.
listed <- function(values, most = 10L) {
  values <- unique(as.character(values))
  shown <- paste0("'", utils::head(values, most), "'", collapse = ", ")
  more <- length(values) - most
  if (more > 0L) paste0(shown, " and ", more, " more") else shown
}

number_text <- function(x) {
  format(x, digits = 6L, trim = TRUE)
}

# Every digit of a float64.
exact_text <- function(x) {
  trimws(formatC(x, digits = 17L, format = "g"))
}

`%||%` <- function(x, y) if (is.null(x)) y else x
