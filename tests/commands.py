"""The command line as a user runs it, beside a pair."""

import asyncio
import subprocess
import tempfile

from tests import forkserver
from tests.pair import Pair

SECONDS = 60.0


async def partyline(pair: Pair, *arguments: str, **variables: str) -> tuple[int, str, str]:
    """Run a command in the pair's environment: exit code, standard output, standard error.

    ``variables`` are added to the environment.

    The process is killed if the caller is cancelled or times out.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = forkserver.start(
            *("mcp_node.commands.cli", *arguments),
            env={**pair.environment, **variables},
            stdout=out.fileno(),
            stderr=err.fileno(),
        )
        try:
            code = await asyncio.to_thread(process.wait, SECONDS)
        except (asyncio.CancelledError, subprocess.TimeoutExpired):
            process.kill()
            raise
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode())
    return code, texts[0], texts[1]
