"""What a principal stores for itself, with or without an expiry."""
