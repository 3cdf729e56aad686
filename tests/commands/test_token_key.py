"""`penstock token-key create`: a line for the keys file."""

import json

from activities.clients.sealing import Sealer
from tests.e2e.process import PENSTOCK, run


async def test_a_new_key_is_a_line_for_the_file():
    """Its id is the date, or a name."""
    code, said = await run(*PENSTOCK, "token-key", "create")
    assert code == 0
    key_id, key = said.split()
    assert Sealer({key_id: key}).current == key_id
    code, said = await run(*PENSTOCK, "token-key", "create", "--name", "spare", "-o", "json")
    assert (code, json.loads(said)["id"]) == (0, "spare")
    code, said = await run(*PENSTOCK, "token-key", "create", "--name", "a.b")
    assert code == 2
    assert "letters, digits" in said
