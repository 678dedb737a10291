import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { PasskeyManager, PasskeyProblem, PasskeyTransportError } from '@passkey-manager/client';
import { Contract } from '../support/contract.js';
import { ClientFiles, cut, FakeService, problem, type Respond } from './fake-service.ts';
import { type Failure, OPERATIONS } from './operations.ts';

/** Methods that belong to no operation, or that call one in another way. */
const OTHERS = ['constructor', 'close', 'dryRunRelyingParty'];

const contract = Contract.load();
const byId = new Map(contract.operations.map((operation) => [String(operation.document['operationId']), operation]));

const RESPONSES: Record<Failure, Respond> = {
  busy: problem(429, 'rate-limited', {}, { 'retry-after': '0' }),
  unavailable: problem(503, 'unavailable', {}, { 'retry-after': '0' }),
  'no-answer': cut,
};

await describe('the client', async () => {
  let files: ClientFiles;
  let service: FakeService;
  let client: PasskeyManager;
  before(async () => {
    files = await ClientFiles.create();
    service = await FakeService.start(files);
    client = files.client(service.url);
  });
  after(async () => {
    client.close();
    await service.stop();
    await files.remove();
  });

  await it('has a method for every operation of the contract, and no other', () => {
    const methods = Object.getOwnPropertyNames(PasskeyManager.prototype).filter((name) => !OTHERS.includes(name));
    assert.deepEqual(methods.toSorted(), [...byId.keys()].toSorted());
    assert.deepEqual(Object.keys(OPERATIONS).toSorted(), [...byId.keys()].toSorted());
  });

  for (const [id, { call, repeatedAfter }] of Object.entries(OPERATIONS)) {
    await it(`sends ${id} to the path of the contract, with the parameters that the contract knows`, async () => {
      service.received.length = 0;
      await call(client);
      const [{ method, target, body, type } = assert.fail()] = service.received;
      const url = new URL(target, service.url);
      const operation = byId.get(id)!;
      assert.equal(method, operation.method);
      assert.match(url.pathname, operation.pattern);
      assert.deepEqual(
        contract.faultsOfRequest(operation, url.searchParams, body === '' ? undefined : JSON.parse(body)),
        [],
      );
      assert.equal(type, body === '' ? undefined : contract.mediaTypeOfRequest(operation.document));
    });

    for (const failure of Object.keys(RESPONSES) as Failure[]) {
      const isRepeated = repeatedAfter.includes(failure);
      await it(`${isRepeated ? 'sends' : 'does not send'} ${id} again after ${failure}`, async () => {
        // The connection is not a new one, whose end would mean a refused certificate.
        await client.getOpenApiDocument();
        service.received.length = 0;
        service.answers.push(RESPONSES[failure]);
        if (isRepeated) await call(client);
        else {
          await assert.rejects(call(client), (error: unknown) => {
            assert.ok(error instanceof (failure === 'no-answer' ? PasskeyTransportError : PasskeyProblem));
            assert.equal(error.attempts, 1);
            return true;
          });
        }
        assert.equal(service.received.length, isRepeated ? 2 : 1);
      });
    }

    await it(`ends ${id} at the signal`, async () => {
      const controller = new AbortController();
      const reason = new Error('the browser has gone');
      service.answers.push(() => {
        controller.abort(reason);
      });
      await assert.rejects(call(client, controller), (error) => error === reason);
    });
  }

  await it('sends a dry run as the contract has it', async () => {
    service.received.length = 0;
    await client.dryRunRelyingParty('login.example.com', { name: 'Example', origins: ['https://login.example.com'] });
    assert.equal(service.received[0]?.target, '/v1/relying-parties/login.example.com?dryRun=true');
  });

  for (const id of ['.', '..']) {
    await it(`sends nothing for the id "${id}", which would lead to another path`, () => {
      assert.throws(() => client.getCredential(id), TypeError);
      assert.throws(() => client.eraseUser(id, 'login.example.com'), TypeError);
    });
  }
});
