import { CEREMONIES } from '../ceremonies/ceremonies.js';
import { EVENT } from '../events/event-view.js';
import { EVENTS } from '../events/explorer.js';
import { EXPORT } from '../export/export.js';
import { KEYS } from '../keys/keys.js';
import { LOG } from '../log/log-view.js';
import { MODELS } from '../models/models.js';
import { REFUSALS } from '../refusals/refusals.js';
import { RELYING_PARTIES } from '../relying-parties/relying-parties.js';
import { RELYING_PARTY } from '../relying-parties/relying-party.js';
import { REVIEW } from '../review/review.js';
import { USERS } from '../users/find-user.js';
import { USER } from '../users/user.js';
import type { View } from './view.js';

/** Every view, in the order of the navigation. The first that the caller may see is the one that opens. */
export const VIEWS: readonly View[] = [
  ...[EVENTS, EVENT, REVIEW, EXPORT, LOG],
  ...[CEREMONIES, REFUSALS, MODELS, USERS, USER, RELYING_PARTIES, RELYING_PARTY, KEYS],
];
