# Values between the two processes, a line each on standard input and output: what R writes of a value, read by R's
# parser and evaluated only where it calls nothing but what makes plain data. What a program prints goes to standard error.
chaku <- local({
  from <- file("stdin", "r")
  control <- c("keepNA", "keepInteger", "niceNames", "showAttributes", "hexNumeric")
  makes <- c("c", "list", "structure", ":", "-", "integer", "character", "numeric", "double", "logical", "complex", "pairlist")
  parse <- base::parse
  list(
    send = function(value) {
      line <- paste(deparse(value, width.cutoff = 500L, control = control), collapse = " ")
      sink()
      cat(line, "\n", sep = "")
      flush(stdout())
      sink(stderr())
    },
    receive = function() {
      line <- readLines(from, 1L, warn = FALSE)
      if (!length(line)) quit("no", 70L)
      value <- parse(text = line, keep.source = FALSE)
      called <- setdiff(all.names(value), c(makes, "T", "F"))
      if (length(value) != 1L || length(called)) stop("an answer is not plain data: ", paste(called, collapse = ", "))
      eval(value[[1L]], baseenv())
    }
  )
})
sink(stderr())
