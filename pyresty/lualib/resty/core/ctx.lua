-- resty.core.ctx: ngx.ctx as a function.

local next = next


-- Returns ngx.ctx. When it holds nothing yet and a table is given, that table becomes ngx.ctx.
local function get_ctx_table(table)
    if table and not next(ngx.ctx) then
        ngx.ctx = table
    end
    return ngx.ctx
end


return {
    version = require("resty.core.base").version,
    get_ctx_table = get_ctx_table,
}
