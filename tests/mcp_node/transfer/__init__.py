"""Moving what is stored from one engine to the other."""
