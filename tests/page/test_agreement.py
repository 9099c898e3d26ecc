"""What the page and the nodes must take the same way."""

from tests.page.node import evaluate, needs_node
from ws_node.disconnect import Disconnect

pytestmark = needs_node


def test_close_codes() -> None:
    codes = [why.code for why in Disconnect]
    after = evaluate("partyline/closing.js", "return given.map(m.afterClose)", codes)
    for why, word in zip(Disconnect, after, strict=True):
        assert (word == "reconnect") == why.reconnect
