"""The file that tells where a node answers: believed only while its writer runs."""

import subprocess
import sys
from pathlib import Path

import pytest

from proto.errors import ConfigurationError
from proto.settings import load_settings
from serving.process.address import AddressFile, address_path, former_port, running_url, with_ports

URL = "http://127.0.0.1:40123"
PUBLISH = """
import sys
from pathlib import Path
from serving.process.address import AddressFile
with AddressFile(Path(sys.argv[1]), "mcp", "http://127.0.0.1:40123"):
    print("published", flush=True)
    sys.stdin.read()
"""


def test_an_address_file_exists_while_its_writer_runs(tmp_path: Path) -> None:
    assert (running_url(tmp_path, "mcp"), former_port(tmp_path, "mcp")) == (None, 0)
    with AddressFile(tmp_path, "mcp", URL):
        path = address_path(tmp_path, "mcp")
        assert path.stat().st_mode & 0o777 == 0o600
        assert [file.name for file in tmp_path.iterdir()] == ["mcp.address"]
        assert running_url(tmp_path, "mcp") == URL
        assert former_port(tmp_path, "mcp") == 0, "it is not a former one"
        assert running_url(tmp_path, "ws") is None
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_writer_left_is_no_address_but_its_port_is_known(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PUBLISH, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"published\n"
        assert running_url(tmp_path, "mcp") == URL
        process.kill()
    assert address_path(tmp_path, "mcp").exists()
    assert running_url(tmp_path, "mcp") is None
    assert former_port(tmp_path, "mcp") == 40123
    with AddressFile(tmp_path, "mcp", "http://127.0.0.1:40999"):
        assert running_url(tmp_path, "mcp") == "http://127.0.0.1:40999"


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"http://127.0.0.1:port\n", b"x" * 9_000])
def test_an_odd_file_is_no_address(tmp_path: Path, content: bytes) -> None:
    address_path(tmp_path, "ws").write_bytes(content)
    assert (running_url(tmp_path, "ws"), former_port(tmp_path, "ws")) == (None, 0)


def test_a_symlink_is_not_followed(tmp_path: Path) -> None:
    with AddressFile(tmp_path, "mcp", URL):
        address_path(tmp_path, "ws").symlink_to(address_path(tmp_path, "mcp"))
        assert running_url(tmp_path, "ws") is None


def test_a_directory_that_is_gone_is_a_configuration_error(tmp_path: Path) -> None:
    with (
        pytest.raises(ConfigurationError, match=r"mcp\.address"),
        AddressFile(tmp_path / "gone", "mcp", URL),
    ):
        pass


def test_settings_get_the_ports_of_what_runs(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path, mcp_port=0, ws_port=0)
    assert with_ports(settings) == settings
    with AddressFile(tmp_path, "mcp", URL), AddressFile(tmp_path, "ws", "http://[::1]:40124"):
        assert with_ports(settings).mcp_address == URL
        assert with_ports(settings).page == "http://127.0.0.1:40124/"
        fixed = load_settings(data_dir=tmp_path, mcp_port=1, ws_port=2)
        assert with_ports(fixed) == fixed, "a port that is set is the port"
