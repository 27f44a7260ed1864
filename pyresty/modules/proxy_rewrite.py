"""What proxy_redirect and proxy_cookie_domain, _path and _flags do to headers of a response.

The one idea: a rule is a function from a value (and where in it the rewritten part begins) to the new value, or None if
it does not apply; of several rules the first that applies counts.

https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_redirect, #proxy_cookie_domain and so on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..config.directives import UNSET
from ..http.regex import compile_regex, set_captures
from ..http.template import Template

if TYPE_CHECKING:
    from ..config.build import Builder
    from ..config.parse import Node
    from ..http.request import Request

#: ``rule(r, value, start)``: the value with what follows ``start`` rewritten, or None.
Rule = Callable[["Request", bytes, int], "bytes | None"]


class Rules(tuple[Rule, ...]):
    """Rules in their order. ``vary`` tells that a result may depend on the request."""

    vary: bool

    def __new__(cls, rules: Sequence[Rule], vary: bool) -> Rules:
        made = super().__new__(cls, rules)
        made.vary = vary
        return made

    def plus(self, rule: Rule, vary: bool) -> Rules:
        """These and one more."""
        return Rules((*self, rule), self.vary or vary)

    def apply(self, r: Request, value: bytes, start: int) -> bytes | None:
        """What the first rule that applies makes of ``value``; None if none does."""
        for rule in self:
            rewritten = rule(r, value, start)
            if rewritten is not None:
                return rewritten
        return None


NO_RULES = Rules((), False)


def _replace(value: bytes, start: int, size: int, replacement: bytes) -> bytes:
    return value[:start] + replacement + value[start + size :]


def prefix_rule(pattern: Template, replacement: Template) -> Rule:
    """What begins with ``pattern`` gets ``replacement`` for it."""

    def rewrite(r: Request, value: bytes, start: int) -> bytes | None:
        prefix = pattern(r)
        if not value.startswith(prefix, start):
            return None
        return _replace(value, start, len(prefix), replacement(r))

    return rewrite


def regex_rule(regex: Any, replacement: Template) -> Rule:
    """What matches ``regex`` becomes ``replacement``, in which ``$1`` … are its captures."""

    def rewrite(r: Request, value: bytes, start: int) -> bytes | None:
        match = regex.search(value[start:])
        if match is None:
            return None
        set_captures(r, match)
        return value[:start] + replacement(r)

    return rewrite


def domain_rule(domain: Template, replacement: Template) -> Rule:
    """A domain, compared in any case and without a leading dot (which stays), becomes ``replacement``."""

    def rewrite(r: Request, value: bytes, start: int) -> bytes | None:
        if value.startswith(b".", start):
            start += 1
        if value[start:].lower() != domain(r).lower():
            return None
        return value[:start] + replacement(r)

    return rewrite


def set_rules(
    cf: Builder, conf: Any, field: str, node: Node, make: Callable[[Template, Template], Rule], caseless: bool = False
) -> None:
    """``name off`` or ``name pattern replacement``, where ``~regex`` and ``~*regex`` are patterns too (``caseless``:
    always ``~*``).
    """
    have = getattr(conf, field)
    if have == NO_RULES:
        raise ValueError("is duplicate")
    if len(node.args) == 1:
        if node.args[0] != "off":
            raise cf.error(f'invalid parameter "{node.args[0]}"')
        if have is not UNSET:
            raise ValueError("is duplicate")
        setattr(conf, field, NO_RULES)
        return
    pattern, text = node.args
    replacement = cf.template(text.removeprefix(".") if make is domain_rule else text)
    vary = replacement.const is None
    if pattern.startswith("~"):
        any_case = caseless or pattern.startswith("~*")
        expression = pattern[2:] if pattern.startswith("~*") and not caseless else pattern[1:]
        rule = regex_rule(compile_regex(cf, expression, any_case), replacement)
        vary = True
    else:
        compared = cf.template(pattern.removeprefix(".") if make is domain_rule else pattern)
        vary = vary or compared.const is None
        rule = make(compared, replacement)
    setattr(conf, field, (Rules((), False) if have is UNSET else have).plus(rule, vary))


# -- cookies

#: The attributes that proxy_cookie_flags knows: the flag's words, and what they add (None: remove the attribute).
_FLAGS: dict[bytes, tuple[bytes, tuple[bytes, bytes | None] | None]] = {
    b"secure": (b"secure", (b"Secure", None)),
    b"nosecure": (b"secure", None),
    b"httponly": (b"httponly", (b"HttpOnly", None)),
    b"nohttponly": (b"httponly", None),
    b"samesite=strict": (b"samesite", (b"SameSite", b"Strict")),
    b"samesite=lax": (b"samesite", (b"SameSite", b"Lax")),
    b"samesite=none": (b"samesite", (b"SameSite", b"None")),
    b"nosamesite": (b"samesite", None),
}

#: A part of a Set-Cookie header: name, and value or None.
Attribute = tuple[bytes, "bytes | None"]


class CookieFlags:
    """One ``proxy_cookie_flags``: which cookie, and the words."""

    def __init__(self, cookie: Template | None, regex: Any, flags: list[Template]) -> None:
        self.cookie = cookie
        self.regex = regex
        self.flags = flags
        self.vary = regex is not None or cookie is None or any(t.const is None for t in (cookie, *flags))

    def applies(self, r: Request, name: bytes) -> bool:
        """Whether the cookie ``name`` is meant."""
        if self.cookie is not None:
            return name.lower() == self.cookie(r).lower()
        match = self.regex.search(name)
        if match is None:
            return False
        set_captures(r, match)
        return True

    def edit(self, r: Request, attributes: list[Attribute]) -> bool:
        """Change the attributes; False if there is nothing to change."""
        wanted: dict[bytes, tuple[bytes, bytes | None] | None] = {}
        for template in self.flags:
            known = _FLAGS.get(template(r).lower())
            if known is not None and wanted.get(known[0]) is None:
                wanted[known[0]] = known[1]
        if not wanted:
            return False
        kept = attributes[:1]
        for name, value in attributes[1:]:
            low = name.lower()
            if low not in wanted:
                kept.append((name, value))
                continue
            add = wanted[low]
            if add is not None:
                same = add[1] is None or (value is not None and value.lower() == add[1].lower())
                kept.append((name, value) if same else add)
                del wanted[low]
        attributes[:] = kept + [add for add in wanted.values() if add is not None]
        return True


def set_flags(cf: Builder, conf: Any, node: Node) -> None:
    """``proxy_cookie_flags off | cookie [flag …]``."""
    have = conf.cookie_flags
    if have == ():
        raise ValueError("is duplicate")
    cookie, *flags = node.args
    if not flags:
        if cookie != "off":
            raise cf.error(f'invalid parameter "{cookie}"')
        if have is not UNSET:
            raise ValueError("is duplicate")
        conf.cookie_flags = ()
        return
    templates = [cf.template(flag) for flag in flags]
    if cookie.startswith("~"):
        rule = CookieFlags(None, compile_regex(cf, cookie[1:], True), templates)
    else:
        rule = CookieFlags(cf.template(cookie), None, templates)
    conf.cookie_flags = (*(have or ()), rule)


def parse_cookie(value: bytes) -> list[Attribute]:
    """A Set-Cookie header as its parts. nginx: ``ngx_http_proxy_parse_cookie``."""
    attributes: list[Attribute] = []
    for part in value.split(b";"):
        name, eq, text = part.partition(b"=")
        attributes.append((name.strip(b" "), text.strip(b" ") if eq else None))
    return attributes


def cookie_rewriter(
    domains: Rules, paths: Rules, flags: Sequence[CookieFlags]
) -> Callable[[Request, bytes], bytes | None] | None:
    """The function that rewrites a Set-Cookie header (None where no rule applies); None if there are no rules."""
    if not domains and not paths and not flags:
        return None

    def rewrite(r: Request, value: bytes) -> bytes | None:
        attributes = parse_cookie(value)
        if attributes[0][1] is None:
            return None
        changed = False
        for i in range(1, len(attributes)):
            name, text = attributes[i]
            low = name.lower()
            rules = domains if low == b"domain" else paths if low == b"path" else NO_RULES
            if text is not None and rules:
                rewritten = rules.apply(r, text, 0)
                if rewritten is not None:
                    attributes[i] = (name, rewritten)
                    changed = True
        for rule in flags:
            if rule.applies(r, attributes[0][0]):
                changed = rule.edit(r, attributes) or changed
                break
        if not changed:
            return None
        return b"; ".join(name if text is None else name + b"=" + text for name, text in attributes)

    return rewrite
