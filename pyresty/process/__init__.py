"""Processes, signals, listening sockets and log files: what nginx's core does around its workers."""
