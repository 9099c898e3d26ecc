"""The bus: NATS between the nodes of several machines."""
