"""deploy/compose.cluster.yaml and its image: what can be checked without Docker."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from mcp_node.commands.keys import keys
from proto.settings import Settings, load_settings
from serving.bus import nkeys
from tests import nats_server

DEPLOY = Path(__file__).resolve().parents[1] / "deploy"
ROOT = DEPLOY.parent
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.cluster.yaml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
NODES = ("mcp1", "ws1", "mcp2", "ws2")


def variables(service: str) -> dict[str, str]:
    """The settings of a service."""
    given = SERVICES[service].get("environment", {})
    return {name: value for name, value in given.items() if name.startswith("PARTYLINE_")}


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_every_variable_is_a_setting(service: str) -> None:
    known = {f"PARTYLINE_{name.upper()}" for name in Settings.model_fields}
    assert set(variables(service)) <= known


@pytest.mark.parametrize("service", NODES)
def test_the_settings_of_a_node_are_accepted(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables(service).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PARTYLINE_BROADCAST_TOKEN", "b" * 48)  # as with-secrets sets it
    settings = load_settings()
    assert settings.bridge == "nats"
    node = f"{service[:-1]}_node"
    assert settings.nats_nkey_file == Path("/keys") / nkeys.FILES[node]
    port = settings.mcp_port if node == "mcp_node" else settings.ws_port
    assert f"127.0.0.1:{port}/readyz" in SERVICES[service]["healthcheck"]["test"][-1]
    assert SERVICES[service]["command"] == ["python", "-m", node]


def test_a_pair_shares_its_data_and_all_share_the_keys() -> None:
    mounted = {name: set(SERVICES[name]["volumes"]) for name in NODES}
    assert mounted["mcp1"] == mounted["ws1"] == {"keys:/keys", "data1:/data"}
    assert mounted["mcp2"] == mounted["ws2"] == {"keys:/keys", "data2:/data"}


def test_what_services_name_exists() -> None:
    for name, service in SERVICES.items():
        assert set(service.get("depends_on", {})) <= set(SERVICES), name
        assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"]), name
        assert name == "keys" or "healthcheck" in service, name
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            assert source in COMPOSE["volumes"] or (DEPLOY / source).is_file(), volume
        if "build" in service:
            assert (DEPLOY / service["build"]["context"]).resolve() == ROOT
            assert (ROOT / service["build"]["dockerfile"]).is_file()
        for waited, how in service.get("depends_on", {}).items():
            healthy = how["condition"] == "service_healthy"
            assert healthy == ("healthcheck" in SERVICES[waited]), (name, waited)


def test_secrets_are_ignored_by_git_and_by_the_image() -> None:
    for secret in COMPOSE["secrets"].values():
        assert secret["file"].startswith("./secrets/")
    assert "deploy/secrets/" in (ROOT / ".gitignore").read_text().splitlines()
    assert "deploy/secrets" in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()


def test_the_image_gets_what_it_copies() -> None:
    dockerfile = (DEPLOY / "Dockerfile").read_text("utf-8")
    allowed = (DEPLOY / "Dockerfile.dockerignore").read_text("utf-8").splitlines()
    copied = [
        source
        for line in re.findall(r"^COPY (.+)$", dockerfile, re.MULTILINE)
        for source in line.split()[:-1]
    ]
    assert copied
    for source in copied:
        assert (ROOT / source).exists()
        assert f"!{source}" in allowed
    assert (DEPLOY / "with-secrets.sh").is_file()


def test_every_address_of_the_balancer_is_replaced_by_a_node(tmp_path: Path) -> None:
    command = SERVICES["balancer"]["command"]
    script, _, rest = command[-1].partition(" > ")
    assert rest.endswith("&& exec nginx -g 'daemon off;'")
    script = script.replace("/nginx.conf", str(DEPLOY / "nginx.conf"))
    done = subprocess.run([*command[:-1], script], capture_output=True, text=True, check=True)
    upstreams = re.findall(r"^ +server (\S+) ", done.stdout, re.MULTILINE)
    assert upstreams == ["mcp1:23456", "mcp2:23456", "ws1:8081", "ws2:8081"]


@nats_server.needed
def test_nats_server_accepts_the_keys_that_are_made_for_it(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "keys")
    (tmp_path / "nats.env").write_text(
        keys(settings, allow=None, remove=None, server=None, nats=True) + "\n"
    )
    (*shell, script) = SERVICES["nats"]["entrypoint"]
    script = script.replace("$$", "$").replace("/public/", f"{tmp_path}/")
    script = script.replace(" -c /nats-server.conf", f" -t -c {DEPLOY / 'nats-server.conf'}")
    assert nats_server.PROGRAM is not None
    path = f"{os.environ['PATH']}:{Path(nats_server.PROGRAM).parent}"
    done = subprocess.run([*shell, script], env={"PATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "valid" in done.stderr


def test_secrets_come_from_files(tmp_path: Path) -> None:
    (tmp_path / "postgres_password").write_text("p w\n")
    (tmp_path / "broadcast_token").write_text("b" * 48)
    command = [DEPLOY / "with-secrets.sh", "sh", "-c", 'echo "$PGPASSWORD/$1"', "_", "a b"]
    environment = {"PATH": os.environ["PATH"], "SECRETS": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "p w/a b\n"
    printed = subprocess.run(
        [DEPLOY / "with-secrets.sh", shutil.which("env") or "env"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"PARTYLINE_BROADCAST_TOKEN={'b' * 48}\n" in printed.stdout
