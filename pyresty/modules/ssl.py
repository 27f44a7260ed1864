"""TLS for servers: the directives ``ssl_*``.

The one idea: when the configuration is built every server gets a ``ServerTLS`` (``made``) of plain values; the connections
read nothing else. What Python's ``ssl`` has no way to do is refused here, by name.

https://nginx.org/en/docs/http/ngx_http_ssl_module.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..config.directives import (
    FLAG,
    HTTP,
    ONE_MORE,
    SERVER,
    TAKE1,
    TAKE2,
    TAKE12,
    TAKE123,
    Args,
    Directive,
    Module,
    Setter,
    Settings,
    enum,
    flag,
    inner,
    no_effect,
    number,
    parse_size,
    refuse,
    seconds,
    setting,
    size,
    string,
)
from ..config.errors import ConfigError
from ..http.template import Template
from ..tls import openssl
from ..tls.certificates import make_certifier
from ..tls.context import (
    DEFAULT_CIPHERS,
    DEFAULT_PROTOCOLS,
    TLSError,
    certificate_path,
    load_pem,
    read_certificate,
    read_key,
)
from ..tls.settings import OFF, ON, OPTIONAL, OPTIONAL_NO_CA, ServerTLS, Values, make_context
from ..tls.verify import make_check
from .ssl_directives import protocols, set_certificate_cache, set_conf_command, set_password_file
from .ssl_variables import define_variables

if TYPE_CHECKING:
    from ..config.build import Builder
    from ..config.parse import Node
    from ..http.routing import Server

_VERIFY = {"off": OFF, "on": ON, "optional": OPTIONAL, "optional_no_ca": OPTIONAL_NO_CA}
#: The least that nginx takes for a shared cache: eight pages.
_LEAST_CACHE = 8 * 4096
_TICKET_KEY, _OTHER_TICKET_KEY = 80, 48


@dataclass(eq=False)
class SSLServer(Settings):
    """Settings of a server; ``made`` is all that is needed while serving."""

    certificates: tuple[Template, ...] = setting(())
    certificate_keys: tuple[Template, ...] = setting(())
    certificate_cache: bool = setting(False)
    passwords: tuple[bytes, ...] = setting(())
    dhparam: str = setting("")
    ecdh_curve: str = setting("auto")
    protocols: frozenset[str] = setting(DEFAULT_PROTOCOLS)
    ciphers: str = setting(DEFAULT_CIPHERS)
    prefer_server_ciphers: bool = setting(False)
    buffer_size: int = setting(16384)
    verify: int = setting(OFF)
    verify_depth: int = setting(1)
    client_certificate: str = setting("")
    trusted_certificate: str = setting("")
    crl: str = setting("")
    session_cache: str = setting("none")
    session_cache_size: int = setting(0)  #: sessions, 0 for OpenSSL's own number
    session_tickets: bool = setting(True)
    session_ticket_key: bytes = setting(b"")
    session_timeout: float = setting(300.0)
    reject_handshake: bool = setting(False)
    commands: tuple[tuple[str, str], ...] = setting(())
    key_log: str = setting("")

    made: ServerTLS = inner(lambda: ServerTLS(Values(), 16384))


# -- directives


def more(field: str) -> Setter:
    """Setter of a directive that may be given several times, a Template for each."""

    def set_more(cf: Builder, conf: SSLServer, node: Node) -> None:
        setattr(conf, field, (*(getattr(conf, field) or ()), cf.template(node.args[0])))

    return set_more


def set_session_cache(cf: Builder, conf: SSLServer, node: Node) -> None:
    """``ssl_session_cache off | none | [builtin[:size]] [shared:name:size]``."""
    for word in node.args:
        kind, *rest = word.split(":", 2)
        try:
            if word in ("off", "none", "builtin"):
                conf.session_cache = word
            elif kind == "builtin" and len(rest) == 1 and rest[0].isdigit():
                conf.session_cache = kind
                conf.session_cache_size = int(rest[0])
            elif kind == "shared" and len(rest) == 2 and rest[0]:
                if parse_size(rest[1]) < _LEAST_CACHE:
                    raise cf.error(f'session cache "{word}" is too small')
                conf.session_cache = kind
                cf.ineffective(node, "each worker has a cache of its own; session tickets work across workers")
            else:
                raise ValueError
        except ValueError:
            raise cf.error(f'invalid session cache "{word}"') from None


def set_ticket_key(cf: Builder, conf: SSLServer, node: Node) -> None:
    """``ssl_session_ticket_key file``: of several the first counts, as it is the one that encrypts."""
    path = cf.path(node.args[0], conf=True)
    try:
        with open(path, "rb") as file:
            data = file.read(_TICKET_KEY + 1)
    except OSError as error:
        raise cf.error(f'open() "{path}" failed ({error.errno}: {error.strerror})') from None
    if len(data) not in (_TICKET_KEY, _OTHER_TICKET_KEY):
        raise cf.error(f'"{path}" must be 48 or 80 bytes')
    if len(data) == _OTHER_TICKET_KEY:
        raise cf.error(f'"{path}" has 48 bytes: Python\'s ssl encrypts tickets with AES-256 only, which takes 80')
    if conf.session_ticket_key:
        cf.ineffective(node, "sessions are resumed with the first key only, the others lead to a full handshake")
    else:
        conf.session_ticket_key = data


def ignored(why: str) -> Setter:
    """Setter of a flag for what makes handshakes faster where both sides can: without, they are as good."""

    def set_ignored(cf: Builder, conf: SSLServer, node: Node) -> None:
        if node.args[0] not in ("on", "off"):
            raise cf.error(f'invalid value "{node.args[0]}" in "{node.name}" directive, it must be "on" or "off"')
        if node.args[0] == "on":
            cf.warn(f'"{node.name}" ignored, {why}')

    set_ignored.__doc__ = f"no effect: {why}"
    return set_ignored


def only(allowed: str, why: str) -> Setter:
    """Setter of a directive of which only the value ``allowed`` is possible, because of ``why``."""

    def set_only(cf: Builder, conf: SSLServer, node: Node) -> None:
        if node.args[0] != allowed:
            raise cf.error(f'"{node.name} {node.args[0]}" is not supported by pyresty: {why}')

    return set_only


# -- after merging


def finish(cf: Builder) -> None:
    """Make the contexts, and see that every ``listen … ssl`` has one."""
    for server in cf.config.servers:
        conf: SSLServer = server.conf["ssl"]
        try:
            _make(cf, server, conf)
        except TLSError as error:
            raise ConfigError(str(error)) from None
    for address in cf.config.addresses.values():
        for names in (address.names, *address.by_local.values()):
            if names.tls:
                _check(names.default, [s for s in cf.config.servers if names.has(s)])


def _make(cf: Builder, server: Server, conf: SSLServer) -> None:
    used = conf.certificates or conf.reject_handshake
    if used and conf.verify in (ON, OPTIONAL) and not (conf.client_certificate or conf.trusted_certificate):
        raise TLSError("no ssl_client_certificate or ssl_trusted_certificate for ssl_verify_client")
    if conf.verify == OPTIONAL_NO_CA and openssl.WHY_NOT:
        raise TLSError(f'"ssl_verify_client optional_no_ca" is not possible: {openssl.WHY_NOT}')

    def path(name: str) -> str:
        return cf.path(name, conf=True) if name else ""

    values = Values(
        conf.protocols, conf.ciphers, conf.prefer_server_ciphers, conf.ecdh_curve, path(conf.dhparam), conf.verify,
        conf.verify_depth, path(conf.client_certificate), path(conf.trusted_certificate), path(conf.crl),
        conf.session_tickets, conf.session_ticket_key, conf.session_timeout,
        conf.session_cache, conf.session_cache_size, reject=conf.reject_handshake and not conf.certificates, commands=conf.commands,
        key_log=cf.path(conf.key_log) if conf.key_log else "",
    )  # fmt: skip
    conf.made = made = ServerTLS(values, conf.buffer_size)
    made.passwords = conf.passwords
    if not conf.certificates:
        if conf.reject_handshake:
            made.context = make_context(values)
        return
    if len(conf.certificate_keys) < len(conf.certificates):
        raise TLSError(f'no "ssl_certificate_key" is defined for certificate "{conf.certificates[-1].text}"')
    if conf.reject_handshake:
        values = made.values = values._replace(reject=True)
    made.context = make_context(values)
    pairs = list(zip(conf.certificates, conf.certificate_keys, strict=False))
    if any(certificate.const is None or key.const is None for certificate, key in pairs):
        made.certificate = make_certifier(server, pairs, cf.conf_prefix, conf.passwords)
    else:
        for certificate, key in pairs:
            name, key_name = (certificate_path(cf.conf_prefix, text) for text in (certificate.text, key.text))
            pem, private = read_certificate(name), read_key(key_name)
            load_pem(made.context, pem, private, conf.passwords, certificate=name, key=key_name)
            made.pairs += ((pem, private),)
    if conf.verify:
        server.rewrite = (make_check(made), *server.rewrite)


def _check(default: Server, servers: list[Server]) -> None:
    """Every server needs a certificate, or to refuse all handshakes. nginx: ``ngx_http_ssl_init``."""
    first: SSLServer = default.conf["ssl"]
    missing: Server | None = None
    if not first.certificates:
        if not first.reject_handshake:
            missing = default
        else:
            missing = next(
                (s for s in servers if not s.conf["ssl"].certificates and not s.conf["ssl"].reject_handshake), None
            )
    if missing is not None:
        raise ConfigError(
            f'no "ssl_certificate" is defined for the "listen ... ssl" directive in {missing.file}:{missing.line}'
        )


_HS = HTTP | SERVER


def _row(name: str, args: Args, setter: Setter) -> Directive:
    return Directive("ssl_" + name, _HS, args, setter, "server")


MODULE = Module(
    name="ssl",
    server=SSLServer,
    prepare=define_variables,
    finish=finish,
    directives=(
        _row("certificate", TAKE1, more("certificates")),
        _row("certificate_key", TAKE1, more("certificate_keys")),
        _row("certificate_cache", TAKE123, set_certificate_cache),
        _row("certificate_compression", FLAG, ignored("Python's ssl can't compress certificates")),
        _row("ech_file", TAKE1, refuse("Python's ssl has no Encrypted Client Hello")),
        _row("password_file", TAKE1, set_password_file),
        _row("dhparam", TAKE1, string("dhparam")),
        _row("ecdh_curve", TAKE1, string("ecdh_curve")),
        _row("protocols", ONE_MORE, protocols),
        _row("ciphers", TAKE1, string("ciphers")),
        _row("buffer_size", TAKE1, size("buffer_size")),
        _row("verify_client", TAKE1, enum("verify", _VERIFY)),
        _row("verify_depth", TAKE1, number("verify_depth")),
        _row("client_certificate", TAKE1, string("client_certificate")),
        _row("trusted_certificate", TAKE1, string("trusted_certificate")),
        _row("prefer_server_ciphers", FLAG, flag("prefer_server_ciphers")),
        _row("session_cache", TAKE12, set_session_cache),
        _row("session_tickets", FLAG, flag("session_tickets")),
        _row("session_ticket_key", TAKE1, set_ticket_key),
        _row("session_timeout", TAKE1, seconds("session_timeout")),
        _row("crl", TAKE1, string("crl")),
        _row("ocsp", TAKE1, only("off", "Python's ssl can't ask OCSP responders about client certificates")),
        _row("ocsp_responder", TAKE1, refuse("there is no ssl_ocsp")),
        _row("ocsp_cache", TAKE1, only("off", "there is no ssl_ocsp")),
        _row("stapling", FLAG, ignored("Python's ssl can't send OCSP responses")),
        _row("stapling_file", TAKE1, refuse("Python's ssl can't send OCSP responses")),
        _row("stapling_responder", TAKE1, no_effect("Python's ssl can't send OCSP responses")),
        _row("stapling_verify", FLAG, no_effect("Python's ssl can't send OCSP responses")),
        _row("early_data", FLAG, ignored("Python's ssl has no early data (0-RTT)")),
        _row("conf_command", TAKE2, set_conf_command),
        _row("reject_handshake", FLAG, flag("reject_handshake")),
        _row("key_log", TAKE1, string("key_log")),
    ),
)
