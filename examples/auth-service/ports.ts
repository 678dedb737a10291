import { createServer } from 'node:net';

/**
 * Finds the ports of 127.0.0.1 that another program uses.
 *
 * @param ports by the setting that chooses each
 * @throws Error that names all of them, and the command with others
 */
export async function requireFreePorts(ports: Readonly<Record<string, number>>): Promise<void> {
  const taken: [setting: string, port: number][] = [];
  for (const [setting, port] of Object.entries(ports)) if (!(await isFree(port))) taken.push([setting, port]);
  if (taken.length === 0) return;
  const settings = taken.map(([setting, port]) => `${setting}=${String(port + 1000)}`).join(' ');
  const listed = taken.map(([, port]) => String(port)).join(', ');
  const told = taken.length === 1 ? `Port ${listed} is in use. Free it` : `Ports ${listed} are in use. Free them`;
  throw new Error(`${told}, or choose other ports: ${settings} npm run demo`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => {
      resolve(false);
    });
    server.listen(port, '127.0.0.1', () => {
      server.close(() => {
        resolve(true);
      });
    });
  });
}
