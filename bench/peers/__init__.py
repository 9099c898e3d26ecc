"""What else a user could pick, each a process of its own, behind the same few calls as ours.

A peer starts on a free port, takes raw viewers, and is published to as its users would:

=========================  =========================================  ==========================
module                     server                                     messages come over
=========================  =========================================  ==========================
`plain_fastapi`            FastAPI, ``await ws.send_text`` in a loop  the same ZeroMQ PUSH to PULL
`websockets_broadcast`     ``websockets.broadcast``                   the same
`nats`                     ``nats-server``, its WebSocket listener    its own TCP protocol
`raw_send`                 ``send`` on as many sockets: the floor     the same ZeroMQ
=========================  =========================================  ==========================

`bench.partyline` is ours. Nobody's messages are compressed, and payloads have the same size.
"""
