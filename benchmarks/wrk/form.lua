-- wrk: POST the form that is the script's one argument.
-- https://github.com/wg/wrk/blob/master/SCRIPTING

function init(args)
    wrk.method = "POST"
    wrk.body = args[1]
    wrk.headers["Content-Type"] = "application/x-www-form-urlencoded"
end
