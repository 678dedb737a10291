import assert from 'node:assert/strict';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { requireFreePorts } from '../../examples/auth-service/ports.ts';

const servers: Server[] = [];
const take = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      resolve((server.address() as AddressInfo).port);
    });
    servers.push(server);
  });

await describe('the ports of the demo', async () => {
  let [one, other] = [0, 0];
  before(async () => {
    [one, other] = [await take(), await take()];
  });
  after(() => {
    for (const server of servers) server.close();
  });

  await it('that are in use are named together, with a command that chooses others', async () => {
    const command = `ONE_PORT=${String(one + 1000)} OTHER_PORT=${String(other + 1000)} npm run demo`;
    await assert.rejects(requireFreePorts({ ONE_PORT: one, FREE_PORT: 0, OTHER_PORT: other }), {
      message: `Ports ${String(one)}, ${String(other)} are in use. Free them, or choose other ports: ${command}`,
    });
  });

  await it('that are free are used', async () => {
    await requireFreePorts({ FREE_PORT: 0 });
  });
});
