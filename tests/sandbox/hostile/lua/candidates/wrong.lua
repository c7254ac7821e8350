-- failed: expected: {4} actual: {2}
local function f(x)
  return {x}
end
