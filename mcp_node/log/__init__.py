"""The log on disk: `interface` is what the node asks for, `sqlite.open_store` answers it.

======================  ==============================================================
`interface`             the contract, whatever database is behind it
`schema`                tables, numbered migrations, and the epoch of a database file
`connection`            the aiosqlite connections, and a whole job in one thread hop
`transaction`           many operations in one transaction, where a bad one fails alone
`tail`, `guard`         what the writer remembers of each session; who has said too much
`tallies`               how many messages a session has for whom; `listing`: the sessions
`operations`            the writes of the log; `sessions`: closing and changing one
`writer`                group commit: what is pending goes into the next transaction
`queries`, `reads`      the SQL of every read, and each read as one snapshot
`mark`                  ``log.mark``, by which a restored older file is noticed
`words`, `matching`     what a word is; where a text holds what is looked for, and its snippet
`search_query`          what was typed, as words
`search_index`          the index of search, as it is written
`search_rows`           what one reader may find in it
`search`                a whole search, typing errors forgiven
`vocabulary`            the words there are, and which of them may have been meant
`sqlite`                the store that puts them together
======================  ==============================================================
"""
