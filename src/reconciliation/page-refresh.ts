import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import type { WalkedRows } from './walk-page.js';

/** What the walk does with each page of rows beside holding it against the log. */
@Injectable()
export class PageRefresh {
  /** Called for each page of each walk, in its transaction, when its rows have been held against the log. */
  refresh(_manager: EntityManager, _rows: WalkedRows): Promise<void> {
    return Promise.resolve();
  }
}
