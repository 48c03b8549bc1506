# Data join by id, never by position.

as_ids <- function(x) {
  if (is.numeric(x) && all(x == round(x), na.rm = TRUE)) {
    # 100000 is not "1e+05".
    return(ifelse(is.na(x), NA, sprintf("%.0f", x)))
  }
  as.character(x)
}

choose_area <- function(area, data, bundle) {
  if (!is.null(area)) {
    if (!area %in% names(data)) {
      refuse("nn(): the data have no column '", area, "'; they have ", listed(names(data)))
    }
    return(area)
  }
  fits <- vapply(data, function(x) is.atomic(x) && all(as_ids(x) %in% bundle$areas$id), NA)
  found <- names(data)[fits]
  if (length(found) == 1L) {
    note("nn() takes the areas from column '", found, "'")
    return(found)
  }
  refuse(
    "nn(): no area named, and ",
    if (length(found)) paste0("several columns have ids of the bundle alone: ", listed(found))
    else paste0("no column of the data has ids of the bundle alone, such as ",
      listed(bundle$areas$id, 3L)),
    "; name it, as in nn(area, ...)"
  )
}

choose_layer <- function(layer, data, bundle) {
  if (is.null(bundle$layers)) {
    if (!is.null(layer)) {
      refuse("nn(): the bundle has no layers (times or outcomes), so leave out `layer`")
    }
    return(NULL)
  }
  if (is.null(layer)) {
    refuse(
      "nn(): the bundle has a value an area for each ", bundle$layer_name, " (",
      paste(bundle$layers, collapse = ", "), "); name the column that says which, as in ",
      "nn(area, layer = ", bundle$layer_name, ", ...)"
    )
  }
  if (!layer %in% names(data)) {
    refuse("nn(): the data have no column '", layer, "'; they have ", listed(names(data)))
  }
  layer
}

# Positions in f, from 1. An area that is missing (NA) has none: 0, where `missing` allows it.
area_index <- function(data, effect, where = "data", missing = FALSE) {
  bundle <- effect$bundle
  index <- positions(data[[effect$area]], bundle$areas$id, effect$area, where, missing)
  if (is.null(effect$layer)) {
    return(index)
  }
  layer <- positions(data[[effect$layer]], bundle$layers, effect$layer, where, missing)
  ifelse(index == 0L | layer == 0L, 0L, (layer - 1L) * nrow(bundle$areas) + index)
}

positions <- function(values, known, column, where, missing) {
  ids <- as_ids(values)
  unknown <- !is.na(ids) & !ids %in% known
  if (any(unknown)) {
    refuse(
      where, ": column '", column, "' has ", length(unique(ids[unknown])),
      " value(s) that the bundle does not know: ", listed(ids[unknown]),
      "; it knows ", listed(known, 5L)
    )
  }
  if (anyNA(ids) && !missing) {
    refuse(where, ": column '", column, "' is missing (NA) in row(s) ",
      listed(which(is.na(ids))), "; leave these rows out")
  }
  index <- match(ids, known)
  index[is.na(index)] <- 0L
  index
}

# New data with the index brms asks for. Data that brms itself made have it already.
with_index <- function(newdata, effect) {
  if (is.null(newdata)) {
    return(NULL)
  }
  newdata <- as.data.frame(newdata)
  wanted <- c(effect$area, effect$layer)
  if (all(wanted %in% names(newdata))) {
    newdata[[INDEX]] <- area_index(newdata, effect, "newdata", missing = TRUE)
    return(newdata)
  }
  if (!INDEX %in% names(newdata)) {
    refuse(
      "newdata has no column ", listed(setdiff(wanted, names(newdata))),
      ", which says where its rows are; NA there leaves the spatial effect out"
    )
  }
  check_index(newdata[[INDEX]], effect)
  newdata
}

check_index <- function(index, effect) {
  size <- length(bundle_sites(effect$bundle))
  if (!all(index %in% 0:size)) {
    refuse("newdata: '", INDEX, "' must be whole numbers from 0 to ", size,
      "; give the column '", effect$area, "' in its place")
  }
}
