/** Runs Better Auth with its passkey plugin. Users register by a passkey alone. The first line of output is the URL. */
import { createServer } from 'node:http';
import { passkey } from '@better-auth/passkey';
import { betterAuth } from 'better-auth';
import { getMigrations } from 'better-auth/db/migration';
import { toNodeHandler } from 'better-auth/node';
import pg from 'pg';

const origin = process.env['ORIGIN'];

const auth = betterAuth({
  baseURL: origin,
  secret: 'a secret for the benchmark alone, of more than 32 characters',
  database: new pg.Pool({ connectionString: process.env['DATABASE_URL'], max: 16 }),
  rateLimit: { enabled: false },
  telemetry: { enabled: false },
  plugins: [
    passkey({
      rpID: 'localhost',
      rpName: 'Benchmark',
      origin,
      authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
      registration: {
        requireSession: false,
        resolveUser: ({ context }) => ({ id: context, name: context }),
        afterVerification: async ({ ctx, user }) => {
          const { internalAdapter } = ctx.context;
          const email = `${user.id}@example.com`;
          const { id } = await internalAdapter.createUser({ name: user.id, email, emailVerified: true });
          return { userId: id };
        },
      },
    }),
  ],
});
await (await getMigrations(auth.options)).runMigrations();

const server = createServer(toNodeHandler(auth)).listen(0, '127.0.0.1', () =>
  console.log(`http://127.0.0.1:${server.address().port}`),
);
process.on('SIGTERM', () => process.exit(0));
