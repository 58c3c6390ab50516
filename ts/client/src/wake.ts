const look = 5000; // milliseconds between two looks at the clock
const drift = 5000; // what the clock may be off before something has slept

/**
 * Calls a function when timers may have stood still or the network may have
 * changed: the page is shown again, the machine woke up, the network is back.
 * Gives what stops that.
 */
export function onWake(wake: () => void): () => void {
  let last = Date.now();
  const timer = setInterval(() => {
    const now = Date.now();
    if (Math.abs(now - last - look) > drift) wake();
    last = now;
  }, look);
  (timer as { unref?: () => void }).unref?.();
  if (typeof document === 'undefined' || typeof window === 'undefined') return () => clearInterval(timer);
  const shown = () => {
    if (document.visibilityState === 'visible') wake();
  };
  document.addEventListener('visibilitychange', shown);
  window.addEventListener('online', wake);
  window.addEventListener('pageshow', wake);
  return () => {
    clearInterval(timer);
    document.removeEventListener('visibilitychange', shown);
    window.removeEventListener('online', wake);
    window.removeEventListener('pageshow', wake);
  };
}
