import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { ServerOptions } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PushFiles } from '../../src/push/push-files.js';
import { PushSender } from '../../src/push/push-sender.js';
import { PUSH_TIMING, StreamPusher } from '../../src/signals/push-stream.js';
import { PushReceiver } from './push-receiver.js';
import { type Replica, TestService, toSpiffeId } from './service.js';
import { until } from './until.js';

export const ISSUER = 'https://passkeys.bank.example';
export const STREAM = '0195a000-0000-7000-8000-000000000001';
export const AUDIENCE = 'https://fraud.example';
/** The addresses of `localhost`, which are not public. */
export const LOOPBACK = "[127.0.0.0/8, '::1/128']";
/** The owner of the stream may receive signals of one relying party. */
const ACCESS_POLICY = `version: 1
trustDomain: passkey-manager.local
services:
  - id: ${toSpiffeId('fraud')}
    permissions: [events:receive]
    relyingParties: [login.example.com]
  - id: ${toSpiffeId('auth-service')}
    permissions: [passkeys:register, passkeys:manage, events:manage, events:receive]
  - id: ${toSpiffeId('operator')}
    permissions: [relying-parties:read, relying-parties:write]
  - id: ${toSpiffeId('auditor')}
    permissions: [audit:read]
`;
const FAST = { ...PUSH_TIMING, turnMs: 20, backoffMs: 20, maxBackoffMs: 200 };

export interface StreamState {
  readonly status: string;
  readonly status_reason: string | null;
  readonly push_failure: string | null;
  readonly push_failures: number;
}

type Running = Pick<Replica, 'running'>;

/** A service that pushes the signals of one stream to a receiver of the test, whose operator's file the test changes. */
export class Pushing {
  receiver!: PushReceiver;
  private readonly file: string;

  private constructor(
    readonly service: TestService,
    private readonly directory: string,
    readonly env: NodeJS.ProcessEnv,
  ) {
    this.file = join(directory, 'receivers.yaml');
  }

  static async start(): Promise<Pushing> {
    const directory = mkdtempSync(join(tmpdir(), 'passkey-push-'));
    const path = (name: string): string => join(directory, name);
    writeFileSync(path('receivers.yaml'), 'version: 1\nreceivers: []\n');
    const env = {
      PASSKEY_SIGNAL_ISSUER: ISSUER,
      PASSKEY_SIGNAL_PUSH_RECEIVERS_FILE: path('receivers.yaml'),
      PASSKEY_SIGNAL_PUSH_CA_FILE: path('ca.crt'),
      PASSKEY_SIGNAL_PUSH_CERT_FILE: path('client.crt'),
    };
    const service = await TestService.start({
      prepare: async (pki) => {
        const { cert, key } = await pki.issue({ uris: ['spiffe://passkey-manager.local/pusher'] });
        writeFileSync(path('ca.crt'), pki.ca);
        writeFileSync(path('client.crt'), `${cert}\n${key}`);
      },
      env,
      accessPolicy: ACCESS_POLICY,
    });
    return new Pushing(service, directory, env);
  }

  async stop(): Promise<void> {
    await this.service.stop();
    rmSync(this.directory, { recursive: true });
  }

  startReplica(): Promise<Replica> {
    return this.service.startReplica(undefined, this.env);
  }

  /** Starts a receiver that demands our certificate, and lists it. */
  async open(tls?: ServerOptions): Promise<void> {
    const read = (name: string): string => readFileSync(join(this.service.dataDir, 'pki', name), 'utf8');
    const usual = { cert: read('server.crt'), key: read('server.key'), requestCert: true, ca: this.service.pki.ca };
    this.receiver = await PushReceiver.start(tls ?? usual);
    this.hasten(this.service);
    await this.allow(`{ host: localhost, port: ${String(this.receiver.port)}, addresses: ${LOOPBACK} }`);
  }

  /** Deletes the stream, and stops the receiver. */
  async close(): Promise<void> {
    await this.service.sql('DELETE FROM signal');
    await this.service.sql('DELETE FROM signal_stream');
    await this.receiver.stop();
  }

  hasten({ running }: Running, timing: Partial<typeof FAST> = {}): void {
    running.app.get(StreamPusher).timing = { ...FAST, ...timing };
  }

  sender({ running }: Running = this.service): PushSender {
    return running.app.get(PushSender);
  }

  /** Changes the operator's file, and has the service read it. */
  async allow(...receivers: string[]): Promise<void> {
    const lines = receivers.map((receiver) => `\n  - ${receiver}`).join('');
    writeFileSync(this.file, `version: 1\nreceivers:${lines || ' []'}\n`);
    await this.service.running.app.get(PushFiles).reload();
  }

  async openStream(members: Record<string, unknown> = {}): Promise<void> {
    const now = new Date();
    const stream: Record<string, unknown> = {
      id: STREAM,
      owner: toSpiffeId('fraud'),
      aud: AUDIENCE,
      events_requested: [],
      events_delivered: [],
      delivery_method: 'urn:ietf:rfc:8935',
      endpoint_url: `https://localhost:${String(this.receiver.port)}/events`,
      status: 'enabled',
      created_at: now,
      updated_at: now,
      active_at: now,
      ...members,
    };
    const names = Object.keys(stream);
    const places = names.map((_, index) => `$${String(index + 1)}`);
    const text = `INSERT INTO signal_stream (${names.join()}) VALUES (${places.join()})`;
    await this.service.sql(text, Object.values(stream));
  }

  /** Writes a signal for each user, as changes do. @returns their ids in their order */
  signal(...users: string[]): Promise<string[]> {
    return this.signalOf('login.example.com', ...users);
  }

  async signalOf(rpId: string, ...users: string[]): Promise<string[]> {
    const facts = { name: 'Phone', attachment: 'platform', aaguid: STREAM, initiator: 'user', reason: 'lost' };
    const ids: string[] = [];
    for (const user of users) {
      const [row] = await this.service.sql<{ id: string }>(
        `INSERT INTO signal (id, stream_id, kind, rp_id, user_id, facts, txn, happened_at)
         VALUES (gen_random_uuid(), $1, 'revoke', $4, $2, $3, 'txn-1', now()) RETURNING id`,
        [STREAM, user, facts, rpId],
      );
      ids.push(row!.id);
    }
    return ids;
  }

  async countSignals(): Promise<number> {
    return (await this.service.sql<{ count: number }>('SELECT count(*)::int AS count FROM signal'))[0]!.count;
  }

  async untilDelivered(): Promise<void> {
    await until(async () => (await this.countSignals()) === 0);
  }

  async readStream(): Promise<StreamState> {
    return (await this.service.sql<StreamState>('SELECT * FROM signal_stream'))[0]!;
  }

  /** @returns why the last push failed */
  async untilFailing(): Promise<string> {
    return until(async () => (await this.readStream()).push_failure ?? undefined);
  }
}
