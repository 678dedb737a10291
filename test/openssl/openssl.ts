import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Runs the tool and returns its output. */
export async function openssl(...args: string[]): Promise<string> {
  const { stdout } = await run('openssl', args);
  return stdout;
}

export const KEYS = {
  EC: ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-384'],
  RSA: ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:3072'],
  Ed25519: ['-algorithm', 'ED25519'],
} as const;

/** A certificate with its key, PEM, and the paths of both. */
export interface Issued {
  readonly certFile: string;
  readonly keyFile: string;
  readonly cert: string;
  readonly key: string;
}

/** A certificate authority as `openssl ca` keeps it: a directory with a database of what it issued. */
export class Authority {
  readonly #directory: string;
  readonly name: string;
  readonly #key: readonly string[];

  private constructor(directory: string, name: string, key: readonly string[]) {
    this.#directory = directory;
    this.name = name;
    this.#key = key;
  }

  /** @param by the issuer; by default the authority is a root. @param subject by default its name */
  static async create(
    parent: string,
    name: string,
    key: readonly string[] = KEYS.EC,
    by?: Authority,
    subject = name,
  ): Promise<Authority> {
    const authority = new Authority(join(parent, name), name, key);
    await mkdir(authority.#directory, { recursive: true });
    for (const [file, content] of Object.entries({ ...empty(), 'ca.cnf': configuration(authority.#directory) })) {
      await writeFile(authority.path(file), content);
    }
    await openssl('genpkey', ...key, '-out', authority.path('ca.key'));
    const request = ['-key', authority.path('ca.key'), '-subj', `/O=Bank/CN=${subject}`];
    if (by) {
      await openssl('req', '-new', ...request, '-config', authority.config, '-out', authority.path('ca.csr'));
      await by.#sign(authority.path('ca.csr'), authority.path('ca.crt'), 'authority');
    } else {
      await authority.renew(subject);
    }
    return authority;
  }

  /** Makes a root's certificate for its present key, with a new serial number each time. */
  async renew(subject = this.name): Promise<void> {
    const request = ['-key', this.path('ca.key'), '-subj', `/O=Bank/CN=${subject}`, '-config', this.config];
    const days = ['-days', '30', '-extensions', 'authority'];
    await openssl('req', '-x509', '-new', ...request, ...days, '-out', this.path('ca.crt'));
  }

  get config(): string {
    return this.path('ca.cnf');
  }

  path(file: string): string {
    return join(this.#directory, file);
  }

  certificate(): Promise<string> {
    return readFile(this.path('ca.crt'), 'utf8');
  }

  /**
   * Issues an X.509-SVID as SPIRE does: for clients and servers, with its SPIFFE ID as the only name.
   *
   * @param passphrase encrypts the key; by default the key is not encrypted
   */
  async svid(name: string, passphrase?: string): Promise<Issued> {
    const [csrFile, certFile, keyFile] = ['csr', 'crt', 'key'].map((end) => this.path(`${name}.${end}`)) as [
      string,
      string,
      string,
    ];
    const [encrypted, opened] =
      passphrase === undefined
        ? [[], []]
        : [
            ['-aes256', '-pass', `pass:${passphrase}`],
            ['-passin', `pass:${passphrase}`],
          ];
    await openssl('genpkey', ...this.#key, ...encrypted, '-out', keyFile);
    await openssl(
      'req',
      '-new',
      '-key',
      keyFile,
      ...opened,
      '-subj',
      `/CN=${name}`,
      '-config',
      this.config,
      '-out',
      csrFile,
    );
    await writeFile(this.path('svid.cnf'), `${SVID}subjectAltName = URI:spiffe://bank.example/${name}\n`);
    await this.#sign(csrFile, certFile, 'svid', this.path('svid.cnf'));
    return { certFile, keyFile, cert: await readFile(certFile, 'utf8'), key: await readFile(keyFile, 'utf8') };
  }

  async revoke({ certFile }: Issued | { certFile: string }, reason = 'keyCompromise'): Promise<void> {
    await openssl('ca', '-config', this.config, '-revoke', certFile, '-crl_reason', reason);
  }

  /** Writes the authority's revocation list, PEM. @param extensions a section of the configuration */
  async list(days = 7, extensions = 'list'): Promise<string> {
    const how = ['-crldays', String(days), '-crlexts', extensions];
    await openssl('ca', '-config', this.config, '-gencrl', ...how, '-out', this.path('crl.pem'));
    return readFile(this.path('crl.pem'), 'utf8');
  }

  async #sign(csrFile: string, certFile: string, extensions: string, extFile?: string): Promise<void> {
    const from = extFile === undefined ? [] : ['-extfile', extFile];
    const files = ['-in', csrFile, '-out', certFile, '-notext'];
    await openssl('ca', '-batch', '-config', this.config, '-extensions', extensions, ...from, ...files);
  }
}

/** Serial numbers whose highest bit is set: as an INTEGER they begin with a zero that tools leave out. */
const empty = () => ({ 'index.txt': '', crlnumber: '01\n', serial: `F0${randomBytes(14).toString('hex')}\n` });

const SVID = `[svid]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = clientAuth, serverAuth
authorityKeyIdentifier = keyid
`;

const configuration = (directory: string): string => `[ca]
default_ca = authority_files
[authority_files]
database = ${directory}/index.txt
crlnumber = ${directory}/crlnumber
serial = ${directory}/serial
new_certs_dir = ${directory}
certificate = ${directory}/ca.crt
private_key = ${directory}/ca.key
default_md = default
default_days = 20
policy = anything
unique_subject = no
crl_extensions = list
[list]
authorityKeyIdentifier = keyid
[list_by_serial]
authorityKeyIdentifier = keyid:always, issuer:always
[list_without_key]
[list_of_point]
authorityKeyIdentifier = keyid
issuingDistributionPoint = @point
[point]
fullname = URI:http://crl.bank.example/1.crl
[anything]
organizationName = optional
commonName = supplied
[req]
distinguished_name = req_names
[req_names]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
`;
