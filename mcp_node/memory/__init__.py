"""Memory: the key-value store of each principal, with optional expiry."""
