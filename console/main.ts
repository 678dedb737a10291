/**
 * The page of the console. A browser loads each file of this folder as a module.
 *
 * shell/ has the frame of the page: shell.ts draws it, views.ts lists the views, and api.ts calls the service through the
 * console. parts/ has what views share, such as times, tables and dialogs. A folder for each subject has its views. node/ stands
 * in for what src/tlog takes from Node.js, so that the page verifies with the very code of the service.
 *
 * To add a view, see docs/console.md.
 */
import './node/buffer.js';
import { startShell } from './shell/shell.js';
import { applyTheme } from './shell/theme.js';

applyTheme();
await startShell();
