library(testthat)
library(priorvae)

test_check("priorvae")
