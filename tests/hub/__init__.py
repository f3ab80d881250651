"""A loopback server that answers as the Hugging Face hub does, for the real client libraries."""

from tests.hub.answers import Request
from tests.hub.faults import Fault, Faults
from tests.hub.server import LoopbackHub

__all__ = ["Fault", "Faults", "LoopbackHub", "Request"]
