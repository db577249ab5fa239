"""Who may ask for what."""

from setwise_server.security._caller import ANONYMOUS, Access, Caller
from setwise_server.security._guard import Guard
from setwise_server.security._keys_edit import add_key, key_id, load_keys, revoke_keys
from setwise_server.security._rules import RULES
from setwise_server.security._tls import server_credentials

__all__ = [
    "ANONYMOUS",
    "RULES",
    "Access",
    "Caller",
    "Guard",
    "add_key",
    "key_id",
    "load_keys",
    "revoke_keys",
    "server_credentials",
]
