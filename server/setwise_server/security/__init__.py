"""Who may ask for what."""

from setwise_server.security._caller import ANONYMOUS, Access, Caller
from setwise_server.security._guard import Guard
from setwise_server.security._rules import RULES

__all__ = ["ANONYMOUS", "RULES", "Access", "Caller", "Guard"]
