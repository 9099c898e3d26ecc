"""REST for programs and pages, with the same services as the tools; and the internal API.

Tokens are accepted in the Authorization header only. `caller` and `documents` hold what the public
routes share, `service` what the internal ones share.
"""
