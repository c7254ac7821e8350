# The tests' process: the candidate's functions are calls on the wire; the tests come from descriptor 4.
local({
  wire <- chaku
  rm(chaku, envir = globalenv())
  fail <- function(error) {
    words <- gsub("[[:space:]]+", " ", conditionMessage(error))
    cat("\n", substr(words, 1L, 500L), "\n", sep = "", file = stderr())
    quit("no", 1L)
  }
  plain <- function(value) {
    own <- setdiff(oldClass(value), c("factor", "Date", "data.frame"))
    if (length(own)) stop("an answer has a class of its own: ", own[1L], call. = FALSE)
    if (is.list(value)) for (item in unclass(value)) plain(item)
    value
  }
  ask <- function(name, values) {
    wire$send(list(name = name, values = values))
    answer <- wire$receive()
    if (!identical(answer[[1L]], "done")) stop(as.character(answer[[2L]]), call. = FALSE)
    plain(answer[[2L]])
  }
  tryCatch({
    source <- pipe("cat <&4; echo")  # R would not read a last line without its end
    tests <- parse(text = readLines(source, warn = FALSE), keep.source = FALSE)
    close(source)
    # R's own names keep their meaning, except the name under test.
    words <- Filter(function(name) name == "ENTRY_POINT" || !exists(name), unique(all.names(tests)))
    for (name in intersect(unlist(ask("", as.list(words))), words))
      assign(name, local({ name <- name; function(...) ask(name, list(...)) }), envir = globalenv())
    for (test in tests) eval(test, globalenv())
  }, error = fail)
  quit("no", 0L)
})
