"""Between our own processes: Unix sockets on one machine, signed requests between machines."""
