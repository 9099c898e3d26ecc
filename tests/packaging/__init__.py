"""What somebody gets who installs Partyline without a checkout."""
