"""partyline login and partyline links, against the running mcp_node."""

from pathlib import Path

from tests.commands import partyline
from tests.links.redeeming import code_of, live_link, redeem
from tests.pair import Pair


async def test_login_prints_a_link_that_works_once(pair: Pair) -> None:
    done, out, err = await partyline(pair, "login")
    assert done == 0
    assert "works once" in err and "#code" not in err
    code = code_of(pair, out.strip())
    answers = [await redeem(pair, code) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 401]


async def test_links_are_listed_with_what_became_of_them(pair: Pair, room: str) -> None:
    used = await live_link(pair, room, "lister", write=True)
    await redeem(pair, code_of(pair, used["url"]))
    revoked = await live_link(pair, room, "lister")
    await partyline(pair, "revoke", "--link", revoked["link_id"])
    done, out, err = await partyline(pair, "links")
    assert (done, err) == (0, "")
    assert out.splitlines()[0].split("  ")[0].strip() == "LINK"
    rows = {line.split()[0]: line for line in out.splitlines()}
    for link, words in ((used, "valid, used"), (revoked, "revoked")):
        row = rows[link["link_id"]]
        assert row.endswith(words)
        assert f" {room} " in row and " lister " in row and " live " in row
        assert code_of(pair, link["url"]) not in out
    assert " read, write " in rows[used["link_id"]]


async def test_revoking_a_guest_revokes_its_link(pair: Pair, room: str) -> None:
    link, other = [await live_link(pair, room, "lister") for _ in range(2)]
    done, _, _ = await partyline(pair, "revoke", "--agent", f"guest:{link['link_id']}")
    assert done == 0
    assert (await redeem(pair, code_of(pair, link["url"]))).status_code == 401
    assert (await redeem(pair, code_of(pair, other["url"]))).status_code == 200


async def test_login_and_links_without_mcp_node_say_so(tmp_path: Path) -> None:
    pair = Pair(tmp_path, start=())
    for command in ("login", "links"):
        done, out, err = await partyline(pair, command)
        assert (done, out) == (2, "")
        assert err == (
            f"partyline: no mcp_node is running with the data directory {pair.data_dir};"
            " start it first\n"
        )
