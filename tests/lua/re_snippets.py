"""What ``test_re.py`` runs: Lua in which ``show`` writes any value down.

The reference's ngx.re is built on PCRE 8, so error codes and messages, and what PCRE2 does otherwise, are in
``NEWER``, by ngx_lua's and PCRE2's documentation.
"""

from __future__ import annotations

#: Snippets that both answer alike; ``show`` writes any value down.
SNIPPETS = {
    "match": r"""
        local match = ngx.re.match
        ngx.say(show{match("hello, 1234", "[0-9]+")}, show{match("hello, 1234", "([0-9])(?<rest>[0-9]+)")})
        ngx.say(show{match("hello", "x")}, show{match("", "")}, show{match("", "^$")}, show{match("a", "")})
        ngx.say(show{match("hello", "(world)|(hello)|(?<named>howdy)")}, show{match("ac", "(a)(b)?(c)(d)?")})
        ngx.say(show{match("a\0b", "\\0(.)")}, show{match("\n", ".")})
        ngx.say(show{match(("a"):rep(70), ("(a)"):rep(70))})
        ngx.say(show{match("foobar", "foo\\Kbar")}, show{match("aXbX", "(.)X(?=bX)")}, show{match("ab",
            "(?<!a)b")})""",
    "subjects": r"""
        ngx.say(show{ngx.re.match(12345, "3(.)")}, show{ngx.re.match(nil, "n(.)")}, show{ngx.re.match(true, "r(.)")})
        ngx.say(show{ngx.re.find(1.5, "\\.")}, show{ngx.re.sub(12, "1", "x")}, show{ngx.re.gsub(nil, "i", 5)})
        local function text(t) return setmetatable({}, { __tostring = function() return t end }) end
        ngx.say(show{ngx.re.match(text("abc"), "b")}, show{ngx.re.gsub("aba", "a", text("$0$0"))})
        for m in ngx.re.gmatch(1213, "1(.)") do ngx.say(show(m)) end""",
    "options": r"""
        for _, row in ipairs{ {"HELLO", "hel", "i"}, {"a\nb", "a.b", "s"}, {"a\nb", "^b$", "m"}, {"a\nb", "^b$", ""},
            {"ab", "a b # comment", "x"}, {"ab", "b", "a"}, {"bb", "b", "a"}, {"a\nB", "A . b", "isx"}, {"ab",
                "AB", "ijo"},
            {"\228\189\160\229\165\189", "^.", "u"}, {"\228\189\160", "^.", ""}, {"\228\189\160", "^.", "U"},
            {"\195\132", "\195\164", "iu"}, {"\195\132", "\195\164", "i"}, {"aa", "(a)(b)?\\2", "J"}, {"aa",
                "(a)(b)?\\2", ""},
            {"a", "a[]", "J"}, {"abc", "(a|ab|abc)", ""},
            {"a", "a", "jjoo"}, {"b", "(?i)B", "o"}} do
            ngx.say(show(row), " ", show{ngx.re.match(unpack(row))}, show{ngx.re.find(unpack(row))})
        end""",
    "duplicate_names": r"""
        local s, two = "hello, world", "(?<n>\\w+), (?<n>\\w+)"
        ngx.say(show{ngx.re.match(s, two, "D")}, show{ngx.re.match(s, two, "Dj")}, show{ngx.re.match(s,
            "(?J)" .. two)})
        ngx.say(show{ngx.re.match("b", "(?<n>a)|(?<n>b)", "D")}, show{ngx.re.match("b", "(?<n>x)?b", "D")})
        ngx.say(show{ngx.re.match("ab", "(?<x>a)(?<y>b)", "D")},
            show{ngx.re.gsub(s, two, function(m) return #m.n end, "D")})
        for m in ngx.re.gmatch("a1 b2", "(?<n>\\w)(?<n>\\d)", "Do") do ngx.say(show(m)) end""",
    "dfa": r"""
        for _, row in ipairs{ {"abc", "(a|ab|abc)", "d"}, {"abcabc", "(?:abc|abcabc)", "dj"},
            {"12", "(?<n>1)", "do"}} do
            ngx.say(show(row), " ", show{ngx.re.match(unpack(row))}, show{ngx.re.find(unpack(row))})
        end
        ngx.say(show{ngx.re.find("abc", "(abc)", "d", nil, 0)}, show{ngx.re.find("abc", "(abc)", "d", nil, 1)})
        ngx.say(show{ngx.re.match("ab", "b", "d", { pos = 2 })}, show{ngx.re.sub("abc", "a(bc)?", "[$0$1]", "d")})
        for m in ngx.re.gmatch("abcabcab", "ab|abcabc", "dj") do ngx.say(show(m)) end
        ngx.say(show{ngx.re.gsub("aaa b", "a+", function(m) return #m[0] end, "d")})
        ngx.say(show{require("ngx.re").split("axbxxc", "x|xx", "d")})""",
    "ctx": r"""
        for _, pos in ipairs{1, 2, 5, 0, -3, 12} do
            local ctx = { pos = pos }
            ngx.say(pos, " ", show{ngx.re.match("1234, hello", "[0-9]+|$", "", ctx)}, show(ctx))
        end
        local ctx = {}
        ngx.say(show{ngx.re.match("1234, hello", "[0-9]+", "", ctx)}, show(ctx))
        ngx.say(show{ngx.re.match("1234, hello", "[0-9]+", "", ctx)}, show(ctx))
        ngx.say(show{ngx.re.find("1234, hello", "[a-z]+", "jo", ctx)}, show(ctx), show{ngx.re.find("ab", "", "",
            {pos = 2})})
        ctx = { pos = 3 }
        ngx.say(show{ngx.re.match("abab", "^a|\\Gab", "", ctx)}, show{ngx.re.match("abab", "ab", "a", { pos = 2 })})
        ngx.say(show{ngx.re.match("ab", "(?<=a)b", "", { pos = 2 })})
        local tokens, lexer = {}, { pos = 1 }
        while true do
            local m = ngx.re.match("x1+22", "([a-z]\\d*)|(\\d+)|(.)", "ao", lexer)
            if not m then break end
            tokens[#tokens + 1] = m[0]
        end
        ngx.say(show(tokens), show(lexer))""",
    "res_table": r"""
        local res = {}
        local m = ngx.re.match("hello, 1234", "([a-z]+), ([0-9])(?<n>x)?", "", nil, res)
        ngx.say(m == res, show(res))
        ngx.say(show{ngx.re.match("ab", "(b)", "o", nil, res)}, show{ngx.re.match("zz", "(b)", "o", nil, res)})
        local old = { [0] = "old", "old", "old", key = "value" }
        ngx.say(show{ngx.re.match("ab", "(a)", "jo", { pos = 1 }, old)})""",
    "find": r"""
        ngx.say(show{ngx.re.find("hello, 1234", "([0-9])([0-9]+)")}, show{ngx.re.find("hello", "x")},
            show{ngx.re.find("", "")})
        for _, nth in ipairs{0, 1, 2, 3, 4, -1} do
            ngx.say(nth, " ", show{ngx.re.find("hello, 1234", "([0-9])([0-9]+)(x)?", "jo", nil, nth)})
        end
        ngx.say(show{ngx.re.find("abc", "(x)?b", "", nil, 1)}, show{ngx.re.find("abc", "$")},
            show{ngx.re.find("abc", "z", "", nil, 9)})
        local ctx = { pos = 1 }
        ngx.say(show{ngx.re.find("abc", "(b)", "", ctx, 7)}, show(ctx), show{ngx.re.find("abc", "(c)",
            "o", ctx, 1)}, show(ctx))""",
    "gmatch": r"""
        for _, row in ipairs{ {"hello, world!", "([a-z]+)", "i"}, {"abc", ""}, {"", ""}, {"a1b22", "[0-9]*"},
            {"xx", "y"},
            {"ab\ncd", "^.", "m"}, {"aXbX", "(?<l>.)X", "jo"}, {"aab", "a|$"},
            {"1,2,", "(?:^|,)([^,]*)"}, {"aba", "\\Ga"}, {"\228\189\160a", ".", "u"}} do
            local found = {}
            for m in ngx.re.gmatch(unpack(row)) do found[#found + 1] = m end
            ngx.say(show(row), " ", show(found))
        end
        local it = ngx.re.gmatch("ab", "b")
        ngx.say(show{it()}, show{it()}, show{it()})
        local one, two = ngx.re.gmatch("1 2 3", "\\d", "o"), ngx.re.gmatch("4 5", "\\d", "o")
        ngx.say(one()[0], two()[0], one()[0], two()[0], one()[0], show(two()), show(one()))""",
    "sub": r"""
        for _, row in ipairs{ {"hello, 1234", "([0-9])[0-9]", "[$0][$1]"}, {"hello, 1234", "[0-9]", "${0}00"},
            {"hello", "l", "$$"}, {"hello", "l", ""}, {"hello", "x", "y"}, {"", "", "new"}, {"ab", "$", "c"},
                {"ab", "(b)|(c)", "[$2$1]"},
            {"ab", "(b)", "$1$1${1}0$10$9"}, {"ab", "b", "$$1$$$0"}, {"hello", "(?<n>l)", "<$1>"}, {"a.b", "\\.",
                "\\0%1"},
            {"abc", "(a)(b)(c)", "$3$2$1", "jo"}, {"a\0b", "\\0", "\0$0\0"}} do
            ngx.say(show(row), " ", show{ngx.re.sub(unpack(row))}, show{ngx.re.gsub(unpack(row))})
        end""",
    "gsub": r"""
        for _, row in ipairs{ {"hello, world", "([a-z])[a-z]+", "[$0,$1]", "i"}, {"hello", "", "-"}, {"a b  c",
            " *", "-"},
            {"hello", "l*", "<$0>"}, {"aaa", "a", "$0$0"}, {"aaa", "^a", "b"}, {"a\nb", "^", "> ", "m"}, {"aaa",
                "\\Ga", "b"},
            {"abab", "(?<=a)b", "B"}, {"ab", "(?=b)", "|"}, {"foobar", "o\\K", "-"}, {"\228\189\160a", ".", "x", "u"},
            {("ab"):rep(3000), "b", "ccc", "jo"}, {("ab"):rep(3000), "a", "", "jo"}, {"x",
                "x", ("long"):rep(20000)}} do
            local s, n, err = ngx.re.gsub(unpack(row))
            ngx.say(#s < 100 and show(s) or ngx.md5(s), " ", #s, " ", n, " ", err)
        end""",
    "functions": r"""
        local function brackets(m) return "[" .. m[0] .. "][" .. tostring(m[1]) .. "]" end
        ngx.say(show{ngx.re.sub("hello, 1234", "( [0-9] ) [0-9]", brackets, "x")}, show{ngx.re.gsub("ab",
            "(a)|b", brackets)})
        ngx.say(show{ngx.re.gsub("abc", "b", function() return nil end)})
        ngx.say(show{ngx.re.gsub("abc", "b", function() return "$0" end)})
        ngx.say((pcall(ngx.re.gsub, "abc", "b", function() end)))
        ngx.say(show{ngx.re.gsub("abc", "", function(m) return 1.5 end)}, show{ngx.re.gsub("abc", "x", brackets)})
        ngx.say(show{ngx.re.gsub("a b", "(?<w>\\w)", function(m) return m.w:upper() end, "jo")})
        ngx.say(show{ngx.re.gsub("a1 b2", "(\\w)(\\d)", function(m)
            return ngx.re.gsub(m[1] .. m[1], m[1], function(n) return n[0] .. ngx.re.sub(m[2], "\\d", "<$0>",
                "jo") end)
        end, "jo")})
        ngx.say(show{ngx.re.gsub("a b c", "\\w", function(m) ngx.sleep(0.001) return m[0]:byte() end)})
        ngx.say((select(2, pcall(ngx.re.gsub, "ab", "a", function() error("mine", 0) end))), show{ngx.re.sub("ab",
            "a", "x")})""",
    "templates": r"""
        for _, template in ipairs{"$", "${", "a$", "$a", "$name", "${a", "${a}", "${1", "${12", "$-", "${}",
            "$ 1", "${ 1}", "${1a}",
            "$$$", "$1$", "$a_1"} do
            ngx.say(template, " ", show{ngx.re.sub("hello", "(l)", template)}, show{ngx.re.gsub("x",
                "(l)", template, "jo")})
        end""",
    "cache": r"""
        for i = 1, 3000 do
            local m = ngx.re.match("a" .. i, "^a(" .. i .. ")$", "jo")
            assert(m[1] == tostring(i))
        end
        for round = 1, 2 do
            for i = 2900, 3000 do
                assert(ngx.re.sub("a" .. i, "^a(" .. i .. ")$", "$1", "jo") == tostring(i))
            end
        end
        ngx.say(show{ngx.re.match("A", "a", "o")}, show{ngx.re.match("A", "a", "io")}, show{ngx.re.find("A", "a",
            "oi")})""",
    "misuse": r"""
        local function message(...)
            local ok, err = pcall(...)
            return tostring(ok) .. " " .. tostring(err):gsub("^[^ ]*:%d+: ", "")
        end
        for _, name in ipairs{"match", "find", "gmatch", "sub", "gsub"} do
            local f = ngx.re[name]
            ngx.say(name, " ", message(f, "a", "a", name:find("sub") and "b" or "z", "z"))
            ngx.say(name, " ", message(f, "a", nil, "", ""), " ", message(f, "a", 12, "", ""))
        end
        ngx.say(message(ngx.re.match, "a", "a", "iz"), " ", message(ngx.re.match, "a", "a", "", 7))
        ngx.say(type(ngx.re.gmatch("a", "a")), ngx.re.nothing)""",
    "split": r"""
        local split = require("ngx.re").split
        for _, row in ipairs{ {"a,b,c,d", ","}, {"a,b,,", ","}, {",a,,b", ","}, {"abcd", ""}, {"", ","}, {"abc",
            ","}, {",", ","},
            {"a1b2c", "(\\d)"}, {"a, b,c", ",\\s*", "jo"}, {"abcd", "(\\w)"}, {"a,b,c", ",", "", nil, 2},
                {"a,b,c", ",", nil, nil, 1},
            {"a,b,c,", ",", nil, nil, 3}, {"abc", "", "", nil, 2}, {"a,b,c", ",", nil, { pos = 3 }}, {"a,b",
                ",", nil, { pos = 9 }},
            {"a b  c", "\\s*"}, {"a\nb", "^", "m"}, {12321, "2"}, {"aXbxc", "x", "i"}, {"ab",
                "b*$"},
            {"a,b", ",", nil, {}}, {"a,b,c", ",", nil, {}, 0, { 1, 2, 3, 4, 5 }}} do
            ngx.say(show(row[1]), show(row[2]), " ", show{split(unpack(row, 1, 6))}, show(row[4]))
        end
        ngx.say((select(2, pcall(split, "a", "a", "", nil, 0, 1)):gsub("^[^ ]*:%d+: ", "")))
        ngx.say((select(2, pcall(require("ngx.re").opt, "no", 1)):gsub("^[^ ]*:%d+: ", "")))""",
}

