"""rewrite, return, set, if, break. https://nginx.org/en/docs/http/ngx_http_rewrite_module.html

The directives of one location, with those of its ``if`` blocks and ``set_by_lua`` among them, become one sequence of operations. An
operation answers None to go on, STOP to end the sequence, or the status to end the request with; an ``if`` runs a sequence inside.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..config.build import Scope
from ..config.directives import (
    FLAG,
    HSL,
    LIF,
    LOCATION,
    NOARGS,
    ONE_MORE,
    SERVER,
    SIF,
    TAKE2,
    TAKE12,
    TAKE23,
    Directive,
    Module,
    Settings,
    flag,
    setting,
)
from ..http.regex import capture, compile_regex, set_captures
from ..http.routing import Location
from ..http.template import Template, Variable, assigner, encode
from ..http.uri import ESCAPE_ARGS, UNESCAPE_REDIRECT, escape_uri, unescape
from ..process.logs import CRIT, ERR, NOTICE, WARN

if TYPE_CHECKING:
    from ..config.build import Builder
    from ..config.parse import Node
    from ..http.request import Request

#: What an operation answers to end the sequence without ending the request.
STOP = -5

Operation = Callable[["Request"], "int | None"]

_REDIRECTS = frozenset((301, 302, 303, 307, 308))


@dataclass
class RewriteSettings(Settings):
    """Settings of a location."""

    log: bool = setting(False)
    uninitialized_warn: bool = setting(True)


def run_operations(operations: list[Operation]) -> Operation:
    """One function for a sequence."""
    sequence = tuple(operations)

    def script(r: Request) -> int | None:
        for operation in sequence:
            rc = operation(r)
            if rc is not None:
                return None if rc == STOP else rc
        return None

    return script


def _operations(cf: Builder) -> list[Any]:
    loc = cf.scope.loc
    assert loc is not None
    return loc.script_ops


def set_break(cf: Builder, conf: RewriteSettings, node: Node) -> None:
    """``break``."""

    def break_(r: Request) -> int | None:
        r.valid_location = r.valid_location and not r.uri_changed
        r.uri_changed = False
        return STOP

    _operations(cf).append(break_)


def set_set(cf: Builder, conf: RewriteSettings, node: Node) -> None:
    """``set $variable value``."""
    name = _variable_name(cf, node.args[0])
    variable = define_variable(cf, name)
    value = cf.template(node.args[1])

    def set_(r: Request) -> int | None:
        variable.set(r, value(r))
        return None

    _operations(cf).append(set_)


def _variable_name(cf: Builder, text: str) -> str:
    if not text.startswith("$") or len(text) < 2:
        raise cf.error(f'invalid variable name "{text}"')
    return text[1:]


def define_variable(cf: Builder, name: str) -> Variable:
    """The variable that ``set`` and its like assign to: defined by the first of them, unless it is built in and changeable.

    Where none of them has run, one with a prefix (``$arg_a``) is what the prefix makes of it.
    """
    found = cf.config.defined(name)
    if found is not None:
        if found.set is None:
            raise cf.error(f'the duplicate "{name}" variable')
        return found

    def get(r: Request) -> bytes | None:
        if r.vars is not None and name in r.vars:
            return r.vars[name]
        if unset is not None:
            value: bytes | None = unset.get(r)
            return value
        if r.loc.conf["rewrite"].uninitialized_warn:
            r.log(WARN, f'using uninitialized "{name}" variable')
        assign(r, b"")
        return b""

    name = name.lower()
    unset = cf.config.variable(name)
    assign = assigner(name)
    return cf.define(name, get, assign)


def set_return(cf: Builder, conf: RewriteSettings, node: Node) -> None:
    """``return code [text]``, ``return code URL``, ``return URL``."""
    word = node.args[0]
    text: Callable[[Request], bytes] | None = None
    if word.isdigit():
        status = int(word)
        if status > 999:
            raise cf.error(f'invalid return code "{word}"')
        if len(node.args) > 1:
            text = cf.template(node.args[1])
    elif len(node.args) == 1 and word.startswith(("http://", "https://", "$scheme")):
        status = 302
        text = cf.template(word)
    else:
        raise cf.error(f'invalid return code "{word}"')
    if status >= 400 and not (len(node.args) > 1 and node.args[1]):
        _operations(cf).append(lambda r: status)
        return

    def return_(r: Request) -> int | None:
        if r.head.has_body and not r.discard_body():
            return 400
        r.status = status
        value = text(r) if text is not None else b""
        if status in _REDIRECTS:
            r.location = value
            return status
        if r.content_type is None:
            r.content_type = r.loc.core.type_of(r.uri)
        return r.respond(value)

    _operations(cf).append(return_)


class Replacement:
    """The second argument of ``rewrite``: path and arguments apart, captures escaped where the URI came escaped."""

    def __init__(self, cf: Builder, text: str, redirect: bool) -> None:
        self.add_args = not text.endswith("?")
        if not self.add_args:
            text = text[:-1]
        path, mark, args = text.partition("?")
        self.has_args = bool(mark)
        self.redirect = redirect
        self.path = cf.template(path)
        self.args = cf.template(args)

    def render(self, r: Request, template: Template, escape: bool) -> bytes:
        """The bytes of a part; ``escape`` quotes captures (arguments and redirects), if the URI came with escapes."""
        if template.const is not None:
            return template.const
        out = []
        quoted = escape and (r.head.quoted or b"+" in r.head.target)
        for part in template.parts:
            if isinstance(part, bytes):
                out.append(part)
            elif part.name.isdigit():
                value = capture(r, int(part.name)) or b""
                out.append(escape_uri(value, ESCAPE_ARGS) if quoted else value)
            else:
                out.append(part.get(r) or b"")
        return b"".join(out)


def set_rewrite(cf: Builder, conf: RewriteSettings, node: Node) -> None:
    """``rewrite regex replacement [flag]``."""
    pattern, text = node.args[0], node.args[1]
    if not text:
        raise cf.error("empty replacement")
    word = node.args[2] if len(node.args) > 2 else ""
    if word not in ("", "last", "break", "redirect", "permanent"):
        raise cf.error(f'invalid parameter "{word}"')
    status = {"redirect": 302, "permanent": 301}.get(word, 0)
    if not status and text.startswith(("http://", "https://", "$scheme")):
        status = 302
    regex = compile_regex(cf, pattern)
    replacement = Replacement(cf, text, bool(status))
    named = encode(pattern)
    ends = word in ("last", "break") or bool(status)
    breaks = word == "break"

    def rewrite(r: Request) -> int | None:
        match = regex.search(r.uri)
        log = r.loc.conf["rewrite"].log
        if match is None:
            r.captures = None
            if log:
                r.log(NOTICE, b'"%s" does not match "%s"' % (named, r.uri))
            return None
        if log:
            r.log(NOTICE, b'"%s" matches "%s"' % (named, r.uri))
        set_captures(r, match)
        if status:
            return _redirect(r, replacement, status, log)
        r.internal = True
        r.valid_unparsed_uri = False
        r.uri_changed = not breaks
        r.valid_location = r.valid_location and not breaks
        path = replacement.render(r, replacement.path, False)
        if replacement.has_args:
            args = replacement.render(r, replacement.args, True)
            if replacement.add_args and r.args:
                args += b"&" + r.args
            r.args = args
        elif not replacement.add_args:
            r.args = b""
        r.uri = path
        if log:
            r.log(NOTICE, b'rewritten data: "%s", args: "%s"' % (path, r.args or b""))
        if not path:
            r.log(ERR, "the rewritten URI has a zero length")
            return 500
        return STOP if ends else None

    _operations(cf).append(rewrite)


def _redirect(r: Request, replacement: Replacement, status: int, log: bool) -> int:
    target = replacement.render(r, replacement.path, True)
    if replacement.has_args:
        target += b"?" + replacement.render(r, replacement.args, True)
    target = unescape(target, UNESCAPE_REDIRECT)
    if replacement.add_args and r.args:
        target += (b"&" if replacement.has_args else b"?") + r.args
    if log:
        r.log(NOTICE, b'rewritten redirect: "%s"' % target)
    r.location = target
    return status


# -- if


def set_if(cf: Builder, conf: RewriteSettings, node: Node) -> None:
    """``if (condition) { … }``: inside a location its own settings hold from there on."""
    scope = cf.scope
    outer = scope.loc
    assert outer is not None
    test = condition(cf, node)
    inner = Location(outer.name, "if", outer.server, outer)
    inner.regex = outer.regex
    settings = cf.new_location_settings()
    cf.add_location(inner, settings)
    outer.children.append(inner)
    in_server = outer.kind == "server"
    where = SIF if in_server else LIF
    cf.walk(node.block or [], Scope(where, scope.server, settings, scope.server_object, inner))
    sequence, inner.script_ops = tuple(inner.script_ops), []

    def if_(r: Request) -> int | None:
        if test(r):
            if not in_server:
                r.loc = inner
            for operation in sequence:
                rc: int | None = operation(r)
                if rc is not None:
                    return rc
        return None

    outer.script_ops.append(if_)


_FILE_TESTS: dict[str, Callable[[os.stat_result], bool]] = {
    "f": lambda s: stat.S_ISREG(s.st_mode),
    "d": lambda s: stat.S_ISDIR(s.st_mode),
    "e": lambda s: True,
    "x": lambda s: bool(s.st_mode & 0o111),
}


def condition(cf: Builder, node: Node) -> Callable[[Request], bool]:
    """The test of an ``if`` from its words."""
    words = list(node.args)
    if not words[0].startswith("("):
        raise cf.error(f'invalid condition "{words[0]}"')
    words[0] = words[0][1:]
    if not words[-1].endswith(")"):
        raise cf.error(f'invalid condition "{words[-1]}"')
    words[-1] = words[-1][:-1]
    if words and not words[0]:
        del words[0]
    if words and not words[-1]:
        del words[-1]
    if not words:
        raise cf.error('invalid condition ")"')
    first = words[0]
    if len(first) > 1 and first.startswith("$"):
        if len(words) not in (1, 3):
            raise cf.error(f'invalid condition "{first}"')
        return _comparison(cf, cf.variable(first[1:]), words[1:])
    if len(first) in (2, 3) and first.lstrip("!").startswith("-") and len(first) - len(first.lstrip("!")) <= 1:
        if len(words) != 2 or first[-1] not in _FILE_TESTS or len(first.lstrip("!")) != 2:
            raise cf.error(f'invalid condition "{first}"')
        return _file_test(cf.template(words[1]), first[-1], first.startswith("!"))
    raise cf.error(f'invalid condition "{first}"')


def _comparison(cf: Builder, variable: Variable, words: list[str]) -> Callable[[Request], bool]:
    if not words:
        return lambda r: bool(variable.get(r) not in (None, b"", b"0"))
    operator, text = words
    if operator in ("=", "!="):
        expected, wanted = cf.template(text), operator == "="
        return lambda r: ((variable.get(r) or b"") == expected(r)) is wanted
    if operator not in ("~", "~*", "!~", "!~*"):
        raise cf.error(f'unexpected "{operator}" in condition')
    regex = compile_regex(cf, text, caseless=operator.endswith("*"))
    negative = operator.startswith("!")

    def matches(r: Request) -> bool:
        match = regex.search(variable.get(r) or b"")
        if match is None:
            r.captures = None
            return negative
        set_captures(r, match)
        return not negative

    return matches


def _file_test(path: Template, kind: str, negative: bool) -> Callable[[Request], bool]:
    test = _FILE_TESTS[kind]

    def check(r: Request) -> bool:
        name = path(r)
        if not name.startswith(b"/"):
            name = r.loc.core.prefix + name
        try:
            return test(os.stat(name)) is not negative
        except OSError as error:
            if error.errno not in (2, 20, 36):
                r.log(CRIT, f'"{name.decode("utf-8", "replace")}" stat() failed ({error.errno}: {error.strerror})')
            return negative
        except ValueError:
            return negative

    return check


def on_location(cf: Builder, loc: Location) -> None:
    """Make the sequence of a location, or of a server."""
    if not loc.script_ops or loc.kind == "if":
        return
    script = run_operations(loc.script_ops)
    if loc.kind == "server":
        loc.server.script = script
    else:
        loc.script = script


_REWRITE = SERVER | SIF | LOCATION | LIF

MODULE = Module(
    name="rewrite",
    location=RewriteSettings,
    on_location=on_location,
    directives=(
        Directive("rewrite", _REWRITE, TAKE23, set_rewrite),
        Directive("return", _REWRITE, TAKE12, set_return),
        Directive("break", _REWRITE, NOARGS, set_break),
        Directive("if", SERVER | LOCATION, ONE_MORE, set_if, block=True),
        Directive("set", _REWRITE, TAKE2, set_set),
        Directive("rewrite_log", HSL | SIF | LIF, FLAG, flag("log")),
        Directive("uninitialized_variable_warn", HSL | SIF | LIF, FLAG, flag("uninitialized_warn")),
    ),
)
