import type { ServerResponse } from 'node:http';
import { answerProblem, HEADERS } from './answers.js';

const PATHS: Readonly<Record<string, string>> = {
  '/management/metrics': '/metrics',
  '/management/ready': '/health/ready',
};
const PATIENCE_MS = 10_000;

/** Passes what the page asks of the management listener, which is plain HTTP and for reading alone. */
export async function passManagement(url: URL | undefined, path: string, response: ServerResponse): Promise<void> {
  const target = PATHS[path];
  if (url === undefined || target === undefined) {
    answerProblem(response, {
      status: 404,
      slug: url === undefined ? 'management-not-given' : 'not-passed-on',
      title: 'The console does not know the management listener',
      detail: 'Start the console with --management URL, such as http://127.0.0.1:8081.',
    });
    return;
  }
  try {
    const answer = await fetch(new URL(target, url), { signal: AbortSignal.timeout(PATIENCE_MS), redirect: 'error' });
    const body = Buffer.from(await answer.arrayBuffer());
    const type = answer.headers.get('content-type') ?? 'text/plain';
    response.writeHead(answer.status, { ...HEADERS, 'content-type': type }).end(body);
  } catch {
    answerProblem(response, {
      status: 502,
      slug: 'management-unreachable',
      title: 'The management listener gave no answer',
      detail: 'Check --management, and that the service runs.',
    });
  }
}
