import type { Socket } from 'node:net';
import type { CanActivate, ExecutionContext } from '@nestjs/common';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { getContext } from './request-context.js';
import type { Admission, AdmittedRequest } from './admission.js';

const ADMITTED = Symbol('admitted');

type Raw = FastifyRequest['raw'] & { [ADMITTED]?: AdmittedRequest | undefined };

/**
 * Admits a request. It runs after all other guards, so the body has been read and the permission is granted. The answer
 * ends the request's turn: a handler that has settled always sends one, even if the caller has gone.
 */
export class AdmissionGuard implements CanActivate {
  private readonly unread = new WeakMap<Socket, Set<() => void>>();

  constructor(private readonly admission: Admission) {}

  registerHook(fastify: FastifyInstance): void {
    fastify.addHook('onSend', (request, reply, payload, done) => {
      const raw = request.raw as Raw;
      const { [ADMITTED]: admitted } = raw;
      if (admitted) {
        raw[ADMITTED] = undefined;
        admitted.settle();
        this.leaveWhenRead(raw.socket, reply, admitted);
      }
      done(null, payload);
    });
  }

  /** @throws Problem unavailable */
  async canActivate(execution: ExecutionContext): Promise<true> {
    const request = execution.switchToHttp().getRequest<FastifyRequest>();
    const context = getContext(request);
    const identity = context.caller?.spiffeId ?? '';
    const { raw, method } = request;
    try {
      const admitted = await this.admission.admit(identity, method === 'GET', raw.socket);
      (raw as Raw)[ADMITTED] = { ...admitted, settle: once(admitted.settle) };
      return true;
    } catch (problem) {
      context.excessOf = identity;
      throw problem;
    }
  }

  /**
   * Also watches the socket: a pipelined answer that waits behind another one gets no event when the connection closes.
   */
  private leaveWhenRead(socket: Socket, { raw: response }: FastifyReply, { leave }: AdmittedRequest): void {
    if (socket.destroyed) {
      leave();
      return;
    }
    const unread = this.getUnread(socket);
    unread.add(leave);
    response.once('close', () => {
      if (unread.delete(leave)) leave();
    });
  }

  private getUnread(socket: Socket): Set<() => void> {
    const known = this.unread.get(socket);
    if (known) return known;
    const unread = new Set<() => void>();
    this.unread.set(socket, unread);
    socket.once('close', () => {
      for (const leave of unread) leave();
      unread.clear();
    });
    return unread;
  }
}

/**
 * Ends the turn of a request that will do nothing for a while but wait. It stays open, so a caller can have only so many of them.
 */
export function endTurn({ raw }: FastifyRequest): void {
  (raw as Raw)[ADMITTED]?.settle();
}

function once(run: () => void): () => void {
  let isDone = false;
  return () => {
    if (isDone) return;
    isDone = true;
    run();
  };
}
