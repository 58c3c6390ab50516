import type { WebSocketConstructor } from './platform.js';

/** Why a connection could not be made, or has failed. */
export interface ConnectionError {
  message: string;
  recoverable: boolean;
}

/** Why a connection has ended. */
export interface DisconnectReason {
  message: string;
  code?: number;
}

/** What there is to see of the socket of a client. */
export interface SocketObserver {
  dialing(): void;
  connected(): void;
  disconnected(reason: DisconnectReason): void;
  failed(error: ConnectionError): void;
  received(text: string): void;
  sent(text: string): void;
}

const token = /"token":"[^"]*"/;

/** Gives a constructor of sockets that are watched. */
export function watched(host: WebSocketConstructor, observer: SocketObserver): WebSocketConstructor {
  return function (url: string): WebSocket {
    observer.dialing();
    const socket = new host(url);
    let signedIn = false;
    let closed = false;
    socket.addEventListener('message', (event: MessageEvent) => {
      if (typeof event.data !== 'string') return;
      if (!signedIn && event.data.startsWith('{"type":"auth_success"')) {
        signedIn = true;
        observer.connected();
      }
      observer.received(event.data);
    });
    socket.addEventListener('error', () => {
      if (!closed && !signedIn) observer.failed({ message: 'the connection failed', recoverable: true });
    });
    socket.addEventListener('close', (event: CloseEvent) => {
      closed = true;
      if (signedIn) observer.disconnected({ message: event.reason || 'the connection was closed', code: event.code });
    });
    const send = socket.send.bind(socket);
    socket.send = (data) => {
      send(data);
      if (typeof data === 'string') observer.sent(data.replace(token, '"token":"[redacted]"'));
    };
    return socket;
  } as unknown as WebSocketConstructor;
}
