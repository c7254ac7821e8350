# failed: left before its end (exit status 0)
f <- function(x) {
  list(4)
}
quit('no', 0)
