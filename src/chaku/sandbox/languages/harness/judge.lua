-- The tests' process: the candidate's functions are calls on the wire; the tests come from descriptor 4.
package.path = package.path:gsub("%f[^;\0]%./[^;]*", "")  -- no module of the working directory, where the program writes
package.cpath = package.cpath:gsub("%f[^;\0]%./[^;]*", "")
local select = select
local reader = io.popen("cat <&4", "r")
local tests = reader:read("a")
reader:close()
local words, seen = {}, {}
local keywords = " and break do else elseif end false for function goto if in local nil not or repeat return then true until while "
for word in ("WORDS"):gmatch("%S+") do
  -- Lua's own names keep their meaning, except the name under test.
  local new = _G[word] == nil or word == "ENTRY_POINT"
  if not seen[word] and new and not keywords:find(" " .. word .. " ", 1, true) then
    words[#words + 1], seen[word] = word, true
  end
end

local leave = os.exit
local function fail(text)
  io.stderr:write("\n", (tostring(text):gsub("%s+", " ")):sub(1, 500), "\n")
  leave(1)
end

local function answer()
  local message = chaku.read()
  if type(message) ~= "table" or message[1] ~= "done" then
    error(type(message) == "table" and tostring(message[2]) or "the other process does not answer", 0)
  end
  return message[2]
end

chaku.send(words)
local fine, names = pcall(answer)
if not fine then fail(names) end
for _, name in ipairs(type(names) == "table" and names or {}) do
  if seen[name] then
    _G[name] = function(...)
      chaku.send({name = name, values = {...}, count = select("#", ...)})
      return answer()
    end
  end
end

-- The tests' last line leaves with the number of those that failed. What their library prints has the reason.
arg = {[0] = "tests.lua"}
if tests:find("luaunit", 1, true) then
  -- Behind these words, which an error or a returned text can hold, luaunit finds that a test was skipped, or passed.
  local unit = require("luaunit")
  unit.SUCCESS_PREFIX = ("%x%x: "):format(math.random(0), math.random(0))
  unit.SKIP_PREFIX = ("%x%x: "):format(math.random(0), math.random(0))
end
local printed = {}
local function keep(...)
  for _, text in ipairs(table.pack(...)) do printed[#printed + 1] = tostring(text) end
end
io.stdout = {write = function(self, ...) keep(...) return self end, flush = function() end}
print = function(...) keep(...) keep("\n") end
os.exit = function(status)
  if status == nil or status == true or status == 0 then leave(0) end
  local text = table.concat(printed)
  fail(text:match("\n1%) [^\n]*\n(.-)\nstack traceback") or text:match("[^\n]*expected: [^\n]*") or "the tests fail")
end
local run, wrong = load(tests, "=tests.lua")
if not run then fail(wrong) end
fine, wrong = pcall(run)
if not fine then fail(wrong) end
leave(0)
