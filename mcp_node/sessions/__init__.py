"""Sessions and their messages: services with their checks and rights, and the SQL behind them.

Tools, resources and REST routes call these services; who may do what is decided here.
"""
