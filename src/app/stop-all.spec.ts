import { expect, it } from '@jest/globals';
import { stopAll } from './stop-all.js';

it('stops the parts in reverse order, once, and the others too if one cannot be stopped', async () => {
  const stopped: string[] = [];
  const part = (name: string) => () => {
    stopped.push(name);
    return name === 'log' ? Promise.reject(new Error('the log is stuck')) : Promise.resolve();
  };
  const stops = ['database', 'log', 'listener'].map(part);
  await expect(stopAll(stops)).rejects.toThrow('the log is stuck');
  await stopAll(stops);
  expect(stopped).toEqual(['listener', 'log', 'database']);
});
