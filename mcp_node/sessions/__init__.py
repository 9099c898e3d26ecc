"""What can be done in rooms: each file one ability, its checks and rights, then the store.

Tools, resources and REST are thin doors to these; nothing else decides who may do what.
"""
