"""TLS: contexts made of nginx's settings, the server's side of the handshake, certificates given by Lua."""
