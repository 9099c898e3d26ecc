"""Full-text search.

`words`, `query` and `matching` are pure. `index` writes the index and `rows` reads it for one
reader; `vocabulary` knows the words there are. `finding` is a whole search, and `search` the
service that the doors call.
"""
