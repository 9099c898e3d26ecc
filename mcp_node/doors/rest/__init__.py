"""REST: the same services as the tools', for programs and pages; and what only our processes ask.

Authorization header only. `documents` and `service` hold what the routes of either kind share.
"""
