"""Links for people: the operator's login link, and live links to one session."""
