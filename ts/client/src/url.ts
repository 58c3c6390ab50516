/** Makes the address of a server whole: `/db` is a path of the page's own origin. */
export function absolute(url: string): string {
  const here = (globalThis as { location?: { origin?: string } }).location?.origin;
  const whole = url.startsWith('/') && !url.startsWith('//') && here ? here + url : url;
  return whole.replace(/\/+$/, '');
}

/** Whether credentials may travel there: over TLS, or to this machine. */
export function isSafe(url: string): boolean {
  const { protocol, hostname } = new URL(url);
  return protocol === 'https:' || hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}
