"""Other users of the PostgreSQL server: what they cannot read, write, or make a node call."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from mcp_node.log.postgres.statements import PORTABLE_FUNCTIONS
from mcp_node.storage import open_store
from proto.errors import ConfigurationError
from proto.settings import Settings
from tests.pair import Pair
from tests.postgres import PostgresServer, own_server

Connection = psycopg.Connection[tuple[Any, ...]]


class Users:
    """A database of the user ``node``, in which ``mallory`` may do what everybody may, and more."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self.admin = self._connected("partyline", "postgres")
        for statement in (
            "CREATE ROLE node LOGIN",
            "CREATE ROLE mallory LOGIN",
            "CREATE DATABASE shared OWNER node",
            "GRANT CREATE ON DATABASE shared TO mallory",
        ):
            self.admin.execute(statement)
        with self._connected("partyline", "shared") as admin:
            admin.execute("GRANT CREATE ON SCHEMA public TO PUBLIC")  # as before PostgreSQL 15
        self.mallory = self._connected("mallory", "shared")
        self.node = self._connected("node", "shared")
        self.address = f"postgresql://node@/shared?host={server.directory}"

    def _connected(self, user: str, database: str) -> Connection:
        return psycopg.connect(
            f"postgresql://{user}@/{database}?host={self._server.directory}", autocommit=True
        )

    def close(self) -> None:
        for connection in (self.mallory, self.node):
            connection.close()
        for statement in (
            "DROP DATABASE shared WITH (FORCE)",
            "DROP ROLE node",
            "DROP ROLE mallory",
        ):
            self.admin.execute(statement)
        self.admin.close()


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with own_server() as server:
        yield server


@pytest.fixture
def users(server: PostgresServer) -> Iterator[Users]:
    users = Users(server)
    yield users
    users.close()


async def use_everything(users: Users, directory: Path) -> None:
    """A node with that database, and an agent that uses its tools."""
    async with (
        Pair(directory, STORE=users.address, STORE_SCHEMA="partyline") as pair,
        pair.agent("alice", scopes="read,write,admin") as agent,
    ):

        async def call(tool: str, **arguments: Any) -> dict[str, Any]:
            return (await agent.call_tool(tool, arguments)).structured_content or {}

        await call("create_session", session_id="room", purpose="secret plans")
        ids = [
            (await call("add_message", session_id="room", content=text))["message_id"]
            for text in ("the secret one", "hello @alice", "another", "soon gone")
        ]
        again = {"session_id": "room", "content": "once", "idempotency_key": "k"}
        first, second = [await call("add_message", **again) for _ in range(2)]
        assert first["message_id"] == second["message_id"]
        await call("add_message", session_id="room", content="yes", parent_message_id=ids[0])
        await call("delete_message", session_id="room", message_id=ids[3])
        assert (await call("search_messages", query="secert"))["results"]
        assert len((await call("get_messages", session_id="room"))["messages"]) == 6
        several = {"session_id": "room", "messages": [{"content": "two"}, {"content": "more"}]}
        added = [await call("add_messages", **several, idempotency_key="s") for _ in range(2)]
        assert added[0] == added[1]
        await call("get_receipts", session_id="room", message_id=ids[0])
        await call("list_sessions")
        await call("list_agents", session_id="room")
        await call("update_session", session_id="room", purpose="other plans")
        await call("set_memory", key="k", value={"secret": 1})
        assert (await call("get_memory", key="k"))["value"] == {"secret": 1}
        await call("list_memory")
        await call("delete_memory", key="k")
        await call("get_live_link", session_id="room")
        await call("close_session", session_id="room")


def refused(connection: Connection, statement: str) -> bool:
    try:
        connection.execute(statement)
    except psycopg.errors.InsufficientPrivilege:
        return True
    return False


async def test_a_user_without_rights_reads_and_writes_nothing(users: Users, tmp_path: Path) -> None:
    await use_everything(users, tmp_path)
    tables = [
        name
        for (name,) in users.node.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'partyline'::regnamespace"
            " AND relkind IN ('r', 'S', 'v')"
        )
    ]
    assert {"messages", "sessions", "search", "memory", "idempotency", "batches"} <= set(tables)
    for table in tables:
        for statement in (
            "SELECT * FROM {}",
            "SELECT count(*) FROM {}",
            "INSERT INTO {} DEFAULT VALUES",
            "DELETE FROM {}",
            "TRUNCATE {}",
            "COPY {} TO STDOUT",
            "CREATE TRIGGER t AFTER INSERT ON {} EXECUTE FUNCTION caught()",
            "CREATE RULE r AS ON INSERT TO {} DO INSTEAD NOTHING",
            "CREATE TABLE heir () INHERITS ({})",
            "ALTER TABLE {} OWNER TO mallory",
            "DROP TABLE {}",
        ):
            assert refused(users.mallory, statement.format(f"partyline.{table}")), (
                table,
                statement,
            )
    for statement in (
        "SELECT partyline.randomblob(1)",
        "CREATE TABLE partyline.mine ()",
        "CREATE FUNCTION partyline.hex(text) RETURNS text LANGUAGE sql AS 'SELECT $1'",
        "GRANT USAGE ON SCHEMA partyline TO mallory",
        "ALTER SCHEMA partyline RENAME TO mine",
        "DROP SCHEMA partyline CASCADE",
        "ALTER ROLE node SET search_path TO public",
        "ALTER DATABASE shared SET search_path TO public",
        "SET ROLE node",
    ):
        assert refused(users.mallory, statement), statement
    row = users.mallory.execute("SELECT count(*) FROM pg_stats WHERE schemaname = 'partyline'")
    assert row.fetchone() == (0,)  # the statistics hold values of columns


