"""The end of a Lua block, by Lua's lexical grammar."""

from __future__ import annotations

import pytest

from pyresty.config.lualex import LONGEST_BRACKET, LuaBlockError, block_end

BLOCKS = [
    "",
    " x = 1 ",
    " t = { { }, {} } ",
    ' s = "}" ',
    " s = '}' ",
    r' s = "\"}" ',
    r" s = '\\' t = '}' ",
    r" s = '\'}' ",
    ' s = "it\'s }" ',
    " -- it's } \n",
    ' -- " \n',
    " --[ } \n",
    " --[[ } \n ' ]] ",
    " --[==[ } ]] ]=] ]==] ",
    " s = [[ } \" ' -- ]] ",
    " s = [=[ ]] } ]=] ",
    " a[b[1]] = '}' ",
    " a = b --[[ } ]] - 1 ",
    " x = a - -1 --\n",
    's = "one\\\n}two"',
    's = "one\\\r\n}two"',
    's = "one\\z\n  \t\n }two"',
    r" s = '\z }' ",
    " s = '\u00a0}é' ",
    ' s = "not closed \n ',
    " s = 'not closed \n t = {} ",
    " ]] ]==] ",
]


@pytest.mark.parametrize("code", BLOCKS)
def test_block_ends_at_its_own_brace(code: str) -> None:
    text = f"x {{{code}}} after }} 'too' ]]"
    assert text[3 : block_end(text, 3)] == code + "}"


MISSING = "unexpected end of file, expecting terminating characters for lua code block"
LONG = 'Lua code block missing the closing long bracket "{}", the inlined Lua code may be too long'
OPEN = [
    ("\n x = 1\n", MISSING, 1, 1),
    ("\n x = {\n y = {}\n", MISSING, 3, 2),
    ("\n s = [[ }\n", LONG.format("]]"), 2, None),
    ("\n\n --[==[ } ]=] }", LONG.format("]==]"), 3, None),
]


@pytest.mark.parametrize(("code", "message", "line", "opened"), OPEN)
def test_block_without_end(code: str, message: str, line: int, opened: int | None) -> None:
    text = "{" + code
    with pytest.raises(LuaBlockError) as caught:
        block_end(text, 1)
    assert caught.value.message == message
    assert text.count("\n", 0, caught.value.position) + 1 == line
    assert caught.value.hint == (f'the "{{" in line {opened} has no "}}"' if opened else None)


def test_long_bracket_must_fit_into_nginx_buffer() -> None:
    fits = "[[" + "é" * ((LONGEST_BRACKET - 4) // 2) + "]]"
    assert block_end("{" + fits + "}", 1) == len(fits) + 2
    with pytest.raises(LuaBlockError) as caught:
        block_end("{" + fits.replace("]]", "x]]") + "}", 1)
    assert caught.value.message == LONG.format("]]")
    assert caught.value.hint is not None and "by_lua_file" in caught.value.hint


def test_a_long_line_of_escapes_costs_little() -> None:
    """An unclosed quote is given up without trying each way to split what follows it."""
    code = '"' + r"\z   \x " * 5000
    assert block_end("{" + code + "\n}", 1) == len(code) + 3
