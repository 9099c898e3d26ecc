"""The way between two machines: passes bytes on, keeps them, and can answer in a node's name."""

import asyncio
import contextlib
import datetime
import ipaddress
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


class Relay:
    """Listens at a port for a node at another.

    Args:
        port: of the node, asked for at each connection.
        tls: makes it speak TLS to whoever connects.

    Attributes:
        asked: what came over each connection.
        answered: what went back.
        invented: if set, the whole answer to every request; nothing is passed on.
    """

    def __init__(self, port: Callable[[], int], tls: ssl.SSLContext | None = None) -> None:
        self.asked: list[bytearray] = []
        self.answered: list[bytearray] = []
        self.invented: bytes | None = None
        self._port = port
        self._tls = tls
        self._open: set[asyncio.StreamWriter] = set()

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator["Relay"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        scheme = "https" if self._tls else "http"
        self.url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            self.cut()

    def cut(self) -> None:
        """End every connection."""
        for writer in list(self._open):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked, answered = bytearray(), bytearray()
        self.asked.append(asked)
        self.answered.append(answered)
        self._open.add(writer)
        try:
            with contextlib.suppress(ConnectionError, OSError):
                if self.invented is None:
                    await self._pass_on(reader, writer, asked, answered)
                while chunk := await reader.read(65_536):
                    asked += chunk
                    if self.invented is not None:
                        writer.write(self.invented)
        finally:
            self._open.discard(writer)
            writer.close()

    async def _pass_on(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        asked: bytearray,
        answered: bytearray,
    ) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._port())
        self._open.add(inner_writer)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_pump(reader, inner_writer, asked))
                group.create_task(_pump(inner_reader, writer, answered))
        except* (ConnectionError, OSError):
            pass
        finally:
            self._open.discard(inner_writer)
            inner_writer.close()


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kept: bytearray
) -> None:
    while chunk := await reader.read(65_536):
        kept += chunk
        writer.write(chunk)
        await writer.drain()
    writer.close()


async def sent_again(port: int, recorded: bytes) -> list[bytes]:
    """The status lines a node answers recorded requests with, in bytes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(recorded)
    answers = b""
    try:
        async with asyncio.timeout(20):
            while answers.count(b"HTTP/1.1 ") < recorded.count(b" HTTP/1.1\r\n"):
                chunk = await reader.read(65_536)
                if not chunk:
                    break
                answers += chunk
    finally:
        writer.close()
    return [part[:3] for part in answers.split(b"HTTP/1.1 ")[1:]]


class Authority:
    """A certificate authority of our own, with a certificate for 127.0.0.1."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        key, name = ec.generate_private_key(ec.SECP256R1()), _name("Partyline tests")
        root = _certificate(name, name, key.public_key(), key, authority=True)
        self.ca_file = directory / "ca.pem"
        self.ca_file.write_bytes(root.public_bytes(Encoding.PEM))
        leaf_key = ec.generate_private_key(ec.SECP256R1())
        leaf = _certificate(_name("node"), name, leaf_key.public_key(), key, authority=False)
        chain = directory / "node.pem"
        chain.write_bytes(
            leaf.public_bytes(Encoding.PEM)
            + leaf_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(chain)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    signer: ec.EllipticCurvePrivateKey,
    *,
    authority: bool,
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(names, critical=False)
        .sign(signer, hashes.SHA256())
    )
