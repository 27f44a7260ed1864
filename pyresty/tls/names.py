"""Distinguished names as text: the two forms that nginx has them in.

RFC 2253; OpenSSL's ``X509_NAME_print_ex(XN_FLAG_RFC2253)`` and ``X509_NAME_oneline``.
"""

from __future__ import annotations

import ssl
from typing import Any

#: What ``getpeercert()`` gives: the parts of a name, each with one attribute, seldom more.
Name = tuple[tuple[tuple[str, str], ...], ...]


def _short(name: str) -> str:
    """``commonName`` → ``CN``; what OpenSSL has no short name for is a number already."""
    asn1: Any = ssl._ASN1Object
    try:
        return str(asn1.fromname(name).shortname)
    except ValueError:
        return name


def rfc2253(name: Name) -> str:
    """``CN=example.com,O=Example``: the most special part first."""
    return ",".join(
        "+".join(f"{_short(key)}={_escape(value)}" for key, value in reversed(part)) for part in reversed(name)
    )


def _escape(value: str) -> str:
    out = []
    data = value.encode("utf-8", "surrogateescape")
    for position, code in enumerate(data):
        char = chr(code)
        if code < 0x20 or code > 0x7E:
            out.append(f"\\{code:02X}")
        elif char in ',+"\\<>;' or (char in "# " and position == 0) or (char == " " and position == len(data) - 1):
            out.append("\\" + char)
        else:
            out.append(char)
    return "".join(out)


def one_line(name: Name) -> str:
    """``/O=Example/CN=example.com``."""
    parts = []
    for part in name:
        for key, value in part:
            data = value.encode("utf-8", "surrogateescape")
            shown = "".join(chr(code) if 0x20 <= code <= 0x7E else f"\\x{code:02X}" for code in data)
            parts.append(f"/{_short(key)}={shown}")
    return "".join(parts)
