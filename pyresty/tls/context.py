"""``ssl.SSLContext`` made of what nginx's directives say, for servers and for clients.

The one idea: files are read here, so that a mistake gets nginx's text, and handed to OpenSSL as bytes: certificates from a
file, from ``data:`` or from Lua take the same way. Python's ``ssl`` loads certificates with their keys from files only, so
the bytes go through a file in memory that nobody else can open (``memfd_create``; elsewhere a private temporary file).

https://nginx.org/en/docs/http/ngx_http_ssl_module.html
"""

from __future__ import annotations

import errno
import os
import re
import ssl
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from ..upstream.tls_errors import openssl_text
from . import openssl

PROTOCOLS = ("SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
#: nginx's defaults.
DEFAULT_PROTOCOLS = frozenset(("TLSv1.2", "TLSv1.3"))
DEFAULT_CIPHERS = "HIGH:!aNULL:!MD5"

_VERSIONS = {
    "TLSv1": (ssl.TLSVersion.TLSv1, ssl.OP_NO_TLSv1),
    "TLSv1.1": (ssl.TLSVersion.TLSv1_1, ssl.OP_NO_TLSv1_1),
    "TLSv1.2": (ssl.TLSVersion.TLSv1_2, ssl.OP_NO_TLSv1_2),
    "TLSv1.3": (ssl.TLSVersion.TLSv1_3, ssl.OP_NO_TLSv1_3),
}
_CERTIFICATE = re.compile(
    rb"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----.+?-----END (?:X509 |TRUSTED )?CERTIFICATE-----", re.S
)
_NO_START = "(SSL: error:0480006C:PEM routines::no start line:Expecting: {})"


class TLSError(Exception):
    """A setting, or a file that one names, is no good; the text is nginx's."""


def new_context(server: bool) -> ssl.SSLContext:
    """A context that verifies nobody yet."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    if not server:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    # a connection that just ends is no error, and its session stays good, as in nginx
    context.options |= ssl.OP_NO_RENEGOTIATION | getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    return context


def set_protocols(context: ssl.SSLContext, protocols: Iterable[str]) -> None:
    """``ssl_protocols``. SSLv2 and SSLv3 are in no build of OpenSSL any more, and are passed over: where there is no
    other the handshakes fail. nginx: ``ngx_ssl_create``.
    """
    wanted = [name for name in _VERSIONS if name in set(protocols)]
    with warnings.catch_warnings():  # Python warns of the old ones; who asks for them knows
        warnings.simplefilter("ignore", DeprecationWarning)
        if wanted:
            context.minimum_version = _VERSIONS[wanted[0]][0]
            context.maximum_version = _VERSIONS[wanted[-1]][0]
        for name, (_, without) in _VERSIONS.items():
            if name in wanted:
                context.options &= ~without
            else:
                context.options |= without


def set_ciphers(context: ssl.SSLContext, ciphers: str) -> None:
    """``ssl_ciphers``: those of TLSv1.2 and before, in OpenSSL's notation."""
    try:
        context.set_ciphers(ciphers)
    except ssl.SSLError:
        raise TLSError(
            f'SSL_CTX_set_cipher_list("{ciphers}") failed (SSL: error:0A0000B9:SSL routines::no cipher match)'
        ) from None


def set_curves(context: ssl.SSLContext, curves: str) -> None:
    """``ssl_ecdh_curve``: a list with colons."""
    if openssl.WHY_NOT:
        if ":" in curves:
            raise TLSError(f"a list of curves can't be set: {openssl.WHY_NOT}")
        try:
            context.set_ecdh_curve(curves)
        except ValueError:
            raise TLSError(f'SSL_CTX_set1_curves_list("{curves}") failed') from None
    elif not openssl.set_groups(context, curves):
        raise TLSError(f'SSL_CTX_set1_curves_list("{curves}") failed {openssl.errors()}'.rstrip())


def set_dhparam(context: ssl.SSLContext, path: str) -> None:
    """``ssl_dhparam``: the parameters of a PEM file."""
    try:
        context.load_dh_params(path)
    except ssl.SSLError:
        raise TLSError(f'PEM_read_bio_DHparams("{path}") failed {_NO_START.format("DH PARAMETERS")}') from None
    except OSError as error:
        raise TLSError(f'BIO_new_file("{path}") failed {_fopen_failed(path, error)}') from None


def conf_command(context: ssl.SSLContext, name: str, value: str, *, server: bool) -> None:
    """``ssl_conf_command name value``."""
    if openssl.WHY_NOT:
        raise TLSError(f'SSL_CONF_cmd("{name}", "{value}") is not possible: {openssl.WHY_NOT}')
    failed = openssl.conf_command(context, name, value, server)
    if failed:
        raise TLSError(failed)


def set_key_log(context: ssl.SSLContext, path: str) -> None:
    """``ssl_key_log``: write the keys of all connections to a file."""
    try:
        context.keylog_filename = path
    except OSError as error:
        raise TLSError(f'open() "{path}" failed ({error.errno}: {error.strerror})') from None


# -- certificates


def load_pair(context: ssl.SSLContext, certificate: str, key: str, passwords: tuple[bytes, ...] = ()) -> None:
    """``ssl_certificate`` with its ``ssl_certificate_key``: absolute paths, or ``data:PEM``."""
    load_pem(
        context, read_certificate(certificate), read_key(key, passwords), passwords, certificate=certificate, key=key
    )


def certificate_path(prefix: str, name: str) -> str:
    """The path of a certificate or key: below ``prefix``, the folder of the conf file. What is no file's name is itself."""
    return name if name.startswith(("data:", "engine:", "store:")) else os.path.join(prefix, name)


def read_certificate(source: str) -> bytes:
    """The PEM of a certificate and its chain. Raises TLSError if there is none in it."""
    pem = _read(source, "certificate")
    if not _CERTIFICATE.search(pem):
        raise TLSError(
            f'cannot load certificate "{source}": PEM_read_bio_X509_AUX() failed '
            f"{_NO_START.format('TRUSTED CERTIFICATE')}"
        )
    return pem


def read_key(source: str, passwords: tuple[bytes, ...] = ()) -> bytes:
    """The PEM of a private key. Raises TLSError if there is none in it."""
    for kind in ("engine", "store"):
        if source.startswith(kind + ":"):
            raise TLSError(f'cannot load certificate key "{source}": Python\'s ssl has no keys of "{kind}:"')
    pem = _read(source, "certificate key")
    if b"PRIVATE KEY-----" not in pem:
        raise TLSError(
            f'cannot load certificate key "{source}": PEM_read_bio_PrivateKey() failed '
            "(SSL: error:1E08010C:DECODER routines::unsupported:No supported data to decode. Input type: PEM)"
        )
    return pem


def load_pem(
    context: ssl.SSLContext,
    chain: bytes,
    private: bytes,
    passwords: tuple[bytes, ...] = (),
    *,
    certificate: str = "",
    key: str = "",
) -> None:
    """Load a certificate with its chain and key, PEM all; ``certificate`` and ``key`` are their names in messages."""
    error: OSError = ssl.SSLError()
    with _as_file(chain) as chain_path, _as_file(private) as key_path:
        # an empty password: OpenSSL must not ask for one at the terminal
        for password in passwords or (b"",):
            try:
                context.load_cert_chain(chain_path, key_path, password)
                return
            except OSError as failed:
                error = failed
            except ValueError:  # a password that is too long
                continue
    reason = error.reason if isinstance(error, ssl.SSLError) else ""
    if reason == "KEY_VALUES_MISMATCH" or reason == "KEY_TYPE_MISMATCH":
        raise TLSError(f'SSL_CTX_use_PrivateKey("{key}") failed (SSL: {_text(error)})')
    if _usable(chain):
        raise TLSError(f'cannot load certificate key "{key}": PEM_read_bio_PrivateKey() failed (SSL: {_text(error)})')
    raise TLSError(f'cannot load certificate "{certificate}": PEM_read_bio_X509_AUX() failed (SSL: {_text(error)})')


def _usable(chain: bytes) -> bool:
    """Whether the certificates can be read, so that what failed is the key."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=_plain(chain))
    except ssl.SSLError:
        return False
    return True


def _plain(pem: bytes) -> str:
    """The certificates of ``pem`` alone, for ``cadata``."""
    found = b"\n".join(_CERTIFICATE.findall(pem)).replace(b"TRUSTED CERT", b"CERT").replace(b"X509 CERT", b"CERT")
    return found.decode("latin-1")


def load_trusted(context: ssl.SSLContext, path: str) -> None:
    """``ssl_trusted_certificate``, ``ssl_client_certificate``: trust the CA certificates of a PEM file."""
    pem = read_certificate(path)
    try:
        context.load_verify_locations(cadata=_plain(pem))
    except ssl.SSLError as error:
        raise TLSError(f'cannot load certificate "{path}": PEM_read_bio_X509() failed (SSL: {_text(error)})') from None


def load_trusted_pem(context: ssl.SSLContext, pem: bytes) -> None:
    """Trust CA certificates in PEM."""
    if pem:
        try:
            context.load_verify_locations(cadata=_plain(pem))
        except ssl.SSLError as error:
            raise TLSError(f"X509_STORE_add_cert() failed (SSL: {_text(error)})") from None


def load_crl(context: ssl.SSLContext, path: str) -> None:
    """``ssl_crl``: certificates that are revoked, in PEM; every certificate of a chain is looked up."""
    pem = _read(path, "CRL")
    if b"-----BEGIN X509 CRL-----" not in pem:
        raise TLSError(f'cannot load CRL "{path}": PEM_read_bio_X509_CRL() failed {_NO_START.format("X509 CRL")}')
    with _as_file(pem) as name:
        try:
            context.load_verify_locations(name)
        except OSError as error:
            raise TLSError(f'X509_STORE_add_crl("{path}") failed (SSL: {_text(error)})') from None
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN


def read_passwords(path: str) -> tuple[bytes, ...]:
    """``ssl_password_file``: passphrases, one a line. nginx: ``ngx_ssl_read_password_file``."""
    try:
        with open(path, "rb") as file:
            lines = file.read().split(b"\n")
    except OSError as error:
        raise TLSError(f'open() "{path}" failed ({error.errno}: {error.strerror})') from None
    return tuple(line.removesuffix(b"\r") for line in lines if line.removesuffix(b"\r"))


# -- files


def _read(source: str, what: str) -> bytes:
    if source.startswith("data:"):
        return source[5:].encode("utf-8", "surrogateescape")
    try:
        with open(source, "rb") as file:
            return file.read()
    except OSError as error:
        raise TLSError(f'cannot load {what} "{source}": BIO_new_file() failed {_fopen_failed(source, error)}') from None


def _fopen_failed(path: str, error: OSError) -> str:
    """OpenSSL's two errors for a file that can't be opened."""
    number = error.errno or 0
    second = "error:10000080:BIO routines::no such file"
    if number != errno.ENOENT:
        second = "error:10080002:BIO routines::system lib"
    return f"(SSL: error:{0x80000000 | number:08X}:system library::{os.strerror(number)}:calling fopen({path}, r) {second})"


def _text(error: OSError) -> str:
    return openssl_text(error) if isinstance(error, ssl.SSLError) else str(error)


@contextmanager
def _as_file(data: bytes) -> Iterator[str]:
    """A path under which this process, and nobody else, can read ``data``."""
    if hasattr(os, "memfd_create") and os.path.isdir("/proc/self/fd"):
        fd = os.memfd_create("tls")
        try:
            os.write(fd, data)
            yield f"/proc/self/fd/{fd}"
        finally:
            os.close(fd)
        return
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        yield file.name
