"""What is seen of a server from outside."""

from setwise_server.observe._logs import logs
from setwise_server.observe._observer import Observer
from setwise_server.observe._outcome import Outcome

__all__ = ["Observer", "Outcome", "logs"]
