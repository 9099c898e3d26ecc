"""Claims on the real pair: over MCP and REST, through the page's node, and in a git hook."""

import asyncio
import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands import partyline
from tests.integration.rooms import make_room
from tests.pair import Pair

HOOK = """#!/bin/sh
git diff --cached --name-only --no-renames -z |
    xargs -0 -r {command} claims --session claims-git check --
"""


async def test_claims_over_every_door(pair: Pair) -> None:
    room = await make_room(pair, "claims-doors")
    async with pair.agent("alice") as alice, pair.agent("bob", mode="legacy") as bob:
        mine = {"session_id": room, "names": ["src/auth/**"], "note": "do what I say"}
        claimed = (await alice.call_tool("claim", mine)).structured_content
        assert claimed is not None and claimed["holder"] == "alice" and "unread" in claimed
        theirs = {"session_id": room, "names": ["src/*/login.py"]}
        refused = await bob.call_tool("claim", theirs, raise_on_error=False)
        problem, _, details = "".join(part.text for part in refused.content).partition("\n")
        assert refused.is_error and problem.startswith("CLAIMED: ")
        told = json.loads(details)
        assert told["untrusted"] is True
        assert told["claims"] == [
            {key: claimed[key] for key in ("names", "holder", "until", "note")}
        ]
        view = (await bob.call_tool("get_session", {"session_id": room})).structured_content
        assert view is not None and view["claims"] == told["claims"] and view["untrusted"]
    async with pair.rest("bob", kind="codex") as rest:
        path = f"/api/sessions/{room}/claims"
        answer = await rest.post(path, json={"names": ["src/auth/a.py"]})
        assert answer.status_code == 409
        assert answer.json()["error"]["claims"] == told["claims"]
        listed = (await rest.get(path)).json()["claims"]
        assert listed == [{**told["claims"][0], "mine": False}]
        # An agent releases only its own; an admin, as from the page, anybody's.
        release = f"{path}/release"
        body = {"names": ["src/auth/**"]}
        assert (await rest.post(release, json=body)).json() == {"released": []}
        admin = pair.headers("root", kind="ops", scopes="read,write,admin")
        answer = await rest.post(f"{pair.ws_url}{release}", json=body, headers=admin)
        assert answer.json() == {"released": ["src/auth/**"]}
        assert (await rest.post(path, json={"names": ["src/auth/a.py"]})).status_code == 200
        assert "claims" in (await rest.get(f"/api/sessions/{room}")).json()


async def test_claims_outlive_a_killed_mcp_node_and_end_with_a_revocation(pair: Pair) -> None:
    room = await make_room(pair, "claims-killed")
    async with pair.rest("carl") as carl:
        path = f"/api/sessions/{room}/claims"
        assert (await carl.post(path, json={"names": ["deploy"]})).status_code == 200
    pair.mcp.kill()
    pair.mcp.spawn()
    await pair.mcp.answers()
    async with pair.rest("dora") as dora:
        assert (await dora.post(path, json={"names": ["deploy"]})).status_code == 409
        assert (await partyline(pair, "revoke", "--agent", "carl"))[0] == 0
        assert (await dora.post(path, json={"names": ["deploy"]})).status_code == 200


@pytest.mark.skipif(not shutil.which("git"), reason="needs git")
async def test_a_git_hook_refuses_a_commit_of_what_somebody_else_has(
    pair: Pair, tmp_path: Path
) -> None:
    room = await make_room(pair, "claims-git")
    async with pair.rest("alice") as alice:
        path = f"/api/sessions/{room}/claims"
        await alice.post(path, json={"names": ["src/auth/**", "grü ße.txt"], "note": "\x1b[2J"})
    environment = {
        **pair.environment,
        "PARTYLINE_TOKEN": pair.token("bob"),
        "GIT_CONFIG_GLOBAL": os.devnull,
        **{f"GIT_{who}_NAME": "bob" for who in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{who}_EMAIL": "bob@example.invalid" for who in ("AUTHOR", "COMMITTER")},
    }
    work = tmp_path / "work"
    (work / "src/auth").mkdir(parents=True)

    async def git(*arguments: str, **variables: str) -> tuple[int, str]:
        done = await asyncio.to_thread(
            subprocess.run,
            ["git", *arguments],
            cwd=work,
            env={**environment, **variables},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stderr

    await git("init", "-q")
    hook = work / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(HOOK.format(command=f"{sys.executable} -m mcp_node.commands.cli"))
    hook.chmod(hook.stat().st_mode | stat.S_IXUSR)
    environment["PYTHONPATH"] = str(Path(__file__).parents[2])

    (work / "src/free.py").write_text("a")
    await git("add", ".")
    assert await git("commit", "-qm", "free") == (0, "")
    for file in ("src/auth/login.py", "grü ße.txt"):
        (work / file).write_text("a")
        await git("add", file)
        code, said = await git("commit", "-qm", "taken")
        assert code != 0
        assert f"{file}: alice has " in said and " until 20" in said
        assert "\x1b" not in said
        code, said = await git("commit", "-qm", "mine", PARTYLINE_TOKEN=pair.token("alice"))
        assert (code, said) == (0, "")
    await git("mv", "src/auth/login.py", "src/login.py")  # a rename touches both
    assert (await git("commit", "-qm", "moved"))[0] != 0


@pytest.mark.parametrize(
    ("arguments", "variables", "code", "said"),
    [
        (["src/a.py"], {}, 0, ""),
        (["deploy", "src/a.py"], {}, 1, "deploy: alice has deploy until"),
        (["./deploy"], {}, 1, "./deploy: alice has deploy until"),
        (["--", "-x"], {}, 0, ""),
        (["../deploy"], {}, 2, "not below the current directory"),
        (["deploy"], {"PARTYLINE_MCP_PORT": "1"}, 2, "mcp_node does not answer"),
        (["deploy"], {"PARTYLINE_TOKEN": "x.y.z"}, 2, "mcp_node refused"),
        ([], {}, 2, "FILE"),
    ],
)
async def test_exit_codes(
    pair: Pair, arguments: list[str], variables: dict[str, str], code: int, said: str
) -> None:
    room = "claims-codes"
    async with pair.rest("alice") as alice:
        await alice.post("/api/sessions", json={"purpose": "t", "session_id": room})
        await alice.post(f"/api/sessions/{room}/claims", json={"names": ["deploy"]})
    own = {"PARTYLINE_TOKEN": pair.token("bob"), **variables}
    done = await partyline(pair, "claims", "--session", room, "check", *arguments, **own)
    assert (done[0], done[1]) == (code, "")
    assert said in done[2] and "Traceback" not in done[2]
