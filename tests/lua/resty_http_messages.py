"""Cases of ``test_resty_http.py`` about what is sent and what is made of what comes: heads, bodies, failures midway."""

from __future__ import annotations

from resty_http_scripts import Case

MESSAGES = {
    "request_uri": Case(
        """
        local res, err = http.new():request_uri(origin .. "/length")
        say(res.status, " ", res.reason, " ", res.body, " ", res.has_body, " ", err)
        say(res.headers["X-One"], res.headers["x-one"], res.headers["X-ONE"], " ", res.headers["x-two"])
        """,
        "200 OK hello true nil\n111 nil\n",
    ),
    "request_uri_sends": Case(
        """
        local res = http.new():request_uri(origin .. "/echo?a=1&b=2", { headers = { ["X-One"] = 1 } })
        fields(res.body:gsub("User%-Agent: lua%-resty%-http/[%d.]+ %(Lua%) ngx_lua/%d+", "User-Agent: ok"))
        """,
        "GET /echo?a=1&b=2 HTTP/1.1\nHost: 127.0.0.1:PORT\nUser-Agent: ok\nX-One: 1\n",
    ),
    "request_uri_overrides": Case(
        """
        local params = { method = "put", path = "/echo", query = { b = 2 }, body = "data", version = 1.0,
                         headers = { ["user-agent"] = "me", host = "here", ["X-Many"] = { "1", "2" } } }
        local res = http.new():request_uri(origin .. "/length?a=1", params)
        fields(res.body)
        say(params.headers["Content-Length"], params.host, params.scheme)
        """,
        "PUT /echo?b=2 HTTP/1.0\nConnection: Keep-Alive\nContent-Length: 4\nX-Many: 1\nX-Many: 2\n"
        "host: here\nuser-agent: me\n[data]\nnilnilnil\n",
    ),
    "query_forms": Case(
        """
        local client = connected()
        for _, query in ipairs({ "a=1", "?a=1", "", {}, { a = "1 2" } }) do
            say((client:request({ path = "/echo", query = query }):read_body():match("^[^\\r]*")))
        end
        client:set_keepalive()
        """,
        "GET /echo?a=1 HTTP/1.1\n" * 2 + "GET /echo HTTP/1.1\n" * 2 + "GET /echo?a=1%202 HTTP/1.1\n",
    ),
    "body_forms": Case(
        """
        local function sent(method, body, headers)
            local res, err = http.new():request_uri(origin .. "/echo",
                                                    { method = method, body = body, headers = headers })
            if not res then return say(err) end
            say(res.body:match("\\r\\n([Cc]ontent%-[Ll]ength: %d+)"), " [", res.body:match("\\r\\n\\r\\n(.*)"), "]")
        end
        sent("POST", "abc")
        sent("POST", 12)
        sent("POST", { "a", "bc", 1 })
        sent("POST", "")
        sent("GET")
        sent("POST", "abcdef", { ["content-length"] = 6 })
        """,
        "Content-Length: 3 [abc]\nContent-Length: 2 [12]\nContent-Length: 4 [abc1]\nContent-Length: 0 []\n"
        "nil []\ncontent-length: 6 [abcdef]\n",
    ),
    # lua-resty-http has done this up to 0.17.2; its development branch refuses instead.
    "no_body_for_post": Case(
        """
        local res = http.new():request_uri(origin .. "/echo", { method = "POST" })
        say(res.body:match("Content%-Length: %d+"))
        """,
        "Content-Length: 0\n",
        better=True,
    ),
    "nested_body": Case(
        """
        local res = http.new():request_uri(origin .. "/echo", { method = "POST", body = { "a", { "b", { 3 } } } })
        say(res.body:match("Content%-Length: %d+"), " [", res.body:match("\\r\\n\\r\\n(.*)"), "]")
        """,
        "Content-Length: 3 [ab3]\n",
        better=True,
    ),
    "body_function": Case(
        """
        local function pieces(...)
            local list, i = { ... }, 0
            return function()
                i = i + 1
                return list[i]
            end
        end
        local client = connected()
        say(client:request({ method = "POST", path = "/echo", body = pieces("a") }))
        local res = client:request({ method = "POST", path = "/echo", body = pieces("ab", "cd"),
                                     headers = { ["Content-Length"] = 4 } })
        say(res:read_body():match("\\r\\n\\r\\n(.*)"))
        res = client:request({ method = "POST", path = "/echo", body = pieces("2\\r\\nab\\r\\n", "0\\r\\n\\r\\n"),
                               headers = { ["transfer-encoding"] = "chunked", ["Content-Length"] = 4 } })
        local echo = res:read_body()
        say(echo:find("Content-Length", 1, true), " ", #echo:match("\\r\\n\\r\\n(.*)"))
        say(client:request({ method = "POST", path = "/echo", headers = { ["Content-Length"] = 1 },
                             body = function() return nil, "no more" end }))
        client:close()
        """,
        "nilRequest body is a function but a length or chunked encoding is not specified\nabcd\nnil 12\nnilno more\n",
    ),
    "http_version": Case(
        """
        local client = connected()
        say(client:request({ path = "/length", version = 3 }))
        say(client:request({ path = "/length", version = "1.0" }):read_body())
        """,
        "nilunsupported HTTP version: 3\nhello\n",
        better=True,
    ),
    "head_no_body": Case(
        """
        local client = connected()
        for _, try in ipairs({ { "HEAD", "/head-only" }, { "GET", "/204" }, { "GET", "/304" } }) do
            local res = client:request({ method = try[1], path = try[2] })
            local piece = res.body_reader()
            say(res.status, " ", res.has_body, " ", piece, " [", res:read_body(), "] ", res.headers["Content-Length"])
        end
        say(client:request({ path = "/length" }):read_body(), " ", client:set_keepalive())
        """,
        "200 false nil [] 5\n204 false nil [] nil\n304 false nil [] 5\nhello 1\n",
    ),
    "reason": Case(
        """
        for _, path in ipairs({ "/reason", "/no-reason" }) do
            local res = http.new():request_uri(origin .. path)
            say(res.status, " [", res.reason, "] [", res.body, "]")
        end
        """,
        "299 [Quite  Odd] []\n200 [] []\n",
    ),
    "repeated_headers": Case(
        """
        local headers = http.new():request_uri(origin .. "/repeated").headers
        say(type(headers["set-cookie"]), " ", table.concat(headers["Set-Cookie"], ", "))
        local names = {}
        for name in pairs(headers) do names[#names + 1] = name end
        table.sort(names)
        say(table.concat(names, " "))
        """,
        "table a=1, b=2, c=3\nContent-Length Set-Cookie X-One\n",
    ),
    "empty_header": Case(
        'say("[", http.new():request_uri(origin .. "/empty").headers["X-Empty"], "]")',
        "[]\n",
    ),
    "odd_fields": Case(
        """
        local res = http.new():request_uri(origin .. "/odd-fields")
        say(res.headers["x-colon"], "|", res.headers["x-tight"], "|", res.headers["x-spaces"], "|", res.body)
        """,
        "a:b: c|value|value|ok\n",
        better=True,
    ),
    "headers_module": Case(
        """
        local headers = require("resty.http_headers").new()
        headers["X-One"] = 1
        headers["x-one"] = 2
        headers.x_two = 3
        for _, name in ipairs({ "X-One", "x-One", "X_TWO", "x-two" }) do say(headers[name]) end
        say(next(headers) ~= nil, " ", next(require("resty.http_headers").new()))
        headers["X-ONE"] = nil
        say(headers["x-one"])
        """,
        "2\n2\n3\nnil\ntrue nil\nnil\n",
    ),
    "chunked_chunk_by_chunk": Case(
        """
        local client = connected()
        local res = client:request({ path = "/chunked" })
        repeat
            local piece, err = res.body_reader()
            say("[", piece, "] ", err)
        until not piece
        say(res.body_reader())
        say(client:set_keepalive())
        """,
        "[hello] nil\n[ ] nil\n[world] nil\n[nil] nil\nnilcan't resume a dead coroutine\n1\n",
    ),
    "chunked_by_size": Case(
        """
        local res = connected():request({ path = "/chunked" })
        local pieces = {}
        for piece in function() return res.body_reader(3) end do pieces[#pieces + 1] = piece end
        say(table.concat(pieces, "|"))
        """,
        "hel|lo| |wor|ld\n",
    ),
    "chunked_rest_of_chunk": Case(
        """
        local reader = connected():request({ path = "/chunked" }).body_reader
        say(reader(2), "|", reader(), "|", reader(), "|", reader(), "|", reader())
        """,
        "he|llo| |world|nil\n",
        better=True,
    ),
    "chunked_repeated_field": Case(
        """
        say(http.new():request_uri(origin .. "/chunked-twice").body)
        say(http.transfer_encoding_is_chunked({ ["Transfer-Encoding"] = { "gzip", "Chunked" } }),
            http.transfer_encoding_is_chunked({ ["Transfer-Encoding"] = "gzip" }),
            http.transfer_encoding_is_chunked({}))
        """,
        "ok\ntruefalsefalse\n",
    ),
    "chunk_extension": Case(
        'say(http.new():request_uri(origin .. "/chunk-extension").body)',
        "ok\n",
        better=True,
    ),
    "chunk_size_broken": Case(
        'say(http.new():request_uri(origin .. "/chunk-size"))',
        "nilunable to read chunksize\n",
    ),
    "chunk_end_broken": Case(
        'say(http.new():request_uri(origin .. "/chunk-end"))',
        "nilunable to read chunksize\n",
    ),
    "chunk_cut_short": Case(
        """
        say(http.new():request_uri(origin .. "/chunk-short"))
        say(http.new():request_uri(origin .. "/chunk-missing"))
        local res = connected():request({ path = "/chunk-short" })
        say(res:read_body())
        """,
        "nilclosed\nnilclosed\nnilclosedok\n",
    ),
    "reader_after_failure": Case(
        """
        local reader = connected():request({ path = "/chunk-short" }).body_reader
        say(reader())
        say(reader())
        say(reader())
        """,
        "ok\nnilclosedhel\nnilcan't resume a dead coroutine\n",
        better=True,
    ),
    "trailers": Case(
        """
        local client = connected()
        local res = client:request({ path = "/trailers", headers = { TE = "trailers" } })
        say(res:read_body(), " ", res.headers["x-sum"])
        res:read_trailers()
        say(res.headers["x-sum"], " ", res.headers["SERVER"])
        res = client:request({ path = "/trailers-missing" })
        say(res:read_body())
        say(res:read_trailers())
        say(client:request({ path = "/length" }):read_trailers())
        """,
        "ok nil\n2 script\nok\nnilno trailers\nnilno trailers\n",
        better=True,
    ),
    "length_whole": Case(
        """
        local client = connected()
        local res = client:request({ path = "/length" })
        local reader = res.body_reader
        say(reader(), " ", reader(), " ", select(2, reader()))
        res = client:request({ path = "/empty" })
        say("[", res:read_body(), "] ", res.has_body)
        """,
        "hello nil can't resume a dead coroutine\n[] true\n",
    ),
    "length_by_size": Case(
        """
        local reader = connected():request({ path = "/length" }).body_reader
        say(reader(2), "|", reader(2), "|", reader(2), "|", (reader(2)))
        """,
        "he|ll|o|nil\n",
    ),
    "length_size_forgotten": Case(
        """
        local reader = connected():request({ path = "/length" }).body_reader
        say(reader(2), "|", reader(), "|", select(2, reader()))
        """,
        "he|nil|can't resume a dead coroutine\n",
    ),
    "length_cut_short": Case(
        """
        say(http.new():request_uri(origin .. "/short"))
        say(connected():request({ path = "/short" }).body_reader())
        local reader = connected():request({ path = "/short" }).body_reader
        say(reader(4))
        say(reader(4))
        """,
        "nilclosed\nnilclosedhello\nhell\nnilclosedo\n",
        better=True,
    ),
    "length_not_a_number": Case(
        'say(http.new():request_uri(origin .. "/bad-length").body)',
        "hello\n",
        better=True,
    ),
    "close_delimited": Case(
        """
        for _, path in ipairs({ "/1.0-close-delimited", "/1.1-close-delimited" }) do
            say(http.new():request_uri(origin .. path).body)
        end
        local reader = connected():request({ path = "/1.0-close-delimited" }).body_reader
        say(reader(4))
        say(reader(4))
        say(reader(4))
        say(reader(4))
        """,
        "hello world\n" * 2 + "hell\no wo\nrldclosed\nnil\n",
    ),
    "interim_response": Case(
        """
        local res = http.new():request_uri(origin .. "/interim")
        say(res.status, " ", res.body, " ", res.headers.link)
        """,
        "200 final nil\n",
        better=True,
    ),
    "broken_heads": Case(
        """
        for _, path in ipairs({ "/not-http", "/no-status", "/head-short", "/close" }) do
            say(http.new():request_uri(origin .. path, { keepalive = false }))
        end
        """,
        "nilcouldn't parse HTTP version from response status line: nonsense\n"
        "nilcouldn't parse status code from response status line: HTTP/1.1 abc OK\nnilclosed\nnilclosed\n",
    ),
    "timeouts": Case(
        """
        for _, path in ipairs({ "/stall", "/stall-head", "/stall-body", "/stall-chunk", "/1.0-close-delimited" }) do
            local client = http.new()
            client:set_timeouts(5000, 5000, path:find("stall", 1, true) and 50 or 5000)
            local res, err = client:request_uri(origin .. path)
            say(res and res.body, " ", err)
        end
        local client = http.new()
        client:set_timeout(50)
        say(client:request_uri(origin .. "/stall"))
        """,
        "nil timeout\n" * 4 + "hello world nil\nniltimeout\n",
    ),
    "timeout_in_stream": Case(
        """
        local client = connected()
        client:set_timeouts(5000, 5000, 50)
        local reader = client:request({ path = "/stall-stream" }).body_reader
        say(reader(4))
        say(reader(4))
        """,
        "hell\nniltimeouto\n",
        better=True,
    ),
}
