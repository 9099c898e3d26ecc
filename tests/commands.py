"""The command line as a user runs it, beside a pair."""

import asyncio
import sys

from tests.pair import Pair


async def partyline(pair: Pair, *arguments: str) -> tuple[int, str, str]:
    """Run a command in the pair's environment: exit code, standard output, standard error.

    The process is killed if the caller is cancelled or times out.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "mcp_node.cli", *arguments),
        env=pair.environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()
