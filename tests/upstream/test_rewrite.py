from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pcre2
import pytest

from pyresty.http.regex import capture
from pyresty.http.template import Template, Variable
from pyresty.modules.proxy_rewrite import (
    NO_RULES,
    CookieFlags,
    Rule,
    Rules,
    cookie_rewriter,
    domain_rule,
    parse_cookie,
    prefix_rule,
    regex_rule,
)


def request() -> Any:
    """As much of a request as a rule needs."""
    return SimpleNamespace(captures=None, vars=None)


def text(value: bytes) -> Template:
    return Template("", (value,))


def captured(before: bytes, number: int, after: bytes) -> Template:
    """``before$1after``"""
    return Template("", (before, Variable(str(number), lambda r: capture(r, number)), after))


def rules(*rules: Rule) -> Rules:
    return Rules(rules, False)


REDIRECTS = rules(
    prefix_rule(text(b"http://up/"), text(b"/")),
    prefix_rule(text(b"http://up"), text(b"/x")),
    regex_rule(pcre2.compile(b"^/old/(.*)$"), captured(b"/new/", 1, b"!")),
    regex_rule(pcre2.compile(b"^/CASE", pcre2.IGNORECASE), text(b"/small")),
)


@pytest.mark.parametrize(
    ("value", "rewritten"),
    [
        (b"http://up/a?b", b"/a?b"),
        (b"http://up:81/a", b"/x:81/a"),
        (b"http://other/a", None),
        (b"HTTP://up/a", None),
        (b"/old/a/b", b"/new/a/b!"),
        (b"/case/all", b"/small"),
        (b"", None),
    ],
)
def test_redirects(value: bytes, rewritten: bytes | None) -> None:
    assert REDIRECTS.apply(request(), value, 0) == rewritten


def test_a_redirect_within_a_value() -> None:
    assert REDIRECTS.apply(request(), b"5; url=http://up/a", 7) == b"5; url=/a"
    assert REDIRECTS.apply(request(), b"5; url=/old/a", 7) == b"5; url=/new/a!"
    assert REDIRECTS.apply(request(), b"5; url=/other", 7) is None


def test_rules_know_whether_they_depend_on_the_request() -> None:
    assert not REDIRECTS.vary
    more = REDIRECTS.plus(prefix_rule(text(b"a"), text(b"b")), True)
    assert more.vary
    assert len(more) == len(REDIRECTS) + 1


def test_parse_cookie() -> None:
    assert parse_cookie(b" a = b=c ; Path=/;Secure ;") == [
        (b"a", b"b=c"),
        (b"Path", b"/"),
        (b"Secure", None),
        (b"", None),
    ]


def cookie(
    value: bytes, domains: Rules = NO_RULES, paths: Rules = NO_RULES, flags: tuple[CookieFlags, ...] = ()
) -> Any:
    """What is made of a Set-Cookie header."""
    rewrite = cookie_rewriter(domains, paths, flags)
    assert rewrite is not None
    return rewrite(request(), value)


@pytest.mark.parametrize(
    ("value", "rewritten"),
    [
        (b"a=b; Domain=Local", b"a=b; Domain=front"),
        (b"a=b; domain=.local; X", b"a=b; domain=.front; X"),
        (b"a=b;Domain=local;Path=/app/x", b"a=b; Domain=front; Path=/x"),
        (b"a=b; Domain=other", None),
        (b"a=b; Domain", None),
        (b"a=b", None),
        (b"a; Domain=local", None),
    ],
)
def test_cookie_domain_and_path(value: bytes, rewritten: bytes | None) -> None:
    domains = rules(domain_rule(text(b"local"), text(b"front")))
    paths = rules(prefix_rule(text(b"/app/"), text(b"/")))
    assert cookie(value, domains, paths) == rewritten


@pytest.mark.parametrize(
    ("flags", "value", "rewritten"),
    [
        ((b"secure",), b"a=b", b"a=b; Secure"),
        ((b"secure",), b"a=b;secure", b"a=b; secure"),
        ((b"nosecure",), b"a=b; Secure; X=y", b"a=b; X=y"),
        ((b"httponly", b"samesite=strict"), b"a=b; Path=/", b"a=b; Path=/; HttpOnly; SameSite=Strict"),
        ((b"samesite=lax",), b"a=b; SameSite=None", b"a=b; SameSite=Lax"),
        ((b"samesite=lax",), b"a=b; samesite=LAX", b"a=b; samesite=LAX"),
        ((b"SAMESITE=none",), b"a=b", b"a=b; SameSite=None"),
        ((b"nosamesite", b"nohttponly"), b"a=b; HttpOnly; SameSite=Lax", b"a=b"),
        ((b"unknown",), b"a=b; Secure", None),
        ((b"",), b"a=b", None),
    ],
)
def test_cookie_flags(flags: tuple[bytes, ...], value: bytes, rewritten: bytes | None) -> None:
    rule = CookieFlags(text(b"A"), None, [text(flag) for flag in flags])
    assert cookie(value, flags=(rule,)) == rewritten
    other = CookieFlags(text(b"other"), None, [text(flag) for flag in flags])
    assert cookie(value, flags=(other,)) is None


def test_the_first_flags_that_apply_count() -> None:
    first = CookieFlags(None, pcre2.compile(b"^s"), [text(b"secure")])
    second = CookieFlags(text(b"sid"), None, [text(b"httponly")])
    assert cookie(b"sid=1", flags=(first, second)) == b"sid=1; Secure"
    assert cookie(b"sid=1", flags=(second, first)) == b"sid=1; HttpOnly"
    assert first.vary and not second.vary


def test_without_rules_there_is_no_rewriter() -> None:
    assert cookie_rewriter(NO_RULES, NO_RULES, ()) is None
