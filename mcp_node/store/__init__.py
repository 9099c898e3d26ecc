"""The log on disk: `interface` is what the node asks for, `sqlite.open_store` answers it.

======================  ==============================================================
`interface`             the contract, whatever database is behind it
`schema`                tables, numbered migrations, and the epoch of a database file
`connection`            the two aiosqlite connections, and a whole job in one thread hop
`transaction`           many operations in one transaction, where a bad one fails alone
`tail`, `guard`         what the writer remembers of each session; who has said too much
`tallies`               how many messages a session has for whom; `listing`: the sessions
`operations`            the writes of the log; `sessions`: closing and changing one
`writer`                group commit: what is pending goes into the next transaction
`queries`, `reads`      the SQL of every read, and each read as one snapshot
`mark`                  ``log.mark``, by which a restored older file is noticed
`sqlite`                the store that puts them together
======================  ==============================================================
"""
