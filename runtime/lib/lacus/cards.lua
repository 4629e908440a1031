-- Curves and comparisons in the cards of runs: small drawings in SVG, which every page shows, and in blocks for a terminal.

local colours = {"#1565c0", "#c62828", "#2e7d32", "#ef6c00", "#6a1b9a", "#00838f", "#ad1457", "#4e342e", "#37474f", "#9e9d24"}
local blocks = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"}
local POINTS = 300

local tools = require "lacus.tools"
local escape, sorted_keys = tools.html, tools.sorted_keys
local M = {}

-- of the i-th run, wherever it is drawn
function M.colour(i) return colours[(i - 1) % #colours + 1] end

local function number(v)
  if math.type(v) == "integer" then return tostring(v) end
  return ("%.5g"):format(v)
end

-- the history of a metric as {x, y}: finite values, at most POINTS of them
function M.points(history)
  local all = {}
  for _, m in ipairs(history) do
    if type(m.value) == "number" and m.value == m.value and math.abs(m.value) < math.huge then all[#all + 1] = {m.step or #all, m.value} end
  end
  local stride = math.max(1, #all // POINTS)
  local out = {}
  for i = 1, #all, stride do out[#out + 1] = all[i] end
  if #all > 1 and out[#out] ~= all[#all] then out[#out + 1] = all[#all] end
  return out
end

local function extent(lines, axis)
  local low, high = math.huge, -math.huge
  for _, line in ipairs(lines) do
    for _, p in ipairs(line.points) do low, high = math.min(low, p[axis]), math.max(high, p[axis]) end
  end
  return low, high > low and high or low + 1
end

-- one drawing: lines = {{name =, points = {{x, y}, …}}, …}; the numbers stand beside it
function M.curve(title, lines)
  local width, height, top, left = 250, 110, 18, 56
  local x0, x1 = extent(lines, 1)
  local y0, y1 = extent(lines, 2)
  local out = {('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" style="font:11px sans-serif;margin:2px 6px">')
    :format(left + width, height + top + 16, left + width, height + top + 16)}
  out[#out + 1] = ('<text x="%d" y="12" fill="currentColor">%s</text>'):format(left, escape(title))
  out[#out + 1] = ('<rect x="%.1f" y="%.1f" width="%d" height="%d" fill="none" stroke="#bbb"/>'):format(left + 0.5, top + 0.5, width - 1, height - 1)
  for i, line in ipairs(lines) do
    local at = {}
    for k, p in ipairs(line.points) do
      at[k] = ("%.1f,%.1f"):format(left + 3 + (p[1] - x0) / (x1 - x0) * (width - 6), top + height - 4 - (p[2] - y0) / (y1 - y0) * (height - 8))
    end
    out[#out + 1] = ('<polyline fill="none" stroke="%s" stroke-width="1.5" points="%s"><title>%s</title></polyline>')
      :format(line.colour or M.colour(i), table.concat(at, " "), escape(line.name or title))
  end
  out[#out + 1] = ('<text x="%d" y="%d" fill="#888" text-anchor="end">%s</text><text x="%d" y="%d" fill="#888" text-anchor="end">%s</text>')
    :format(left - 4, top + 10, number(y1), left - 4, top + height, number(y0))
  out[#out + 1] = ('<text x="%d" y="%d" fill="#888">%s</text><text x="%d" y="%d" fill="#888" text-anchor="end">step %s</text></svg>')
    :format(left, top + height + 13, number(x0), left + width, top + height + 13, number(x1))
  return table.concat(out)
end

-- the same in one line of blocks
function M.spark(points, width)
  local low, high = extent({{points = points}}, 2)
  local out, n = {}, math.min(#points, width or 24)
  for i = 1, n do
    local p = points[1 + (i - 1) * (#points - 1) // math.max(1, n - 1)]
    out[i] = blocks[1 + math.floor((p[2] - low) / (high - low) * 7.999)]
  end
  return table.concat(out)
end

local function short(text) -- of a long text, so much as fits beside others
  local cut = utf8.offset(text, 61)
  return cut and utf8.len(text) and utf8.len(text) > 60 and text:sub(1, cut - 1) .. "…" or text
end

-- a cell of a table: numbers to the right, texts to the left, short ones on one line
function M.cell(tag, text)
  local side = tag == "td" and tonumber(text) and "right" or "left"
  local line = (utf8.len(text) or #text) <= 40 and ";white-space:nowrap" or ""
  return ('<%s style="text-align:%s%s">%s</%s>'):format(tag, side, line, escape(text), tag)
end

-- {{kind, name, values of each run, do they differ?}, …}
local function rows_of(runs)
  local rows = {}
  for _, group in ipairs {"params", "metrics"} do
    local names = {}
    for _, run in ipairs(runs) do
      for name in pairs(run.data[group]) do names[name] = true end
    end
    for _, name in ipairs(sorted_keys(names)) do
      local row = {group = group, name = name, differs = false}
      for i, run in ipairs(runs) do
        local v = run.data[group][name]
        row[i] = v == nil and "" or type(v) == "number" and number(v) or short(tostring(v))
        row.differs = row.differs or row[i] ~= row[1]
      end
      rows[#rows + 1] = row
    end
  end
  return rows
end

-- {metric = lines} of the metrics that some of the runs have logged more than once
local function lines_of(runs, history)
  local out, names = {}, {}
  for _, run in ipairs(runs) do
    for name in pairs(run.data.metrics) do names[name] = true end
  end
  for i, name in ipairs(sorted_keys(names)) do
    if i > 12 then break end
    local lines = {}
    for k, run in ipairs(runs) do
      local points = run.data.metrics[name] and M.points(history(run.info.run_id, name)) or {}
      if #points > 1 then lines[#lines + 1] = {name = run.info.run_name, points = points, colour = M.colour(k)} end
    end
    if #lines > 0 then out[#out + 1] = {name = name, lines = lines} end
  end
  return out
end

-- html, text: the curves of these runs
function M.curves(runs, history)
  local html, text = {}, {}
  for _, metric in ipairs(lines_of(runs, history)) do
    html[#html + 1] = M.curve(metric.name, metric.lines)
    for _, line in ipairs(metric.lines) do
      local label = metric.name .. (#runs > 1 and " of " .. line.name or "")
      text[#text + 1] = ("  %s %s %s → %s"):format(M.spark(line.points), label, number(line.points[1][2]), number(line.points[#line.points][2]))
    end
  end
  if #html > 0 and #runs > 1 then
    local names = {}
    for i, run in ipairs(runs) do
      names[i] = ('<span style="margin-right:12px;white-space:nowrap"><span style="color:%s">▬</span> %s</span>'):format(M.colour(i), escape(run.info.run_name))
    end
    html[#html + 1] = '<div style="width:100%;font:11px sans-serif;margin:2px 6px">' .. table.concat(names) .. "</div>"
  end
  return #html > 0 and '<div style="display:flex;flex-wrap:wrap">' .. table.concat(html) .. "</div>" or "", table.concat(text, "\n")
end

local Comparison = {__name = "Comparison"}
Comparison.__index = Comparison

function Comparison.__tostring(c)
  local rows = {{name = ""}}
  for i, run in ipairs(c.runs) do rows[1][i] = run.info.run_name end
  for _, row in ipairs(rows_of(c.runs)) do
    row.name = (row.differs and "* " or "  ") .. row.group .. "." .. row.name
    rows[#rows + 1] = row
  end
  local widths, lines = {}, {}
  for _, row in ipairs(rows) do
    for i = 0, #c.runs do widths[i] = math.max(widths[i] or 0, utf8.len(i == 0 and row.name or row[i]) or 0) end
  end
  for k, row in ipairs(rows) do
    local cells = {}
    for i = 0, #c.runs do
      local cell = i == 0 and row.name or row[i]
      cells[#cells + 1] = cell .. (" "):rep(widths[i] - (utf8.len(cell) or 0))
    end
    lines[k] = (table.concat(cells, "  "):gsub("%s+$", ""))
  end
  local _, curves = M.curves(c.runs, c.history)
  if curves ~= "" then lines[#lines + 1] = curves end
  return table.concat(lines, "\n")
end

function Comparison.__mimebundle(c)
  local out = {"<table><thead><tr><th></th>"}
  for i, run in ipairs(c.runs) do
    out[#out + 1] = ('<th style="border-top:4px solid %s;text-align:left">%s<br><small>%s</small></th>'):format(M.colour(i),
      escape(run.info.run_name), escape(run.info.status))
  end
  out[#out + 1] = "</tr></thead><tbody>"
  for _, row in ipairs(rows_of(c.runs)) do
    local style = row.differs and ' style="font-weight:bold"' or ' style="color:#888"'
    out[#out + 1] = ("<tr%s><td style=\"text-align:left\">%s.%s</td>"):format(style, row.group, escape(row.name))
    for i = 1, #c.runs do out[#out + 1] = M.cell("td", row[i]) end
    out[#out + 1] = "</tr>"
  end
  out[#out + 1] = "</tbody></table>" .. M.curves(c.runs, c.history)
  return {["text/plain"] = Comparison.__tostring(c), ["text/html"] = table.concat(out)}
end

-- runs beside each other; history(run_id, key) gives the values of a metric
function M.compare(runs, history) return setmetatable({runs = runs, history = history}, Comparison) end

return M
