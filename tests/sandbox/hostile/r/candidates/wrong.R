# failed: is not TRUE
f <- function(x) {
  list(x)
}
