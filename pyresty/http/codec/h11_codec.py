"""Header fields by h11: the reference parser.

The one idea: h11 splits a complete head and judges it by the RFCs; if it objects, nginx's own grammar decides instead.
"""

from __future__ import annotations

from h11 import SERVER, Connection, RemoteProtocolError, Request

#: Headers whose values h11 rewrites ("5, 5" becomes "5", "Chunked" becomes "chunked"): nginx judges what was sent.
_REWRITTEN = (b"content-length", b"transfer-encoding")


def split(raw: bytes) -> list[tuple[bytes, bytes]] | None:
    """The header fields of a complete head, names as sent; None if h11 refuses it."""
    connection = Connection(SERVER)
    connection.receive_data(raw)
    try:
        event = connection.next_event()
    except RemoteProtocolError:
        return None
    if not isinstance(event, Request):
        return None
    fields = [(bytes(name), bytes(value)) for name, value in event.headers.raw_items()]
    for i, (name, _) in enumerate(fields):
        if name.lower() in _REWRITTEN:
            line = raw.split(b"\n")[i + 1]
            fields[i] = (name, line.partition(b":")[2].strip(b" \r"))
    return fields
