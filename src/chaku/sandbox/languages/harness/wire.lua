-- Values between the two processes, on standard input and output: a letter, a length, then the text or the items.
-- Plain data only. What a program prints goes to standard error, and it has no input.
local chaku = {from = io.stdin, to = io.stdout, largest = 64 * 2 ^ 20}
chaku.to:setvbuf("full")
io.stdout = io.stderr
io.output(io.stderr)
io.input("/dev/null")
io.stdin = io.input()
print = function(...)
  for number, value in ipairs(table.pack(...)) do
    io.stderr:write(number > 1 and "\t" or "", tostring(value))
  end
  io.stderr:write("\n")
end

do
  local kind_of, whole, format, pairs, tostring, error, tonumber, concat =
    type, math.type, string.format, next, tostring, error, tonumber, table.concat

  function chaku.write(value, parts)
    local kind = kind_of(value)
    if kind == "nil" then parts[#parts + 1] = "u0\n"
    elseif kind == "boolean" then parts[#parts + 1] = value and "t0\n" or "f0\n"
    elseif kind == "number" or kind == "string" then
      local letter = kind == "string" and "s" or whole(value) == "integer" and "i" or "d"
      local text = letter == "s" and value or letter == "i" and format("%d", value) or format("%a", value)
      parts[#parts + 1] = letter .. #text .. "\n" .. text
    elseif kind == "table" then
      local at, size = #parts + 1, 0
      for key, item in pairs, value do
        size = size + 1
        parts[at] = parts[at] or ""
        chaku.write(key, parts)
        chaku.write(item, parts)
      end
      parts[at] = "h" .. size .. "\n"
    else
      error("a value is not plain data: " .. kind, 0)
    end
    return parts
  end

  function chaku.read()
    local kind, size = (chaku.from:read("l") or ""):match("^([utfsidh])(%d+)$")
    size = tonumber(size)
    if not kind or size > chaku.largest then error("the other process does not answer", 0) end
    if kind == "u" then return nil end
    if kind == "t" or kind == "f" then return kind == "t" end
    if kind == "h" then
      local result = {}
      for _ = 1, size do
        local key = chaku.read()
        result[key] = chaku.read()
      end
      return result
    end
    local text = size == 0 and "" or chaku.from:read(size) or ""
    if #text ~= size then error("the other process does not answer", 0) end
    if kind == "s" then return text end
    return tonumber(text) or ({inf = 1 / 0, ["-inf"] = -1 / 0})[text] or 0 / 0
  end

  function chaku.send(message)
    chaku.to:write(concat(chaku.write(message, {})))
    chaku.to:flush()
  end
end
