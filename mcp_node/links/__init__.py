"""Links for people: the operator's login links, and live links to one session. Revocations."""
