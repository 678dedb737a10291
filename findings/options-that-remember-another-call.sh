#!/usr/bin/env bash
# Registration options for one user keep what another user asked for
#
# One would expect `generateRegistrationOptions` to depend on its arguments alone.
# Instead, where authenticatorSelection is left out, the library takes a default that is one object for the whole
#   process, and writes into it. After one call with preferredAuthenticatorType "securityKey", each later call without
#   either argument asks for authenticatorAttachment "cross-platform", until the process ends or another preference
#   overwrites it. Where the caller passes an object of its own, that object is written to.
# Seen with: @simplewebauthn/server 14.0.3.
# Why it matters: one user who chooses "use a security key" keeps every later user from registering the phone or laptop
#   in their hands, on that replica alone, until it restarts; no test of one call can show it.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{ "private": true }' > package.json
npm install --silent --no-audit --no-fund --save-exact @simplewebauthn/server@14.0.3 > /dev/null

cat > finding.mjs <<'JS'
import { generateRegistrationOptions } from '@simplewebauthn/server';
import { readFileSync } from 'node:fs';

const version = (name) => `${name} ${JSON.parse(readFileSync(`node_modules/${name}/package.json`, 'utf8')).version}`;
let changed = false;
function tell(what, seen, stated) {
  const same = String(seen) === String(stated);
  changed ||= !same;
  console.log(`${same ? 'as stated' : 'CHANGED'} | ${what}: ${seen}${same ? '' : ` (stated: ${stated})`}`);
}

console.log(`Node.js ${process.versions.node}, ${version('@simplewebauthn/server')}`);

const rp = { rpName: 'Example', rpID: 'example.com', userName: 'user' };
const attachment = async (preference) =>
  (await generateRegistrationOptions({ ...rp, ...preference })).authenticatorSelection.authenticatorAttachment;

tell('first user, no preference', await attachment(), undefined);
tell('second user, a security key', await attachment({ preferredAuthenticatorType: 'securityKey' }), 'cross-platform');
tell('third user, no preference', await attachment(), 'cross-platform');
tell('fourth user, this device', await attachment({ preferredAuthenticatorType: 'localDevice' }), 'platform');
tell('fifth user, no preference', await attachment(), 'platform');

const mine = Object.freeze({ residentKey: 'required' });
const refusal = await generateRegistrationOptions({ ...rp, authenticatorSelection: mine }).catch((error) => error);
tell('an object of the caller that is frozen', refusal.constructor.name, 'TypeError');

process.exitCode = changed ? 1 : 0;
JS
node --disable-warning=ExperimentalWarning finding.mjs
