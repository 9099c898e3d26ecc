"""The log in PostgreSQL, written by one node.

`statements` translates the portable SQL of the features, `connection` runs it, `schema` makes and
migrates the tables, `commits` runs the transactions, `database` puts it together.
"""