TRAP = """
    CREATE FUNCTION public.{name}({arguments}) RETURNS {returns} LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO public.caught VALUES (current_user, '{name}');
        RETURN {result};
    END $$
"""

FUNCTIONS = (
    ("ifnull", "text, text", "text", "$1"),
    ("ifnull", "bigint, bigint", "bigint", "$1"),
    ("ifnull", "bigint, integer", "bigint", "$1"),
    ("iif", "boolean, bigint, bigint", "bigint", "$2"),
    ("iif", "boolean, text, text", "text", "$2"),
    ("max", "bigint, bigint", "bigint", "$1"),
    ("min", "bigint, bigint", "bigint", "$1"),
    ("json_valid", "text", "boolean", "true"),
    ("hex", "bytea", "text", "'00'"),
    ("randomblob", "integer", "bytea", "'00'"),
    ("pg_advisory_xact_lock", "smallint", "void", ""),
    ("pg_advisory_xact_lock", "integer", "void", ""),
    ("set_config", "text, text, text", "text", "$2"),
    ("lower", "varchar", "text", "$1"),
    ("length", "varchar", "integer", "1"),
    ("search_leave", "", "trigger", "NULL"),
)
"""More fitting than PostgreSQL's functions, or than the node's own."""


async def test_what_another_user_puts_into_public_is_not_called(
    users: Users, tmp_path: Path
) -> None:
    own = " ".join(PORTABLE_FUNCTIONS)
    assert all(f"FUNCTION {name}(" in own for name, *_ in FUNCTIONS[:9])
    users.mallory.execute("CREATE TABLE public.caught (who text, what text)")
    users.mallory.execute("GRANT ALL ON public.caught TO PUBLIC")
    for name, arguments, returns, result in FUNCTIONS:
        trap = {"name": name, "arguments": arguments, "returns": returns, "result": result}
        users.mallory.execute(TRAP.format(**trap))
    users.mallory.execute(
        TRAP.format(name="caught_row", arguments="", returns="trigger", result="NEW")
    )
    tables = ("messages", "sessions", "meta", "search", "search_words", "batches", "memory")
    for schema in ("public", "mallory", "node"):  # "node": as the user is called
        if schema != "public":
            users.mallory.execute(f"CREATE SCHEMA {schema}")
            users.mallory.execute(f"GRANT ALL ON SCHEMA {schema} TO PUBLIC")
        for table in tables:
            users.mallory.execute(
                f"CREATE TABLE {schema}.{table} (id bigint, name text, value text)"
            )
            users.mallory.execute(f"GRANT ALL ON {schema}.{table} TO PUBLIC")
            users.mallory.execute(
                f"CREATE TRIGGER t BEFORE INSERT OR UPDATE OR DELETE ON {schema}.{table}"
                " FOR EACH ROW EXECUTE FUNCTION public.caught_row()"
            )
    await use_everything(users, tmp_path)
    # The owner, too, as somebody who repairs something by hand: his search path has public.
    users.node.execute("UPDATE partyline.messages SET content = '' WHERE content <> ''")
    assert users.mallory.execute("SELECT * FROM public.caught").fetchall() == []
    for schema in ("public", "mallory", "node"):
        for table in tables:
            assert users.mallory.execute(f"SELECT * FROM {schema}.{table}").fetchall() == []

    users.node.execute("SELECT public.hex('')")  # the traps work
    assert users.mallory.execute("SELECT * FROM public.caught").fetchall() == [("node", "hex")]


async def test_a_schema_of_another_user_is_refused(users: Users, tmp_path: Path) -> None:
    users.mallory.execute("CREATE SCHEMA partyline")
    users.mallory.execute("GRANT ALL ON SCHEMA partyline TO node")
    with pytest.raises(ConfigurationError, match=r"schema partyline .* belongs to another user"):
        await open_store(tmp_path, Settings(data_dir=tmp_path, store=users.address))


async def test_a_schema_in_which_others_may_create_is_refused(users: Users, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, store=users.address)
    await (await open_store(tmp_path, settings)).close()
    for grantee in ("mallory", "PUBLIC"):
        users.node.execute(f"GRANT CREATE ON SCHEMA partyline TO {grantee}")
        with pytest.raises(ConfigurationError, match="others may create objects in schema"):
            await open_store(tmp_path, settings)
        users.node.execute(f"REVOKE CREATE ON SCHEMA partyline FROM {grantee}")
    await (await open_store(tmp_path, settings)).close()
