"""The command line: what it prints, and its exit codes."""

import json
import os
import re
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from mcp_node.commands.up import claude_code_lines, welcome
from proto.keyfile import public_key
from proto.settings import load_settings
from proto.tokens import PrincipalVerifier

ROOT = Path(__file__).resolve().parents[3]
ASKED = ("--agent", "claude", "--type", "claude", "--scopes", "read,write")


@pytest.fixture
def data_dir(tmp_path):
    return tmp_path / "data"


def verified(data_dir, token):
    return PrincipalVerifier(public_key(data_dir)).verify(token)


def test_token_prints_a_valid_token_and_nothing_else_on_standard_output(partyline, data_dir):
    done = partyline("token", *ASKED)
    assert done.returncode == 0
    token = done.stdout.removesuffix("\n")
    principal = verified(data_dir, token)
    assert (principal.agent_id, principal.agent_type) == ("claude", "claude")
    assert principal.scopes == {"read", "write"}
    assert principal.sessions is None
    assert token not in done.stderr
    assert "claude" in done.stderr
    assert "every session" in done.stderr


def test_token_lives_30_days_unless_told_otherwise(partyline, data_dir):
    now = int(time.time())
    usual = verified(data_dir, partyline("token", *ASKED).stdout.strip())
    short = verified(data_dir, partyline("token", *ASKED, "--expires", "15m").stdout.strip())
    assert 0 <= usual.expires_at - now - 30 * 86_400 <= 60
    assert 0 <= short.expires_at - now - 900 <= 60


def test_token_for_some_sessions_enters_no_other(partyline, data_dir):
    done = partyline("token", *ASKED, "--sessions", "plan, review")
    principal = verified(data_dir, done.stdout.strip())
    assert principal.sessions == {"plan", "review"}
    assert "plan, review" in done.stderr


def test_token_with_sets_of_tools(partyline, data_dir):
    done = partyline("token", *ASKED, "--tools", "core, memory")
    assert verified(data_dir, done.stdout.strip()).toolsets == {"core", "memory"}


def test_token_makes_the_key_for_its_owner_alone(partyline, data_dir):
    assert partyline("token", *ASKED).returncode == 0
    assert data_dir.stat().st_mode & 0o777 == 0o700
    assert {f.stat().st_mode & 0o777 for f in data_dir.iterdir()} == {0o600}


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--agent", "a b", "--type", "t", "--scopes", "read"), "agent_id must be"),
        (("--agent", "system", "--type", "t", "--scopes", "read"), "reserved"),
        (("--agent", "a", "--type", "", "--scopes", "read"), "agent_type must be"),
        (("--agent", "a", "--type", "t", "--scopes", "root"), "scopes must be"),
        (("--agent", "a", "--type", "t", "--scopes", ","), "--scopes must name"),
        ((*ASKED, "--sessions", ""), "--sessions must name"),
        ((*ASKED, "--sessions", "../x"), "session_id must be"),
        ((*ASKED, "--tools", "core,x"), "tools must be one or more of core"),
        ((*ASKED, "--expires", "soon"), "--expires must be"),
        (("--agent", "a"), "required: --type, --scopes"),
    ],
)
def test_token_explains_a_wrong_request_and_exits_2(partyline, arguments, complaint):
    done = partyline("token", *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr


def test_token_refuses_a_data_directory_others_can_write(partyline, data_dir):
    data_dir.mkdir()
    data_dir.chmod(0o777)
    done = partyline("token", *ASKED)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"partyline: data directory {data_dir} is writable by others" in done.stderr


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        ({"PARTYLINE_MCP_PORT": "65536"}, "PARTYLINE_MCP_PORT"),
        ({"PARTYLINE_AUTH": "off", "PARTYLINE_WS_HOST": "0.0.0.0"}, "loopback"),
        ({"PARTYLINE_BROADCAST_TOKEN": "hunter2"}, "BROADCAST_TOKEN"),
    ],
)
def test_up_refuses_a_wrong_configuration_before_it_starts_anything(
    partyline, environment, complaint
):
    done = partyline("up", **environment)
    assert (done.returncode, done.stdout) == (2, "")
    assert complaint in done.stderr
    assert "hunter2" not in done.stderr


