"""The engine of the log: one writer and two readers on one SQLite database. It knows no feature.

==================================  ============================================================
`interface`                         `Database`, which every feature reads and writes through
`sqlite`                            its implementation: opens, reads, writes and closes
`connection`                        aiosqlite connections; a whole job in one thread hop
`writer`                            group commit: pending writes share the next transaction
`transaction`                       many operations in one transaction; a bad one fails alone
`tail`                              the writer's cache of last ids
`messages`, `tables`                messages as rows; the log's own tables
`migrations`, `schema`              numbered migrations; the database file and its epoch
`mark`                              ``log.mark``, which reveals that an older file was restored
`erasing`, `pruning`, `backup`      emptying the WAL after deletions; old messages; copies
==================================  ============================================================
"""
