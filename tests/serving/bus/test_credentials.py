"""Credentials files: a nats-server whose users are JWTs takes them; others are refused."""

import base64
import binascii
import hashlib
import json
import time
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from proto.errors import ConfigurationError
from proto.nats_servers import parse_nats_servers
from serving.bus.bus import Bus
from serving.bus.credentials import Credentials, read_credentials
from tests import nats_server
from tests.nats_server import NatsServer
from tests.serving.bus.test_bus import ROOM, SHOWN, Received, for_node, running
from tests.waiting import until

OPERATOR, ACCOUNT, USER = 14, 0, 20
_SEED: Final = 18


class Key:
    """An nkey: of an operator, an account or a user."""

    def __init__(self, kind: int) -> None:
        self._key = Ed25519PrivateKey.generate()
        self.public = _encoded(bytes((kind << 3,)) + self._key.public_key().public_bytes_raw())
        head = bytes((_SEED << 3 | kind >> 5, (kind & 31) << 3))
        self.seed = _encoded(head + self._key.private_bytes_raw())

    def jwt(self, subject: "Key", kind: str, **more: Any) -> str:
        claims = {
            "iat": int(time.time()),
            "iss": self.public,
            "sub": subject.public,
            "name": kind,
            "nats": {"type": kind, "version": 2, **more},
        }
        raw = json.dumps(claims, separators=(",", ":")).encode()
        claims["jti"] = base64.b32encode(hashlib.sha256(raw).digest()).decode().rstrip("=")
        signed = b".".join(map(_url, ({"typ": "JWT", "alg": "ed25519-nkey"}, claims)))
        signature = base64.urlsafe_b64encode(self._key.sign(signed)).rstrip(b"=")
        return (signed + b"." + signature).decode()


def _encoded(raw: bytes) -> str:
    checked = raw + binascii.crc_hqx(raw, 0).to_bytes(2, "little")
    return base64.b32encode(checked).decode().rstrip("=")


def _url(part: dict[str, Any]) -> bytes:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")


def creds(jwt: str, seed: str) -> str:
    return (
        f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n"
        f"IMPORTANT\n\n-----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    )


@nats_server.needed
async def test_a_user_with_a_jwt_is_let_in_with_its_rights(tmp_path: Path) -> None:
    operator, account, user = Key(OPERATOR), Key(ACCOUNT), Key(USER)
    every = {"subs": -1, "data": -1, "payload": -1, "conn": -1, "imports": -1, "exports": -1}
    configuration = f"""
        operator: {operator.jwt(operator, "operator")}
        resolver: MEMORY
        resolver_preload: {{
            {account.public}: {operator.jwt(account, "account", limits=every)}
        }}
    """
    rights = {"pub": {"allow": [ROOM]}, "sub": {"allow": [SHOWN]}, "subs": -1, "payload": -1}
    file = tmp_path / "node.creds"
    file.write_text(creds(account.jwt(user, "user", **rights, data=-1), user.seed))
    got = Received()
    async with NatsServer(tmp_path, configuration) as server:
        settings = for_node(tmp_path, f"nats://127.0.0.1:{server.port}", nats_credentials=file)
        async with running(Bus(settings, "mcp_node")) as mcp, running(Bus(settings, "ws")) as ws:
            ws.subscribe(SHOWN, got)
            await ws.subscribed(SHOWN)
            mcp.publish("partyline.default.viewers", b"not allowed")
            mcp.publish(ROOM, b"allowed")
            await until(lambda: got.payloads == [b"allowed"] and mcp.refused == 1)


def refused(directory: Path, file: Path) -> Credentials | None:
    settings = for_node(directory, "nats://localhost", nats_credentials=file)
    return read_credentials(settings, parse_nats_servers("nats://localhost"), "ws_node")


def test_other_files_are_refused_and_not_repeated(tmp_path: Path) -> None:
    good = Key(USER).seed
    file = tmp_path / "node.creds"
    for text in (
        "",
        "a secret",
        creds("a.secret.jwt", "secret"),
        creds("a.secret.jwt", good[:20] + ("A" if good[20] != "A" else "B") + good[21:]),
        creds("a.secret.jwt", Key(USER).public),
        creds("a.secret.jwt", ""),
        "\N{SNOWMAN}",
    ):
        file.write_text(text)
        with pytest.raises(ConfigurationError, match="PARTYLINE_NATS_CREDENTIALS") as refusal:
            refused(tmp_path, file)
        assert "secret" not in str(refusal.value)
    with pytest.raises(ConfigurationError):
        refused(tmp_path, tmp_path / "none")
