"""HTTP on both nodes: uvicorn with limits, Host and Origin checks, identity, bodies, errors."""
