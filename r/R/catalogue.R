# The local cache of the catalogue: bundles/TYPE/LEVEL/ISO3/, and below it one or several bundles.

cache_dir <- function() {
  given <- Sys.getenv("PRIORVAE_CACHE")
  if (nzchar(given)) {
    return(path.expand(given))
  }
  base <- Sys.getenv("XDG_CACHE_HOME")
  file.path(if (nzchar(base)) base else path.expand("~/.cache"), "priorvae")
}

find_bundle <- function(type, level, iso3) {
  folder <- file.path(cache_dir(), "bundles", type, level, iso3)
  infos <- list.files(folder, "^bundle\\.json$", recursive = TRUE, full.names = TRUE)
  fits <- vapply(infos, is_bundle_of, NA, type = type, level = level, iso3 = iso3)
  found <- dirname(infos[fits])
  if (length(found) == 1L) {
    return(found)
  }
  wanted <- paste0("nn(type = '", type, "', level = '", level, "', iso3 = '", iso3, "')")
  if (!length(found)) {
    refuse(
      wanted, ": no such bundle in the local cache; looked for a bundle.json below\n  ", folder,
      "\nTrain one and put there what\n",
      "`priorvae export BUNDLE --to brms --out DIR` writes; or give nn(bundle = DIR). ",
      "The cache is PRIORVAE_CACHE, or ~/.cache/priorvae"
    )
  }
  refuse(
    wanted, ": ", length(found), " such bundles in the local cache; choose one by ",
    "nn(bundle = ...):\n", paste0("  ", found, collapse = "\n")
  )
}

is_bundle_of <- function(file, type, level, iso3) {
  info <- tryCatch(
    jsonlite::fromJSON(file, simplifyVector = FALSE),
    error = function(e) list()
  )
  identical(list(info$type, info$level, info$iso3), list(type, level, iso3))
}
