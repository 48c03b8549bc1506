summary.priorvae_fit <- function(object, ..., prob = 0.95) {
  found <- summary(as_brmsfit(object), prob = prob, ...)
  found$priorvae <- object$priorvae
  found$spatial <- effect_summary(object, prob)
  class(found) <- c("priorvae_summary", class(found))
  found
}

# Scale and conditions as brms summarises other parameters, with their units.
effect_summary <- function(object, prob) {
  free <- free(object$priorvae$priors)
  if (!length(free)) {
    return(NULL)
  }
  variables <- paste0("nn_", vapply(free, `[[`, "", "name"))
  ends <- c((1 - prob) / 2, (1 + prob) / 2)
  draws <- posterior_array(object, variables)
  rows <- lapply(seq_along(free), function(i) {
    x <- draws[, , i]
    data.frame(
      Estimate = mean(x), Est.Error = stats::sd(x), low = stats::quantile(x, ends[1]),
      high = stats::quantile(x, ends[2]), Rhat = posterior::rhat(x),
      Bulk_ESS = posterior::ess_bulk(x), Tail_ESS = posterior::ess_tail(x),
      Unit = free[[i]]$unit, Prior = free[[i]]$text,
      row.names = free[[i]]$name, check.names = FALSE
    )
  })
  table <- do.call(rbind, rows)
  names(table)[3:4] <- paste0(c("l-", "u-"), 100 * prob, "% CI")
  table
}

# (iteration, chain, variable).
posterior_array <- function(object, variables) {
  found <- as.array(as_brmsfit(object), variable = variables)
  array(as.numeric(found), c(dim(found)[1:2], length(variables)))
}

print.priorvae_summary <- function(x, digits = 2, ...) {
  effect <- x$priorvae
  inner <- x
  class(inner) <- setdiff(class(x), "priorvae_summary")
  print(inner, digits = digits, ...)
  cat("\nSpatial effect: ", effect$formula, "\n", sep = "")
  cat("  nn() is ", effect$bundle$id, " at ", effect$area, ", ",
    length(bundle_sites(effect$bundle)), " values\n",
    sep = ""
  )
  for (p in Filter(function(p) !is.null(p$fixed), effect$priors)) {
    cat("  ", p$name, " fixed to ", number_text(p$fixed), " ", p$unit, "\n", sep = "")
  }
  if (!is.null(x$spatial)) {
    table <- x$spatial
    numbers <- vapply(table, is.numeric, NA)
    table[numbers] <- lapply(table[numbers], function(v) {
      formatC(v, digits = digits, format = "f")
    })
    table[c("Bulk_ESS", "Tail_ESS")] <- lapply(
      x$spatial[c("Bulk_ESS", "Tail_ESS")], function(v) formatC(v, digits = 0L, format = "f")
    )
    print(table)
  }
  invisible(x)
}

print.priorvae_fit <- function(x, digits = 2, ...) {
  print(summary(x, ...), digits = digits)
  invisible(x)
}
