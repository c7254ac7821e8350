# The untrusted process: runs program.R, then answers the judge's calls with plain data.
local({
  wire <- chaku
  rm(chaku, envir = globalenv())
  failure <- tryCatch({ sys.source("program.R", globalenv()); NULL }, error = function(error) conditionMessage(error))
  repeat {
    call <- wire$receive()
    answer <- tryCatch({
      if (!is.null(failure)) stop(failure, call. = FALSE)
      value <- if (call$name == "") Filter(function(name) exists(name, globalenv(), mode = "function", inherits = FALSE), call$values)
               else do.call(get(call$name, globalenv(), mode = "function"), call$values, quote = TRUE)
      if (is.function(value) || is.environment(value)) stop("a value is not plain data")
      list("done", value)
    }, error = function(error) list("raise", conditionMessage(error)))
    wire$send(answer)
  }
})
