import { join } from 'node:path';

export interface NodePorts {
  readonly postgres: number;
  /** The port of Patroni's REST API. */
  readonly rest: number;
}

/**
 * Configures one node as docs/runbook.md advises. JSON is YAML, too.
 *
 * `ttl` must be at least `loop_wait` + 2 × `retry_timeout`, and Patroni takes no `ttl` below 20: a primary that vanishes is
 * missed for so long. `primary_start_timeout` 0 promotes the standby at once when only the server has died.
 */
export function configureNode(
  { name, postgres, rest }: NodePorts & { readonly name: string },
  { home, binaries, etcd }: { readonly home: string; readonly binaries: string; readonly etcd: number },
): string {
  const at = (port: number): string => `127.0.0.1:${String(port)}`;
  const parameters = {
    max_connections: 100,
    shared_buffers: '64MB',
    wal_keep_size: '256MB',
    unix_socket_directories: '',
    // Patroni forgets a primary without a clean stop; pg_rewind needs this to take it back.
    wal_log_hints: 'on',
  };
  return JSON.stringify({
    scope: 'passkey-manager',
    name,
    restapi: { listen: at(rest), connect_address: at(rest) },
    etcd3: { host: at(etcd) },
    bootstrap: {
      dcs: {
        ttl: 20,
        loop_wait: 2,
        retry_timeout: 9,
        primary_start_timeout: 0,
        synchronous_mode: true,
        postgresql: { use_pg_rewind: true, use_slots: true, parameters },
      },
      initdb: [{ encoding: 'UTF8' }, { locale: 'C' }, 'data-checksums'],
    },
    postgresql: {
      listen: at(postgres),
      connect_address: at(postgres),
      data_dir: join(home, 'data'),
      bin_dir: binaries,
      pgpass: join(home, 'pgpass'),
      authentication: { superuser: { username: 'postgres' }, replication: { username: 'replicator' } },
      pg_hba: ['host all all 127.0.0.1/32 trust', 'host replication all 127.0.0.1/32 trust'],
    },
  });
}

/** Configures the proxy: it asks each Patroni twice a second which node is the primary, and cuts the sessions of the former one. */
export function configureProxy(port: number, nodes: readonly (NodePorts & { readonly name: string })[]): string {
  const servers = nodes.map(
    ({ name, postgres, rest }) =>
      `  server ${name} 127.0.0.1:${String(postgres)} check port ${String(rest)} inter 500ms downinter 250ms fall 2 rise 1 on-marked-down shutdown-sessions`,
  );
  return `defaults
  mode tcp
  timeout connect 2s
  timeout client 30m
  timeout server 30m
  timeout check 1s
listen primary
  bind 127.0.0.1:${String(port)}
  option httpchk OPTIONS /primary
  http-check expect status 200
${servers.join('\n')}
`;
}
