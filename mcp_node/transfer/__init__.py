"""Moves all that a deployment has stored from one database engine to the other.

`catalogue` says what is copied, `store` what an engine must do for it (`sqlite` and `postgres` do
it), `copying` copies in small transactions, `verification` compares both sides, and `transfer`
puts it together.
"""
