// Preloaded into Node: connects to the port in KALAM_PORT whenever the program
// asks for 8080, so that the page's address is served by a server on a free one.
import net from 'node:net';

const connect = net.Socket.prototype.connect;
net.Socket.prototype.connect = function (...args) {
  const options = Array.isArray(args[0]) ? args[0][0] : args[0];
  if (options && Number(options.port) === 8080) options.port = Number(process.env.KALAM_PORT);
  return connect.apply(this, args);
};
