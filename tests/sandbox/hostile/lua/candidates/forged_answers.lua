-- failed: expected: {4}
-- More answers than calls, in the words of the wire.
local function f(x)
  os.execute("printf 'h2\\ni1\\n1s4\\ndonei1\\n2h1\\ni1\\n1i1\\n5' >&1")
  return {x}
end
