"""The index of search in PostgreSQL: a row of terms for each message, with a GIN index.

The terms are lexemes as they are: no dictionary and no stop words, so that both engines find the
same messages.
"""

from typing import Final

from mcp_node.search.terms import Statements

# With a search path of its own, because an administrator's may name other users' tables.
_LEAVE: Final = """
    CREATE FUNCTION search_leave() RETURNS trigger LANGUAGE plpgsql
    SET search_path FROM CURRENT AS $$
    DECLARE
        wide bigint;
    BEGIN
        IF OLD.id > (SELECT through FROM search_state) THEN
            RETURN NULL;
        END IF;
        DELETE FROM search WHERE id = OLD.id;
        SELECT s.id INTO wide FROM search_scopes AS s
            WHERE s.session_id = '' AND s.audience = OLD.audience;
        UPDATE search_words AS w SET message_id = coalesce(
            (SELECT f.id FROM search AS f
             WHERE f.terms @@ CAST('''' || w.scope || '_' || w.word || '''' AS tsquery)
             ORDER BY f.id DESC LIMIT 1), 0)
        WHERE w.message_id = OLD.id AND w.scope = wide;
        DELETE FROM search_words AS w WHERE w.message_id = 0 AND w.scope = wide;
        UPDATE search_state SET removals = removals + 1;
        RETURN NULL;
    END $$
"""

SCHEMA: Final = (
    "CREATE TABLE search (id BIGINT PRIMARY KEY, terms TSVECTOR NOT NULL)",
    "CREATE INDEX search_by_term ON search USING gin (terms)",
    _LEAVE,
    """
    CREATE TRIGGER search_emptied AFTER UPDATE OF content ON messages
    FOR EACH ROW WHEN (OLD.content <> '') EXECUTE FUNCTION search_leave()
    """,
    """
    CREATE TRIGGER search_removed AFTER DELETE ON messages
    FOR EACH ROW WHEN (OLD.content <> '') EXECUTE FUNCTION search_leave()
    """,
)

TSVECTOR: Final = Statements(
    add_terms=(
        "INSERT INTO search (id, terms)"
        " SELECT CAST(key AS BIGINT), array_to_tsvector(string_to_array(value, ' '))"
        " FROM json_each_text(CAST(? AS json))"
    ),
    add_words=(
        "INSERT INTO search_words (scope, message_id, word)"
        " SELECT CAST(value ->> 0 AS BIGINT), CAST(value ->> 1 AS BIGINT), value ->> 2"
        " FROM json_array_elements(CAST(? AS json)) ON CONFLICT DO NOTHING"
    ),
    tables="search AS f JOIN messages AS m ON m.id = f.id",
    key="id",
    matches="f.terms @@ CAST(:expression AS tsquery) AND f.id BETWEEN :low AND :high",
    occurs="SELECT 1 FROM search WHERE terms @@ CAST(? AS tsquery) LIMIT 1",
    either=" | ",
    both=" & ",
    quote="'",
)
