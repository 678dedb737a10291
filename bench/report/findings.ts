import { type Cell, typical } from '../measure/cells.js';
import type { Measured } from '../measure/contestant.js';

/** The figures of the comparison. NaN where a cell was not measured. */
export interface Findings {
  readonly perSecond: number;
  readonly timesBetterAuth: number;
  readonly timesTutorial: number;
  /** Milliseconds. */
  readonly cpu: number;
  readonly timesFloor: number;
  /** The part of the throughput that audit events cost: 0.2 is a fifth. */
  readonly audit: number;
  /** Milliseconds at half of the capacity. */
  readonly p99: number;
}

/** Computes the figures from authentications with 32 clients. */
export function findings(cells: readonly Cell[]): Findings {
  const figure = (contender: string, wanted: Cell['load'], of: (measured: Measured) => number): number => {
    const cell = cells.find(
      ({ scenario, load, contender: name }) =>
        scenario === 'authentication' && name === contender && JSON.stringify(load) === JSON.stringify(wanted),
    );
    return cell ? typical(cell, of) : NaN;
  };
  const perSecond = (name: string): number => figure(name, { clients: 32 }, (measured) => measured.perSecond);
  const cpu = (name: string): number => figure(name, { clients: 32 }, (measured) => measured.cpu.service);
  return {
    perSecond: perSecond('service'),
    timesBetterAuth: perSecond('service') / perSecond('better-auth'),
    timesTutorial: perSecond('service') / perSecond('tutorial'),
    cpu: cpu('service'),
    timesFloor: cpu('service') / cpu('floor'),
    audit: 1 - perSecond('service') / perSecond('unaudited'),
    p99: figure('service', { share: 0.5 }, (measured) => measured.p99),
  };
}

export function told(found: Findings): string {
  const text = (value: number, digits: number): string =>
    Number.isNaN(value) ? 'not measured' : value.toFixed(digits);
  return [
    `Authentications per second, 32 clients   ${text(found.perSecond, 0)}`,
    `  × Better Auth                          ${text(found.timesBetterAuth, 1)}`,
    `  × the tutorial                         ${text(found.timesTutorial, 2)}`,
    `CPU of the service for one               ${text(found.cpu, 2)} ms`,
    `  × the floor                            ${text(found.timesFloor, 2)}`,
    `Part that the audit log takes            ${text(found.audit * 100, 0)} %`,
    `p99 at half of the capacity              ${text(found.p99, 1)} ms`,
  ].join('\n');
}
