"""What a server may be told, and what one call may ask of it.

Each setting is one field of these dataclasses, made by `knob`; its name in a file, its variable and its flag follow
from that, and nothing else lists them (docs/decisions/0114). `load` reads them from a file, the environment and flags.
"""

from setwise_server.settings._flags import add_flags, given
from setwise_server.settings._load import Loaded, load
from setwise_server.settings._offer import USUAL_MODELS, Offer
from setwise_server.settings._sections import Limits, Observe, Security
from setwise_server.settings._server import ServerSettings, address
from setwise_server.settings._show import as_toml

__all__ = [
    "USUAL_MODELS",
    "Limits",
    "Loaded",
    "Observe",
    "Offer",
    "Security",
    "ServerSettings",
    "add_flags",
    "address",
    "as_toml",
    "given",
    "load",
]
