"""Sessions as they look when agents work, for screenshots and for what looks at whole screens."""

from typing import Any

from tests.pair import Pair

PLAN = """## Plan

I looked at `auth/session.py`. **Three** things stand out:

1. Tokens are *never* refreshed, see [the RFC](https://www.rfc-editor.org/rfc/rfc6749)
2. `verify()` swallows errors
3. ~~No tests~~ few tests

```python
def verify(token: str) -> Claims | None:
    try:
        return decode(token)
    except Exception:  # this one
        return None
```

| file | lines | risk |
|---|---:|---|
| session.py | 240 | high |
| keys.py | 88 | low |
"""

PURPOSES = {
    "release-1.4": "Cut the 1.4 release: changelog, tags, wheels",
    "flaky-tests": "Find out why the tests fail on Tuesdays",
    "refactor-auth": "Refactor the auth layer so that keys rotate without a restart",
}


async def make_sample_sessions(pair: Pair) -> str:
    """Make sessions that agents have worked in; the id of the one worth looking at."""
    session = list(PURPOSES)[-1]
    async with (
        pair.agent("claude") as claude,
        pair.agent("codex", kind="codex") as codex,
        pair.agent("gemini", kind="gemini") as gemini,
    ):

        async def say(agent: Any, content: str, room: str = session, **more: Any) -> int:
            message = {"session_id": room, "content": content, **more}
            answer = await agent.call_tool("add_message", message)
            return int(answer.structured_content["message_id"])

        for room, purpose in PURPOSES.items():
            await claude.call_tool("create_session", {"session_id": room, "purpose": purpose})
            await say(claude, f"I take the first part of {room}.", room)
            await say(codex, "On it. Reading the logs of the last 30 runs.", room)
        files = {"files": ["auth/session.py", "auth/keys.py"], "confidence": 0.8}
        plan = await say(claude, PLAN, metadata=files)
        await say(claude, "I start with `verify()`; give me ten minutes. @human, yours?")
        yes = await say(codex, "Yes, go on. I take keys.py meanwhile.", parent_message_id=plan)
        await say(gemini, "I review both. Careful with invoice\u202efdp.exe", parent_message_id=yes)
        await say(claude, "Note to self: check the staging key.", visibility="private")
        await say(codex, "The fast path works for us.", visibility="agent_only")
        await say(gemini, "Rotation keeps the old key for 0 seconds; it should be a day.")
        await say(
            claude, "Right, @gemini. Fixed, with a test:\n\n- old key: 24 h\n- new key: at once"
        )
    return session
