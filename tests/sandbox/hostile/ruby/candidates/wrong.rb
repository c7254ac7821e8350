# failed: expected but was
def f(x)
  [x]
end
