"""The log in PostgreSQL, shared by several nodes.

`statements` translates the portable SQL of the features, `connection` runs it, `schema` makes and
migrates the tables, `turns` orders the commits of all nodes, `database` puts it together.
"""
