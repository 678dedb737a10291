/** Reports whether a host, or the directory of a Unix socket, is on this machine. */
export function isLoopback(host: string): boolean {
  return /^(?:127(?:\.\d{1,3}){3}|\[?::1\]?|(?:.+\.)?localhost|\/.*)$/i.test(host);
}
