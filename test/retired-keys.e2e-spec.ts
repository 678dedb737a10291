import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DataSource } from 'typeorm';
import { addKey, listKeyIds, moveKeyFirst } from '../commands/keys/key-file.js';
import { forceRetire } from '../commands/keys/retire.js';
import { createCommandOptions } from '../src/database/data-source.js';
import { SealRegister } from '../src/seals/seal-register.js';
import { Authenticator } from './support/authenticator/authenticator.js';
import { makeProblem } from './support/bodies.js';
import { Ceremonies, requireStatus } from './support/ceremonies.js';
import { type Replica, TestService } from './support/service.js';

const RP_ID = 'a.example';

/** A replica whose file has the old key alone: it was never restarted. */
let service: TestService;
/** A replica whose file has the new key first. */
let rotated: Replica;
let owner: DataSource;
let keyFile: string;
let oldKey: string | undefined;
const ann = new Authenticator();
beforeAll(async () => {
  service = await TestService.start({
    prepare: ({ directory }) => {
      keyFile = join(dirname(directory), 'binding.key');
      [oldKey] = listKeyIds(keyFile);
      return Promise.resolve();
    },
  });
  await service.relyingParty(RP_ID);
  await service.ceremonies(RP_ID).registered('ann', ann);
  owner = await new DataSource(createCommandOptions(service.database.migratorUrl)).initialize();
  moveKeyFirst(keyFile, addKey(keyFile));
  rotated = await service.startReplica();
});
afterAll(async () => {
  await owner.destroy();
  await rotated.stop();
  await service.stop();
});

type Process = Pick<Replica, 'running' | 'client'>;
const at = ({ client }: Process): Ceremonies<string> => new Ceremonies(client, service.clock, 'auth-service', RP_ID);
const look = ({ running }: Process): Promise<void> => running.app.get(SealRegister, { strict: false }).refresh();
const settings = { name: 'again', origins: [`https://${RP_ID}`], policy: {} };

/** Sends a registration, a sign-in and a change of a relying party to the replica with the old file. */
async function expectNothingServed(): Promise<void> {
  const challenge = requireStatus(await at(rotated).requestAuthentication(), 201);
  const response = ann.get(challenge.publicKey, `https://${RP_ID}`);
  for (const answer of [
    await at(service).requestRegistration('new'),
    await at(service).answerAuthentication(challenge.challengeId, response),
    await service.client.call('operator', 'PUT', `/v1/relying-parties/${RP_ID}`, settings),
  ]) {
    expect(answer).toMatchObject(makeProblem(503, 'unavailable'));
    expect(answer.body).toMatchObject({ detail: expect.stringContaining('restart it with the new file') });
  }
}

describe('a replica whose only key is announced for retirement', () => {
  it('serves nothing from then on, and nothing that another one acknowledged meanwhile is refused later', async () => {
    await look(service);
    requireStatus(await at(service).authenticate(ann), 200);
    const acknowledged: string[] = [];
    const meanwhile = async (): Promise<void> => {
      for (const each of [service, rotated]) await look(each);
      await expectNothingServed();
      requireStatus(await rotated.client.call('operator', 'PUT', `/v1/relying-parties/${RP_ID}`, settings), 200);
      acknowledged.push((await at(rotated).registered('bob', new Authenticator())).id);
    };
    await forceRetire(owner, oldKey!, meanwhile, { approvalId: undefined, show: () => undefined });
    for (const each of [service, rotated]) await look(each);
    expect(acknowledged).toHaveLength(1);
    for (const id of acknowledged) {
      requireStatus(await rotated.client.call('auth-service', 'GET', `/v1/credentials/${id}`), 200);
    }
    expect(await at(service).requestRegistration('new')).toMatchObject(makeProblem(503, 'unavailable'));
  });

  it('is not ready, and serves again when it has restarted with the new file', async () => {
    const ready = await fetch(`${service.running.managementUrl}/health/ready`);
    expect(ready.status).toBe(503);
    expect(await ready.json()).toMatchObject({ details: { binding_key: { status: 'down' } } });
    const restarted = await service.startReplica();
    try {
      const { id } = await at(restarted).registered('cyd', new Authenticator());
      requireStatus(await rotated.client.call('auth-service', 'GET', `/v1/credentials/${id}`), 200);
    } finally {
      await restarted.stop();
    }
  });
});
