local function take(name)
  local file = assert(io.open(name, "rb"))
  local text = file:read("a")
  file:close()
  os.remove(name)
  return text
end
arg = {[0] = "program.lua"}
local source, tests, mark, open, exit = take("program.lua"), take("tests.lua"), take("mark"), io.open, os.exit
-- One text, as the tests name local functions. The tests' last line leaves with their result: they have an `os` of
-- their own, in which that is seen; the candidate's os.exit stays what it is.
local function leave(status)
  if status == nil or status == true or status == 0 then open(mark, "w"):close() end
  exit(status)
end
local text = source .. "\nlocal os = ...\n" .. tests
assert(load(text, "=program.lua"))(setmetatable({exit = leave}, {__index = os}))
leave(0)
