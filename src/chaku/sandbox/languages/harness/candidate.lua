-- The untrusted process: runs program.lua, whose local functions are answered for, then the judge's calls.
-- They are in one text, as only what follows in the same text sees a local function.
local arrived, send, read, unpack, call, describe, kind_of = chaku.read(), chaku.send, chaku.read, table.unpack, pcall, tostring, type
local file = assert(io.open("program.lua", "rb"))
local source = file:read("a")
file:close()
local lookup = {}
for _, name in ipairs(arrived) do
  lookup[#lookup + 1] = ("pcall(function() chaku_found[%q] = %s end)\n"):format(name, name)
end
local found = {}
local run, failure = load(source .. "\nlocal chaku_found = ...\n" .. table.concat(lookup), "=program.lua")
if run then
  local fine
  fine, failure = call(run, found)
  if fine then failure = nil end
end
local names = {}
for name, value in next, found do
  if kind_of(value) == "function" then names[#names + 1] = name end
end
send({failure == nil and "done" or "raise", failure == nil and names or describe(failure)})
while true do
  local message = read()
  local result = table.pack(call(found[message.name], unpack(message.values, 1, message.count)))
  local sent = result[1] and call(send, {"done", result[2]})
  if not sent then send({"raise", describe(result[1] and "the result is not plain data" or result[2])}) end
end