def test_help_names_every_command_and_version_is_the_project_s(partyline):
    shown = partyline("--help").stdout
    assert re.search(r"^ +up +\S", shown, re.MULTILINE)
    assert re.search(r"^ +token +\S", shown, re.MULTILINE)
    for command, option in (("up", "Ctrl-C"), ("token", "--expires")):
        assert option in partyline(command, "--help").stdout
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert partyline("--version").stdout in (
        f"partyline {project['version']}\n",
        "partyline (not installed)\n",
    )
    assert project["scripts"] == {"partyline": "mcp_node.commands.cli:main"}


def test_no_command_is_an_error(partyline):
    assert partyline().returncode == 2


def test_welcome_says_where_things_are_and_holds_no_secret(data_dir):
    secret = "a-broadcast-token-of-mine"
    settings = load_settings(
        data_dir=data_dir, mcp_port=1111, ws_port=2222, ws_host="::1", broadcast_token=secret
    )
    text = "\n".join(welcome(settings, Path("/opt/p/bin/partyline"), "http://page/#code=c"))
    assert "http://page/#code=c" in text
    assert "partyline login" in text
    assert "http://127.0.0.1:1111/mcp" in text
    assert "ws://[::1]:2222/ws/{session_id}" in text
    assert str(data_dir) in text
    assert secret not in text
    assert "WARNING" not in text


def test_welcome_without_a_link_says_how_to_get_one(data_dir):
    settings = load_settings(data_dir=data_dir, page_url="https://rooms.example/p")
    text = "\n".join(welcome(settings, Path("/opt/p/bin/partyline"), None))
    assert "https://rooms.example/p/ (to get a login link:" in text
    assert f"PARTYLINE_DATA_DIR={data_dir} /opt/p/bin/partyline login" in text


def test_the_printed_lines_work_in_a_shell(data_dir, tmp_path):
    """As printed, with the real command and a stand-in for Claude Code that shows its arguments."""
    odd = data_dir.with_name("data of $me")
    lines = claude_code_lines(load_settings(data_dir=odd, mcp_port=1111), Path("cli.py"))
    claude = tmp_path / "claude"
    claude.write_text(
        f"#!{sys.executable}\nimport json, os, sys\n"
        "print(json.dumps([sys.argv[1:], os.environ['PARTYLINE_TOKEN']]))\n"
    )
    claude.chmod(0o700)
    done = subprocess.run(
        ["/bin/sh", "-euc", "\n".join(lines)],
        cwd=ROOT,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    arguments, token = json.loads(done.stdout)
    assert verified(odd, token).agent_id == "claude"
    assert arguments == [
        *("mcp", "add", "--scope", "project", "--transport", "http", "partyline"),
        "http://127.0.0.1:1111/mcp",
        *("--header", "Authorization: Bearer ${PARTYLINE_TOKEN}"),
    ]


def test_the_printed_command_is_the_one_that_was_started(monkeypatch):
    monkeypatch.delenv("PARTYLINE_DATA_DIR", raising=False)
    export, _ = claude_code_lines(load_settings(), Path("/opt/my apps/partyline"))
    assert export.startswith("export PARTYLINE_TOKEN=\"$('/opt/my apps/partyline' token --agent")


def test_without_authentication_the_server_is_added_plainly_with_a_warning(data_dir):
    settings = load_settings(data_dir=data_dir, auth="off")
    assert claude_code_lines(settings, Path("partyline")) == [
        "claude mcp add --scope project --transport http partyline http://127.0.0.1:23456/mcp"
    ]
    assert any("WARNING" in line for line in welcome(settings, Path("partyline"), None))
