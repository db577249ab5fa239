"""What is seen of a server from outside."""

from setwise_server.observe._logs import logs
from setwise_server.observe._observer import Observer

__all__ = ["Observer", "logs"]
