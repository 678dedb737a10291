import { EVENTS } from '../events/explorer.js';
import type { View } from './view.js';

/** Every view, in the order of the navigation. The first that the caller may see is the one that opens. */
export const VIEWS: readonly View[] = [EVENTS];
