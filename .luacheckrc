-- What a configuration finds besides Lua's own names.
std = "lua54"
max_line_length = 110
read_globals = { "caller", "date", "env", "gateway", "hash", "listen", "node", "pool", "route", "uid" }