#: What ngx_lua 0.10.32 and PCRE2 say and do.
NEWER = {
    "compile_errors": (
        r"""
        for _, pattern in ipairs{ "(abc", "a[b", "a\\", "b\0(" } do
            ngx.say(select(2, ngx.re.match("a", pattern)))
        end
        for _, name in ipairs{"find", "sub", "gsub"} do
            local a, b, err = ngx.re[name]("hello", "(abc", "")
            ngx.say(tostring(a), tostring(b), " ", err)
        end
        local it, err = ngx.re.gmatch("hello", "(abc", "o")
        ngx.say(tostring(it), " ", err)
        local long = select(2, ngx.re.match("a", ("a"):rep(300) .. "("))
        ngx.say(#long, " ", long:sub(1, 70))
        """,
        'pcre2_compile() failed: missing closing parenthesis in "(abc"\n'
        'pcre2_compile() failed: missing terminating ] for character class in "a[b"\n'
        'pcre2_compile() failed: \\ at end of pattern in "a\\"\n'
        'pcre2_compile() failed: missing closing parenthesis in "b\n'
        + 'nilnil pcre2_compile() failed: missing closing parenthesis in "(abc"\n'
        * 3
        + 'nil pcre2_compile() failed: missing closing parenthesis in "(abc"\n'
        '255 pcre2_compile() failed: missing closing parenthesis in "aaaaaaaaaaaaaa\n',
    ),
    "match_errors": (
        r"""
        local bad = "a\xff"
        ngx.say(select(2, ngx.re.match(bad, "x", "u")), "|", select(3, ngx.re.find(bad, "x", "u")))
        ngx.say(select(3, ngx.re.sub(bad, "x", "", "u")), "|", select(3, ngx.re.gsub(bad, "x", "", "u")))
        local it = ngx.re.gmatch(bad, "x", "u")
        ngx.say(select(2, it()), "|", tostring(it()))
        ngx.say(select(2, ngx.re.match("abc", "x", "", { pos = 5 })), "|",
            select(2, ngx.re.match("abc", "x", "", { pos = 4 })))
        ngx.say(show{ngx.re.match("a\0b", "a\0(b)")}, show{ngx.re.gsub("a\0b", "a\0", "c")})
        """,
        "pcre_exec() failed: -23|pcre_exec() failed: -23\n"
        * 2
        + "pcre_exec() failed: -23|nil\npcre_exec() failed: -33|\n"
        '{1={0="a\\0b", 1="b"}}{1="cb", 2=1}\n',
    ),
    "dfa_errors": (
        r"""
        ngx.say(select(2, ngx.re.match("aa", "(a)\\1", "d")))
        ngx.say(select(2, ngx.re.match(("a"):rep(99), "(?:a?){99}", "d")))
        """,
        "pcre_exec() failed: -42\npcre_exec() failed: -43\n",
    ),
    # An empty match in front of a character of several bytes: the next search begins after the whole character.
    "utf8_steps": (
        r"""
        local s = "\228\189\160b"
        ngx.say((ngx.re.gsub(s, "", "-", "u")), " ", (ngx.re.gsub(s, "", "-", "U")))
        local n = 0
        for m in ngx.re.gmatch(s, "", "u") do n = n + 1 end
        ngx.say(n, " ", table.concat(require("ngx.re").split(s .. s, "", "u"), "|"))
        """,
        "-\u4f60-b- -\u4f60-b-\n3 \u4f60|b|\u4f60|b\n",
    ),
    "javascript": (
        r"""
        ngx.say(ngx.re.match("u0041", "\\u0041", "J") == nil, " ", ngx.re.match("A", "\\u0041", "J")[0])
        ngx.say((select(2, ngx.re.match("A", "\\u0041")):gsub(" failed.*", "")))
        """,
        "true A\npcre2_compile()\n",
    ),
    "where": (
        r"""
        local function f() local m = ngx.re.match("a", "a", "q") return m end
        ngx.say((select(2, pcall(f)):gsub("^.*:(%d+:)", "%1")))
        ngx.say(type(require("resty.core.regex").version), type(require("ngx.re").version))
        """,
        '2: unknown flag "q" (flags "q")\nstringstring\n',
    ),
}
