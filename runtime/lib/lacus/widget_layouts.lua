-- Ready-made grids: AppLayout, TwoByTwoLayout, GridspecLayout: GridBoxes whose areas are worked out from what stands where.
-- `native` and `widgets` as in widgets.lua.

local layout_fields = {width = true, height = true, grid_gap = true, justify_content = true, align_items = true, margin = true, padding = true}

return function(native, widgets)
  local function css(areas)
    local lines = {}
    for i, row in ipairs(areas) do lines[i] = '"' .. table.concat(row, " ") .. '"' end
    return table.concat(lines, "\n")
  end

  -- the fields of `options` that the template itself does not take go to the box and its layout
  local function box_of(options, own)
    local rest, layout = {}, {}
    for key, value in pairs(options) do
      if type(key) == "string" and not own[key] then
        if layout_fields[key] then layout[key] = value else rest[key] = value end
      end
    end
    local box = widgets.GridBox(rest)
    box.layout = layout
    return box
  end

  local function place(box, areas, columns, rows, order, panes)
    local children = {}
    for _, name in ipairs(order) do
      local child = panes[name]
      if child ~= nil then
        if not native.is_widget(child) then native.raise("TRAIT", ("The '%s' trait expected a Widget or None, not the %s."):format(name, type(child)), "") end
        child.layout.grid_area = (name:gsub("_", "-"))
        children[#children + 1] = child
      end
    end
    if #children == 0 then return box end
    box.layout = {grid_template_columns = table.concat(columns, " "), grid_template_rows = table.concat(rows, " "), grid_template_areas = css(areas)}
    box.children = children
    return box
  end

  local function only(panes, order)
    local found, n
    n = 0
    for _, name in ipairs(order) do
      if panes[name] ~= nil then
        found, n = (name:gsub("_", "-")), n + 1
      end
    end
    return n == 1 and found or nil
  end

  local function filled(name, columns, rows)
    local areas = {}
    for r = 1, rows do
      areas[r] = {}
      for c = 1, columns do areas[r][c] = name end
    end
    return areas
  end

  local function size(value)
    local text = tostring(value)
    if text:match "^%d+%.?%d*px$" or text:match "^%d+%.?%d*fr$" or text:match "^%d+%.?%d*%%$" then return text end
    if text:match "^%d+%.?%d*$" then return text .. "fr" end
    native.raise("TRAIT", "the pane sizes must be in one of the following formats: '10px', '10fr', 10 (will be converted to '10fr'). Got '" .. text .. "'", "")
  end

  local function sizes(list, usual)
    local out = {}
    for i, value in ipairs(list or usual) do out[i] = size(value) end
    return out
  end

  local app = {"header", "footer", "left_sidebar", "right_sidebar", "center"}

  --- widgets.AppLayout{header?: Widget, left_sidebar?: Widget, center?: Widget, right_sidebar?: Widget, footer?: Widget, pane_widths?: table, pane_heights?: table, merge?: boolean} -> Widget
  -- a page with a header, a footer and sidebars; what is not given leaves its place to the others
  --     widgets.AppLayout{header = widgets.HTML{value = "<h3>Moon</h3>"}, center = widgets.Output{}}
  function widgets.AppLayout(o)
    local panes, own = {}, {pane_widths = true, pane_heights = true, merge = true}
    for _, name in ipairs(app) do panes[name], own[name] = o[name], true end
    local columns, rows = sizes(o.pane_widths, {"1fr", "2fr", "1fr"}), sizes(o.pane_heights, {"1fr", "3fr", "1fr"})
    local areas = {{"header", "header", "header"}, {"left-sidebar", "center", "right-sidebar"}, {"footer", "footer", "footer"}}
    local box = box_of(o, own)
    if o.merge == false then return place(box, areas, columns, rows, app, panes) end
    local single = only(panes, app)
    if single then return place(box, filled(single, 3, 3), columns, rows, app, panes) end
    if not panes.center then
      for _, row in ipairs(areas) do table.remove(row, 2) end
      table.remove(columns, 2)
    end
    local middle = areas[2]
    if not panes.left_sidebar then middle[1] = middle[2] end
    if not panes.right_sidebar then middle[#middle] = middle[#middle - 1] end
    if not panes.left_sidebar and not panes.right_sidebar and not panes.center then
      areas, columns, rows = {{"header"}, {"footer"}}, {"1fr"}, {"1fr", "1fr"}
    end
    if not panes.header then
      table.remove(areas, 1)
      table.remove(rows, 1)
    end
    if not panes.footer then
      areas[#areas] = nil
      rows[#rows] = nil
    end
    return place(box, areas, columns, rows, app, panes)
  end

  local corners = {"top_left", "top_right", "bottom_left", "bottom_right"}

  --- widgets.TwoByTwoLayout{top_left?: Widget, top_right?: Widget, bottom_left?: Widget, bottom_right?: Widget, merge?: boolean} -> Widget
  -- four places; what is not given leaves its place to its neighbour
  --     widgets.TwoByTwoLayout{top_left = widgets.Button{}, bottom_right = widgets.Button{}}
  function widgets.TwoByTwoLayout(o)
    local panes, own = {}, {merge = true}
    for _, name in ipairs(corners) do panes[name], own[name] = o[name], true end
    local areas = {{"top-left", "top-right"}, {"bottom-left", "bottom-right"}}
    local box = box_of(o, own)
    local single = only(panes, corners)
    if o.merge ~= false and single then
      areas = filled(single, 2, 2)
    elseif o.merge ~= false then
      for i, column in ipairs {"left", "right"} do
        local top, bottom, other = panes["top_" .. column], panes["bottom_" .. column], 3 - i
        if not top and not bottom then
          areas[1][i], areas[2][i] = areas[1][other], areas[2][other]
        elseif not top then
          areas[1][i] = areas[2][i]
        elseif not bottom then
          areas[2][i] = areas[1][i]
        end
      end
    end
    return place(box, areas, {"1fr", "1fr"}, {"1fr", "1fr"}, corners, panes)
  end

  local function span(value, n, what)
    local from, to = value, value
    if value == nil or value == true then
      from, to = 1, n
    elseif type(value) == "table" then
      from, to = value[1] or 1, value[2] or n
    end
    if math.type(from) ~= "integer" or math.type(to) ~= "integer" or from < 1 or to > n or from > to then
      native.raise("ARG", ("%s takes a number from 1 to %d, {from, to} or true for all"):format(what, n), "")
    end
    return from, to
  end

  --- widgets.GridspecLayout(rows: integer, columns: integer, options?: table) -> Widget
  -- a grid that is filled place by place: grid.put(row, column, widget); a row or column is a number, {from, to} or true for all
  --     local grid = widgets.GridspecLayout(2, 3); grid.put(1, true, widgets.Label("on top"))
  function widgets.GridspecLayout(rows, columns, options)
    if math.type(rows) ~= "integer" or math.type(columns) ~= "integer" or rows < 1 or columns < 1 then
      native.raise("TRAIT", "n_rows and n_columns must be positive integer", "")
    end
    local box, areas, at, count = box_of(options or {}, {}), filled(".", columns, rows), {}, 0
    local function children()
      local list = {}
      for i = 1, count do list[#list + 1] = at[("widget%03d"):format(i)] end
      return list
    end
    native.extend(box, {
      put = function(row, column, widget)
        if not native.is_widget(widget) then native.raise("ARG", "put takes a row, a column and a widget", "") end
        local r1, r2 = span(row, rows, "the row")
        local c1, c2 = span(column, columns, "the column")
        count = count + 1
        local id = ("widget%03d"):format(count)
        widget.layout.grid_area = id
        for r = r1, r2 do
          for c = c1, c2 do
            at[areas[r][c]] = nil
            areas[r][c] = id
          end
        end
        at[id] = widget
        box.layout = {grid_template_columns = ("repeat(%d, 1fr)"):format(columns), grid_template_rows = ("repeat(%d, 1fr)"):format(rows),
          grid_template_areas = css(areas)}
        box.children = children()
        return box
      end,
      at = function(row, column)
        local r, c = span(row, rows, "the row"), span(column, columns, "the column")
        return at[areas[r][c]]
      end,
    })
    return box
  end
end
