# Squares about the bundle's centroids, in another order and with one area more.
squares <- function(areas, side = 1) {
  corners <- rbind(c(-1, -1), c(1, -1), c(1, 1), c(-1, 1), c(-1, -1)) * side / 2
  rings <- lapply(seq_len(nrow(areas)), function(i) {
    sf::st_polygon(list(sweep(corners, 2L, c(areas$x_km[i], areas$y_km[i]), "+")))
  })
  far <- sf::st_polygon(list(corners + 100))
  found <- sf::st_sf(id = c(areas$id, "elsewhere"), geometry = sf::st_sfc(c(rings, list(far))))
  found[rev(seq_len(nrow(found))), ]
}

test_that("polygons are drawn in the colours of their areas", {
  skip_if_not_installed("sf")
  areas <- read_bundle(grid_path())$areas
  values <- seq_len(nrow(areas))
  polygons <- squares(areas)
  path <- tempfile(fileext = ".svg")
  grDevices::svg(path)
  draw_polygons(areas, values, polygons, "id", "values")
  grDevices::dev.off()
  svg <- paste(readLines(path), collapse = "")
  # Every area's colour is on the map; what is not of the bundle is not drawn.
  fills <- regmatches(svg, gregexpr("fill:rgb\\([^)]*\\)|fill=\"rgb\\([^)]*\\)", svg))[[1]]
  expect_gte(length(unique(fills)), nrow(areas))
  names(polygons)[1] <- "GEOID"
  expect_error(draw_polygons(areas, values, polygons, "id", ""), "no column 'id'; name it by `id`")
  expect_error(
    draw_polygons(areas, values, polygons[-3, ], "GEOID", ""), "polygons lack areas of the bundle"
  )
})
