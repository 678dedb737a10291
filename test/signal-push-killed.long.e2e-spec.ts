import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { accept } from './support/push-receiver.js';
import { Pushing } from './support/pushing.js';
import { ServiceProcess } from './support/service-process.js';

let pushing: Pushing;
beforeAll(async () => {
  pushing = await Pushing.start();
  await pushing.open();
});
afterAll(async () => {
  await pushing.close();
  await pushing.stop();
});

it('a replica that is killed between a push and its answer loses no signal: another one pushes it again, with the same jti', async () => {
  // The replica in this process pushes nothing until the other one is gone.
  pushing.hasten(pushing.service, { turnMs: 3_600_000 });
  await new Promise((resolve) => setTimeout(resolve, 600));
  const { dataDir, database } = pushing.service;
  const killed = await ServiceProcess.start(dataDir, database.url, pushing.env);
  const gone = Promise.withResolvers<undefined>();
  pushing.receiver.behaviour = (response, received) => {
    pushing.receiver.behaviour = accept;
    void killed.kill().then(() => {
      accept(response, received);
      gone.resolve(undefined);
    });
  };
  await pushing.openStream();
  const ids = await pushing.signal('ada', 'ada');
  await gone.promise;
  expect([pushing.receiver.ids, await pushing.countSignals()]).toEqual([[ids[0]], 2]);

  const other = await pushing.startReplica();
  try {
    await pushing.untilDelivered();
    expect(pushing.receiver.ids).toEqual([ids[0], ids[0], ids[1]]);
  } finally {
    await other.stop();
  }
});
