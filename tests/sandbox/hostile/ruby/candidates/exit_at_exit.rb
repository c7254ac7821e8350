# failed: left before its end (exit status 0)
at_exit { exit!(0) }
def f(x)
  exit(1)
end
