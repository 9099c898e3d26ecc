"""The command line: one file per command; `arguments` parses, and `cli` calls the command."""
