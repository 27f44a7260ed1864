-- What OpenResty has and pyresty has not, by name, for the documentation. Where such a function is made, it says so when it is called.

local rt = ...

rt.unsupported = rt.unsupported or {}
