#!/usr/bin/env bash
# The passkey plugin cannot be installed beside the library that it is a plugin of
#
# One would expect `npm install better-auth @better-auth/passkey`, as the documentation of the plugin says, to work at least for
#   the two packages of one version.
# Instead npm ends with ERESOLVE. The plugin demands exact versions of @better-auth/utils and better-call and any version of
#   @better-auth/core from its own on; npm takes the newest core, which demands newer ones of both. With --legacy-peer-deps the
#   packages install and work.
# Seen with: @better-auth/passkey 1.7.6, better-auth 1.7.6 and 1.7.25, npm 11.
# Why it matters: the way around is an option that silences every other conflict of the project, too.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

cat > finding.mjs <<'JS'
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';

const npm = (...args) => spawnSync('npm', args, { encoding: 'utf8' });
let changed = false;
function tell(what, seen, stated) {
  const same = String(seen) === String(stated);
  changed ||= !same;
  console.log(`${same ? 'as stated' : 'CHANGED'} | ${what}: ${seen}${same ? '' : ` (stated: ${stated})`}`);
}

console.log(`Node.js ${process.versions.node}, npm ${npm('--version').stdout.trim()}`);

/** What npm says to these packages in an empty project. It only writes the lock file. */
function install(name, ...args) {
  mkdirSync(name);
  writeFileSync(`${name}/package.json`, '{ "private": true }');
  const { status, stderr } = npm('install', '--prefix', name, '--package-lock-only', '--no-audit', '--no-fund', ...args);
  return status === 0 ? 'installed' : (/code (\w+)/.exec(stderr)?.[1] ?? stderr);
}

const plugin = '@better-auth/passkey@1.7.6';
tell('the library alone', install('alone', 'better-auth@1.7.25'), 'installed');
tell('the plugin beside the library of its version', install('same', 'better-auth@1.7.6', plugin), 'ERESOLVE');
tell('the plugin beside a later library', install('later', 'better-auth@1.7.25', plugin), 'ERESOLVE');
tell('the same, with --legacy-peer-deps', install('legacy', '--legacy-peer-deps', 'better-auth@1.7.25', plugin), 'installed');

process.exitCode = changed ? 1 : 0;
JS
node --disable-warning=ExperimentalWarning finding.mjs
