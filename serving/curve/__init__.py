"""CURVE for a bridge over tcp: keys, and the list of clients that may connect."""
