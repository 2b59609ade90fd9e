"""The protocol of open sockets under uvicorn. Imported when the first one opens: a worker without any does not pay."""

from typing import TYPE_CHECKING, Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

if TYPE_CHECKING:
    from uvicorn._types import ASGISendEvent


class SocketProtocol(WebSocketsSansIOProtocol):
    """Uvicorn's, but that a client which has stopped reading can be hung up on."""

    async def send(self, message: "ASGISendEvent") -> None:
        """As uvicorn, and without waiting for a client that is not to wait for."""
        if message["type"] == "websocket.close" and self.handshake_complete and not self.writable.is_set():
            self.transport.abort()
            return
        await super().send(message)


def protocol(**parts: Any) -> SocketProtocol:
    """One connection."""
    return SocketProtocol(**parts)
