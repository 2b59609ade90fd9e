"""The protocol of open sockets under uvicorn. Imported when the first one opens: a worker without any does not pay."""

from typing import TYPE_CHECKING, Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

if TYPE_CHECKING:
    from uvicorn._types import ASGISendEvent


class SocketProtocol(WebSocketsSansIOProtocol):
    """Uvicorn's, but that a client which has stopped reading takes no memory, and can be hung up on."""

    _pong: bytes = b""
    """Waits until the client reads."""

    def data_received(self, data: bytes) -> None:
        """As uvicorn, and if that was the end, soon the end."""
        super().data_received(data)
        if self.transport.is_closing():
            self._part()

    def handle_ping(self) -> None:
        """As uvicorn; a client that does not read is answered its last ping alone, when it does (RFC 6455, 5.5.3)."""
        if self.writable.is_set():
            super().handle_ping()
        else:
            self._pong = (self.conn.data_to_send() or [self._pong])[-1]

    def resume_writing(self) -> None:
        """The client reads again."""
        super().resume_writing()
        pong, self._pong = self._pong, b""
        if pong and not self.close_sent and not self.transport.is_closing():
            self.transport.write(pong)

    def keepalive_timeout(self) -> None:
        """As uvicorn, and without waiting for a client that is not there."""
        super().keepalive_timeout()
        self._part()

    async def send(self, message: "ASGISendEvent") -> None:
        """As uvicorn, and without waiting for a client that is not to wait for."""
        closes = message["type"] == "websocket.close" and self.handshake_complete
        if closes and not self.writable.is_set():
            self.transport.abort()
            return
        await super().send(message)
        if closes:
            self._part()

    def _part(self) -> None:
        """What is closed is gone within seconds, whether or not the client reads what is left for it."""
        if self.close_timer is not None:
            self.close_timer.cancel()
            self.close_timer = None
        if self.disconnected:
            return
        if self.writable.is_set():
            self.close_timer = self.loop.call_later(self.close_timeout, self.transport.abort)
        else:
            self.transport.abort()


def protocol(**parts: Any) -> SocketProtocol:
    """One connection."""
    return SocketProtocol(**parts)
