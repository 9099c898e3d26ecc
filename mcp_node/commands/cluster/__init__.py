"""``partyline up --cluster demo``: two pairs of nodes and what they need, on one machine."""
