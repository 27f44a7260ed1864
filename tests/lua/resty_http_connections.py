"""Cases of ``test_resty_http.py`` about connections: keep-alive, pipelines, addresses, proxies."""

from __future__ import annotations

from resty_http_scripts import Case

CONNECTIONS = {
    "connection_refused": Case(
        'say(http.new():request_uri("http://127.0.0.1:{dead}/"))',
        "nilconnection refused\n",
    ),
    "keepalive_reuse": Case(
        """
        for i = 1, 3 do
            local client = connected("reuse")
            local res = client:request({ path = "/count" })
            say(client:get_reused_times(), " ", res:read_body():match("request %d+$"), " ", client:set_keepalive())
        end
        """,
        "0 request 1 1\n1 request 2 1\n2 request 3 1\n",
    ),
    "keepalive_request_uri": Case(
        """
        local counts = {}
        for i, keepalive in ipairs({ "yes", "yes", false, "yes" }) do
            local client = http.new()
            local res = client:request_uri(origin .. "/count", { pool = "uri", keepalive = keepalive,
                                                                 keepalive_timeout = 5000, keepalive_pool = 5 })
            say(res.body:match("request %d+$"), " ", client:set_keepalive(60))
        end
        """,
        "request 1 nilclosed\nrequest 2 nilclosed\nrequest 3 nilclosed\nrequest 1 nilclosed\n",
    ),
    "keepalive_decided_by_server": Case(
        """
        for _, path in ipairs({ "/count-close", "/count-upgrade-close", "/1.0", "/1.0-keep", "/length" }) do
            local client = connected("decided")
            client:request({ path = path }):read_body()
            say(path, " ", client:get_reused_times(), " ", client:set_keepalive())
        end
        """,
        "/count-close 0 2connection must be closed\n/count-upgrade-close 0 2connection must be closed\n"
        "/1.0 0 2connection must be closed\n/1.0-keep 0 1\n/length 1 1\n",
    ),
    "keepalive_again_after_close": Case(
        """
        local client = http.new()
        say(client:request_uri(origin .. "/count-close", { pool = "again" }).body)
        client:request_uri(origin .. "/count", { pool = "again" })
        local res = client:request_uri(origin .. "/count", { pool = "again" })
        say(res.body:match("request %d+$"))
        """,
        "ok\nrequest 2\n",
    ),
    "keepalive_separate_pools": Case(
        """
        local one, two = http.new(), http.new()
        one:connect({ scheme = "http", host = "127.0.0.1", port = {origin}, pool = "one", pool_size = 3, backlog = 3 })
        one:request({ path = "/length" }):read_body()
        one:set_keepalive()
        two:connect("127.0.0.1", {origin}, { pool = "two" })
        say(two:get_reused_times())
        two:request({ path = "/length" }):read_body()
        say(two:set_keepalive(1000, 2), " ", two:close())
        """,
        "0\n1 nilclosed\n",
    ),
    "not_initialized": Case(
        """
        local client = setmetatable({}, { __index = http })
        for _, name in ipairs({ "set_timeout", "set_timeouts", "set_keepalive", "get_reused_times", "close",
                                "ssl_handshake" }) do
            say(client[name](client))
        end
        say(client:connect({ scheme = "http", host = "127.0.0.1" }))
        say(client:connect("127.0.0.1", 80))
        """,
        "nilnot initialized\n" * 8,
    ),
    "not_connected": Case(
        """
        say(http.new():request({ path = "/" }))
        say(http.new():close())
        say(http.new():get_reused_times())
        """,
        "nilclosed\nnilclosed\nnilclosed\n",
        better=True,
    ),
    "connect_options": Case(
        """
        say(http.new():connect({ host = "127.0.0.1", port = 80 }))
        say(http.new():connect({ scheme = "http" }))
        """,
        "nil'scheme' is required when providing a port\nnil'host' is required\n",
        better=True,
    ),
    "unix_socket": Case(
        """
        local path = "unix:{prefix}/lua.sock"
        for _, connect in ipairs({ function(client) return client:connect({ host = path }) end,
                                   function(client) return client:connect(path) end }) do
            local client = http.new()
            say(connect(client))
            say(client:request({ path = "/hello" }))
            say(client:request({ path = "/hello", headers = { Host = "here" } }):read_body(), client:set_keepalive())
        end
        """,
        "truenilnil\nnilUnable to generate a useful Host header for a unix domain socket. Please provide one.\nhello1\n"
        "1\nnilUnable to generate a useful Host header for a unix domain socket. Please provide one.\nhello1\n",
    ),
    "host_field": Case(
        """
        local function host(scheme, port, ssl)
            local client = connected()
            client.host, client.port, client.ssl = "example.com", port, ssl
            say(client:request({ path = "/echo" }):read_body():match("Host: ([^\\r]+)"))
        end
        host("http", 80) host("http", 443) host("https", 443, true) host("https", 80, true)
        """,
        "example.com\nexample.com:443\nexample.com\nexample.com:80\n",
    ),
    "pipeline": Case(
        """
        local client = connected()
        local responses = client:request_pipeline({
            { path = "/length" }, { path = "/chunked" }, { path = "/head-only", method = "HEAD" },
            { path = "/echo", method = "POST", body = "abc" }, { path = "/trailers" },
        })
        for i, res in ipairs(responses) do
            say(res.status, " ", (res:read_body():gsub("^POST.*\\r\\n\\r\\n", "")))
            res:read_trailers()
        end
        say(responses[5].headers["Server"], " ", client:set_keepalive())
        say(client:request_pipeline({ { path = "/length", headers = { Expect = "100-continue" } } }))
        """,
        "200 hello\n200 hello world\n200 \n200 abc\n200 ok\nscript 1\n"
        "nilCannot pipeline request specifying Expect: 100-continue\n",
    ),
    "pipeline_broken": Case(
        """
        local client = connected()
        client:set_timeouts(5000, 5000, 50)
        local responses = client:request_pipeline({ { path = "/length" }, { path = "/stall" } })
        say(responses[1].status, " ", responses[1]:read_body(), " ", responses[2].status, " ", responses[2].headers)
        """,
        "200 hello nil nil\n",
    ),
    "parse_uri": Case(
        """
        local function parse(uri, query_in_path)
            local parts, err = http.parse_uri(nil, uri, query_in_path)
            if not parts then return say(err) end
            say(parts[1], " ", parts[2], " ", parts[3], " ", parts[4], " ", parts[5], " ", type(parts[3]))
        end
        parse("http://example.com")
        parse("https://example.com/a/b?c=d?e")
        parse("https://example.com/a/b?c=d?e", false)
        parse("http://example.com?c=d", false)
        parse("http://example.com:8080?c=d", true)
        parse("http://[::1]:8080/a", false)
        parse("http://[2001:db8::1]")
        parse("//example.com/a", false)
        parse("http://example.com:/a", false)
        parse("ftp://example.com/")
        parse("example.com")
        parse("http:///path")
        """,
        "http example.com 80 /  number\n"
        "https example.com 443 /a/b?c=d?e nil number\nhttps example.com 443 /a/b c=d?e number\n"
        "http example.com 80 / c=d number\nhttp example.com 8080 /?c=d nil number\nhttp [::1] 8080 /a  number\n"
        "http [2001:db8::1] 80 /  number\nhttp example.com 80 /a  number\nhttp example.com 80 :/a  number\n"
        "bad uri: ftp://example.com/\nbad uri: example.com\nbad uri: http:///path\n",
    ),
    "parse_uri_not_text": Case(
        "say(http.new():request_uri(nil))",
        "nilbad uri: nil\n",
        better=True,
    ),
    "proxy_of_http": Case(
        """
        local options = { http_proxy = origin, http_proxy_authorization = "Basic eA==" }
        local headers = { ["User-Agent"] = "me" }
        local client = http.new()
        client:set_proxy_options(options)
        fields(client:request_uri("http://example.com/proxied?a=1", { headers = headers }).body)
        headers["Proxy-Authorization"] = "Basic eQ=="
        fields(client:request_uri("http://example.com:8080/proxied", { headers = headers }).body)
        say(options.http_proxy_authorization)
        """,
        "GET http://example.com/proxied?a=1 HTTP/1.1\nHost: example.com\nProxy-Authorization: Basic eA==\n"
        "User-Agent: me\nGET http://example.com:8080/proxied HTTP/1.1\nHost: example.com:8080\n"
        "Proxy-Authorization: Basic eQ==\nUser-Agent: me\nBasic eA==\n",
    ),
    "proxy_excluded": Case(
        """
        local client = http.new()
        client:set_proxy_options({ http_proxy = "http://127.0.0.1:{dead}", no_proxy = "127.0.0.1" })
        say((client:request_uri(origin .. "/echo").body:match("^[^\\r]+")))
        client:set_proxy_options({ http_proxy = "http://127.0.0.1:{dead}" })
        say((select(2, client:request_uri(origin .. "/echo")):gsub("{dead}", "DEAD")))
        """,
        "GET /echo HTTP/1.1\nfailed to connect to: 127.0.0.1:DEAD: connection refused\n",
        better=True,
    ),
    "proxy_for_host": Case(
        """
        local client = http.new()
        say(client:get_proxy_uri("http", "example.com"))
        client:set_proxy_options({ http_proxy = "http://p", https_proxy = "http://s",
                                   no_proxy = "example.com,.org.test,localhost,net" })
        for _, host in ipairs({ "example.com", "www.example.com", "notexample.com", "a.b.org.test", "org.test",
                                "test", "localhost", "a.localhost", "a.net" }) do
            say(host, " ", client:get_proxy_uri("http", host), " ", client:get_proxy_uri("https", host))
        end
        client:set_proxy_options({ http_proxy = "http://p", no_proxy = "*" })
        say(client:get_proxy_uri("http", "test"))
        """,
        "nil\nexample.com nil nil\nwww.example.com nil nil\nnotexample.com http://p http://s\n"
        "a.b.org.test nil nil\norg.test nil nil\ntest http://p http://s\nlocalhost nil nil\n"
        "a.localhost http://p http://s\na.net http://p http://s\nnil\n",
    ),
    "proxy_refuses_tunnel": Case(
        """
        local client = http.new()
        client:set_proxy_options({ https_proxy = origin })
        say(client:request_uri("https://example.com/"))
        say(http.new():connect_proxy(origin, "https", "example.com", 443))
        say(http.new():connect_proxy("https://example.com", "https", "example.com", 443))
        client:set_proxy_options({ https_proxy = "https://example.com" })
        say(client:request_uri("https://example.com/"))
        say(http.new():connect_proxy(origin, "http", "example.com", 80))
        client:set_proxy_options({ https_proxy = "example.com" })
        say(client:request_uri("https://example.com/"))
        say(http.new():connect_proxy("example.com", "http", "example.com", 80))
        """,
        "nilfailed to establish a tunnel through a proxy: 403\n" * 2
        + "nilprotocol https not supported for proxy connections\n" * 2
        + "1nil\nniluri parse error: bad uri: example.com\nnilbad uri: example.com\n",
    ),
    "debug_and_agent": Case(
        """
        http.debug(true)
        http._USER_AGENT = "another"
        say(http.new():request_uri(origin .. "/echo").body:match("User%-Agent: ([^\\r]+)"))
        say(http._VERSION)
        http.debug(false)
        http._USER_AGENT = "lua-resty-http/" .. http._VERSION .. " (Lua) ngx_lua/" .. ngx.config.ngx_lua_version
        """,
        "another\n0.17.2\n",
    ),
}
