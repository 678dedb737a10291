import { parseArgs } from 'node:util';

const USAGE = 'usage: npm start';
const HELP = `${USAGE}
In the image: node dist/src/main.js

Starts the service. It takes its settings from the environment, and no arguments. README.md has the table of
the settings, docs/runbook.md says more of each, and docs/deployment.md leads into production.

Options:
  --help, -h  Prints this text.

Exit codes:
  0  The service stopped on a signal.
  1  It could not start, or it failed.
  2  The arguments are wrong.

Examples:
  npm start
  PASSKEY_HTTPS_PORT=9443 npm start
`;

/** Answers `--help`, and refuses any other argument: both end the process. */
export function refuseArguments(): void {
  try {
    const { values } = parseArgs({ options: { help: { type: 'boolean', short: 'h' } } });
    if (!values.help) return;
  } catch (error) {
    const [sentence = ''] = (error as Error).message.split(/\. /, 1);
    console.error(`${sentence.replace(/\.?$/, '.')} The service takes its settings from the environment.\n${USAGE}`);
    process.exit(2);
  }
  process.stdout.write(HELP);
  process.exit(0);
}
