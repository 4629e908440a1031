local M = {}
function M.f()
  error("in m2")
end
return M
